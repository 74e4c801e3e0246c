// Rights on each vault and account by itself, wherever it is; never on a resource group.
targetScope = 'subscription'

param principalId string

@description('The names of the roles by kind, as modules/roles.bicep gives them.')
param roles object

@description('Resource ids of vaults and accounts.')
param ids array

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
