// The second phase: Event Grid takes no function for a destination before it exists. hooks/postdeploy runs this.
targetScope = 'subscription'

@description('EVENT_TOPIC_IDS, with commas between them.')
param topicIds string

@description('SERVICE_ROTATION_ID.')
param appId string

@description('HOST_STORAGE_ID.')
param storageId string

@description('EVENT_SECRET_PREFIX.')
param secretPrefix string = ''

module direct 'modules/subscription.bicep' = [
  for id in filter(split(topicIds, ','), topic => !empty(topic)): {
    name: 'rotation-direct-${uniqueString(toLower(id), appId)}'
    scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])
    params: {
      topicName: split(id, '/')[8]
      name: split(appId, '/')[8]
      route: 'function'
      appId: appId
      storageId: storageId
      secretPrefix: secretPrefix
    }
  }
]
