// Rights on each vault and account by itself, wherever it is; never on a resource group.
// On subscriptions with a Web PubSub service there is one more: to read how an operation goes, and nothing else.
targetScope = 'subscription'

param principalId string

@description('The names of the roles by kind, as modules/roles.bicep gives them.')
param roles object

@description('Resource ids of vaults and accounts.')
param ids array

var services = filter(ids, id => toLower(split(id, '/')[7]) == 'webpubsub')
var subscriptionIds = union(map(services, id => toLower(split(id, '/')[2])), [])

module grants 'target.bicep' = [
  for id in ids: {
    name: 'rotation-target-${uniqueString(toLower(id), principalId)}'
    scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])
    params: {
      kind: toLower(split(id, '/')[7])
      name: split(id, '/')[8]
      principalId: principalId
      role: roles[toLower(split(id, '/')[7])]
    }
  }
]

module operations 'operations.bicep' = [
  for id in subscriptionIds: {
    name: 'rotation-operations-${uniqueString(id, principalId)}'
    scope: subscription(id)
    params: {
      principalId: principalId
      role: roles.operations
    }
  }
]
