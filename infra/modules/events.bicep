// One system topic for each vault, in the vault's own resource group or where it is already, and who listens to it.
targetScope = 'subscription'

param vaultIds array

@description('VAULT=TOPIC-ID with commas between them.')
param systemTopics string

@allowed(['function', 'queue'])
param route string

param secretPrefix string

@description('The name of the app. Another one may listen to the same vaults, so it goes into all names beside them.')
param app string

@description('The host storage.')
param storageId string

param actionGroupId string
param tags object

var known = toObject(
  filter(map(split(systemTopics, ','), pair => trim(pair)), pair => !empty(pair)),
  pair => toLower(split(pair, '=')[0]),
  pair => split(pair, '=')[1]
)
var topics = map(vaultIds, id => {
  vaultId: id
  create: !contains(known, toLower(split(id, '/')[8]))
  id: contains(known, toLower(split(id, '/')[8]))
    ? known[toLower(split(id, '/')[8])]
    : '${join(take(split(id, '/'), 5), '/')}/providers/Microsoft.EventGrid/systemTopics/rotation-${toLower(split(id, '/')[8])}'
})

module vaults 'vault.bicep' = [
  for topic in topics: {
    name: 'rotation-vault-${uniqueString(toLower(topic.vaultId), app)}'
    scope: resourceGroup(split(topic.vaultId, '/')[2], split(topic.vaultId, '/')[4])
    params: { name: split(topic.vaultId, '/')[8] }
  }
]

module made 'topic.bicep' = [
  for i in range(0, length(topics)): if (topics[i].create) {
    name: 'rotation-topic-${uniqueString(toLower(topics[i].vaultId), app)}'
    scope: resourceGroup(split(topics[i].id, '/')[2], split(topics[i].id, '/')[4])
    params: {
      name: split(topics[i].id, '/')[8]
      vaultId: topics[i].vaultId
      location: vaults[i].outputs.location
      tags: tags
    }
  }
]

module watched 'watch.bicep' = [
  for i in range(0, length(topics)): {
    name: 'rotation-watch-${uniqueString(toLower(topics[i].vaultId), app)}'
    scope: resourceGroup(split(topics[i].id, '/')[2], split(topics[i].id, '/')[4])
    params: {
      topicName: split(topics[i].id, '/')[8]
      app: app
      tags: tags
      actionGroupId: actionGroupId
      secretPrefix: secretPrefix
    }
    dependsOn: [made]
  }
]

module senders 'sender.bicep' = [
  for i in range(0, length(topics)): {
    name: 'rotation-sender-${uniqueString(toLower(topics[i].vaultId), app)}'
    scope: resourceGroup(split(storageId, '/')[2], split(storageId, '/')[4])
    params: {
      storageName: split(storageId, '/')[8]
      principalId: watched[i].outputs.principalId
      route: route
    }
  }
]

// The route to the function waits until the function is there: see ../subscriptions.bicep.
module queued 'subscription.bicep' = [
  for i in range(0, length(topics)): if (route == 'queue') {
    name: 'rotation-queued-${uniqueString(toLower(topics[i].vaultId), app)}'
    scope: resourceGroup(split(topics[i].id, '/')[2], split(topics[i].id, '/')[4])
    params: {
      topicName: split(topics[i].id, '/')[8]
      name: app
      route: route
      appId: ''
      storageId: storageId
      secretPrefix: secretPrefix
    }
    dependsOn: [senders]
  }
]

output topicIds string = join(map(topics, topic => topic.id), ',')
