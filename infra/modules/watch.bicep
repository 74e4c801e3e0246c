// What is watched on the system topic of a vault even when the app is dead.
// Event Grid knows only versions that were made after the subscription.

@description('The system topic, in this resource group; it needs a system-assigned identity.')
param topicName string

@description('The name of the app; others may watch the same topic.')
param app string

param tags object
param actionGroupId string
param secretPrefix string

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName
}

resource expired 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'secret-expired-${app}'
  properties: {
    // Alerts take no other schema.
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    destination: {
      endpointType: 'MonitorAlert'
      properties: {
        severity: 'Sev1'
        actionGroups: empty(actionGroupId) ? [] : [actionGroupId]
      }
    }
    filter: {
      includedEventTypes: ['Microsoft.KeyVault.SecretExpired']
      subjectBeginsWith: secretPrefix
      isSubjectCaseSensitive: false
    }
  }
}

// Events that were never taken, and events for which not even a dead letter could be written.
resource lost 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for metric in ['DeadLetteredCount', 'DroppedEventCount']: {
    name: 'events-dead-lettered-${toLower(metric)}-${uniqueString(topic.id)}-${app}'
    location: 'global'
    tags: tags
    properties: {
      severity: 2
      enabled: true
      scopes: [topic.id]
      evaluationFrequency: 'PT15M'
      windowSize: 'PT1H'
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: 'lost'
            metricNamespace: 'Microsoft.EventGrid/systemTopics'
            metricName: metric
            dimensions: [
              { name: 'EventSubscriptionName', operator: 'Include', values: [app, 'secret-expired-${app}'] }
            ]
            timeAggregation: 'Total'
            operator: 'GreaterThan'
            threshold: 0
          }
        ]
      }
      actions: empty(actionGroupId) ? [] : [{ actionGroupId: actionGroupId }]
    }
  }
]

output principalId string = topic.identity.principalId
