// One role assignment on one vault or account.

// Not @allowed: what a caller computes is any string to the compiler, which gives it to no closed list.
@description('The type of the resource, in lower case and without its namespace.')
param kind string

param name string
param principalId string

@description('The name of the role definition, which is a GUID.')
param role string

var roleId = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: name
}

resource batch 'Microsoft.Batch/batchAccounts@2025-06-01' existing = {
  name: name
}

resource storage 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: name
}

resource pubSub 'Microsoft.SignalRService/webPubSub@2024-03-01' existing = {
  name: name
}

resource onVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (kind == 'vaults') {
  name: guid(vault.id, principalId, roleId)
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: roleId
  }
}

resource onBatch 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (kind == 'batchaccounts') {
  name: guid(batch.id, principalId, roleId)
  scope: batch
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: roleId
  }
}

resource onStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (kind == 'storageaccounts') {
  name: guid(storage.id, principalId, roleId)
  scope: storage
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: roleId
  }
}

resource onPubSub 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (kind == 'webpubsub') {
  name: guid(pubSub.id, principalId, roleId)
  scope: pubSub
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: roleId
  }
}
