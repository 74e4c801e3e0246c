// Custom roles with exactly the actions that the app's requests need; SECURITY.md says which request needs which.
targetScope = 'subscription'

@description('Makes the names of the roles unique in the tenant.')
param token string

@description('The subscriptions that vaults and accounts are in.')
param subscriptionIds array

var definitions = [
  {
    kind: 'vaults'
    roleName: 'Key rotation of secrets (${token})'
    actions: []
    dataActions: [
      'Microsoft.KeyVault/vaults/secrets/readMetadata/action'
      'Microsoft.KeyVault/vaults/secrets/getSecret/action'
      'Microsoft.KeyVault/vaults/secrets/setSecret/action'
      'Microsoft.KeyVault/vaults/secrets/update/action'
    ]
  }
  {
    kind: 'batchaccounts'
    roleName: 'Key rotation of Batch (${token})'
    actions: [
      'Microsoft.Batch/batchAccounts/read'
      'Microsoft.Batch/batchAccounts/listKeys/action'
      'Microsoft.Batch/batchAccounts/regenerateKeys/action'
    ]
    dataActions: []
  }
  {
    kind: 'storageaccounts'
    roleName: 'Key rotation of Storage (${token})'
    actions: [
      'Microsoft.Storage/storageAccounts/read'
      'Microsoft.Storage/storageAccounts/listKeys/action'
      'Microsoft.Storage/storageAccounts/regenerateKey/action'
    ]
    dataActions: []
  }
  {
    kind: 'webpubsub'
    roleName: 'Key rotation of Web PubSub (${token})'
    actions: [
      'Microsoft.SignalRService/webPubSub/read'
      'Microsoft.SignalRService/webPubSub/listKeys/action'
      'Microsoft.SignalRService/webPubSub/regenerateKey/action'
      'Microsoft.SignalRService/webPubSub/operationStatuses/read'
    ]
    dataActions: []
  }
  {
    // How a regenerate goes on, where that is told at a location of the subscription and not at the account.
    kind: 'operations'
    roleName: 'Key rotation of Web PubSub, its operations (${token})'
    actions: ['Microsoft.SignalRService/locations/operationStatuses/webpubsub/read']
    dataActions: []
  }
]

resource roles 'Microsoft.Authorization/roleDefinitions@2022-04-01' = [
  for definition in definitions: {
    name: guid(subscription().id, token, definition.kind)
    properties: {
      roleName: definition.roleName
      type: 'CustomRole'
      permissions: [
        {
          actions: definition.actions
          notActions: []
          dataActions: definition.dataActions
          notDataActions: []
        }
      ]
      assignableScopes: map(subscriptionIds, id => '/subscriptions/${id}')
    }
  }
]

@description('The names of the roles by the kind of resource they are for, which is its type in lower case; and operations.')
output roles object = toObject(
  definitions,
  definition => definition.kind,
  definition => guid(subscription().id, token, definition.kind)
)
