// The host storage: queue, leases, the deployed package and dead letters. No key opens it.
param name string
param location string
param tags object

@description('The identity of the app.')
param principalId string

@description('Lets only private endpoints and trusted Azure services in, of which Event Grid is one.')
param closed bool

// The queue between the triggers and the worker; function_app.py and modules/subscription.bicep name it too.
var queueNames = ['rotation-work', 'rotation-work-poison']
var containerNames = ['app-package', 'rotation-leases', 'event-dead-letters']

// What AzureWebJobsStorage by identity and the deployment container need.
var roles = {
  blobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  queueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
}

resource storage 'Microsoft.Storage/storageAccounts@2025-08-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    // Not 'Disabled': Event Grid comes in as a trusted service over the public endpoint.
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: closed ? 'Deny' : 'Allow'
    }
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource containers 'containers' = [
      for container in containerNames: {
        name: container
        properties: { publicAccess: 'None' }
      }
    ]
  }

  resource queues 'queueServices' = {
    name: 'default'

    resource each 'queues' = [
      for queue in queueNames: {
        name: queue
      }
    ]
  }
}

resource grants 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in items(roles): {
    name: guid(storage.id, principalId, role.value)
    scope: storage
    properties: {
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.value)
    }
  }
]

@description('ROTATION_LEASES, for the app and for operators.')
output leases string = '${storage.properties.primaryEndpoints.blob}rotation-leases'
