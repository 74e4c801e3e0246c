// The right to read how operations of Web PubSub go, in one subscription.
targetScope = 'subscription'

param principalId string

@description('The name of the role definition, which is a GUID.')
param role string

var roleId = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)

resource onSubscription 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(subscription().id, principalId, roleId)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: roleId
  }
}
