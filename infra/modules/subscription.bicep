// What of a vault's events goes to the app; by the same name on either route, so that changing the route replaces it.

@description('The system topic of the vault, in this resource group.')
param topicName string

@description('That of the app, beside which others may listen.')
param name string

@allowed(['function', 'queue'])
param route string

@description('The app; empty on the route through the queue.')
param appId string

@description('The host storage, for the queue and for dead letters.')
param storageId string

param secretPrefix string

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName
}

resource expiry 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: name
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    // Event Grid gets itself the key of the function, so that none stands here.
    destination: route == 'function'
      ? {
          endpointType: 'AzureFunction'
          properties: {
            resourceId: '${appId}/functions/near_expiry'
            maxEventsPerBatch: 1
            preferredBatchSizeInKilobytes: 64
          }
        }
      : null
    // A storage account behind a firewall takes events from the topic's own identity only.
    deliveryWithResourceIdentity: route == 'queue'
      ? {
          identity: { type: 'SystemAssigned' }
          destination: {
            endpointType: 'StorageQueue'
            properties: {
              resourceId: storageId
              queueName: 'rotation-work'
              queueMessageTimeToLiveInSeconds: 604800
            }
          }
        }
      : null
    filter: {
      includedEventTypes: ['Microsoft.KeyVault.SecretNearExpiry', 'Microsoft.KeyVault.SecretExpired']
      subjectBeginsWith: secretPrefix
      isSubjectCaseSensitive: false
    }
    retryPolicy: {
      maxDeliveryAttempts: 30
      eventTimeToLiveInMinutes: 1440
    }
    deadLetterWithResourceIdentity: {
      identity: { type: 'SystemAssigned' }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: storageId
          blobContainerName: 'event-dead-letters'
        }
      }
    }
  }
}
