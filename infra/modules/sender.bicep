// What a system topic may do in the host storage: write dead letters and, on the route through the queue, fill that.
param storageName string
param principalId string

@allowed(['function', 'queue'])
param route string

var roles = {
  queueDataMessageSender: 'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a'
  blobDataContributor: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
}

resource storage 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: storageName

  resource queues 'queueServices' existing = {
    name: 'default'

    resource work 'queues' existing = {
      name: 'rotation-work'
    }
  }

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource deadLetters 'containers' existing = {
      name: 'event-dead-letters'
    }
  }
}

resource sends 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (route == 'queue') {
  name: guid(storage::queues::work.id, principalId, roles.queueDataMessageSender)
  scope: storage::queues::work
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.queueDataMessageSender)
  }
}

resource writes 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(storage::blobs::deadLetters.id, principalId, roles.blobDataContributor)
  scope: storage::blobs::deadLetters
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobDataContributor)
  }
}
