// Something to try the app on: a vault and one account of each kind, each published in one secret.
// A key goes from the account into its secret; it is in no parameter and no output.
param location string
param tags object
param vaultName string
param storageName string
param batchName string
param pubSubName string

@description('Do not set it; only a default can read the clock.')
param now string = utcNow()

var expires = dateTimeToEpoch(dateTimeAdd(now, 'P90D'))

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' = {
  name: vaultName
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 7
  }
}

resource storage 'Microsoft.Storage/storageAccounts@2025-08-01' = {
  name: storageName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    // Its keys are what the demo is about.
    allowSharedKeyAccess: true
    allowBlobPublicAccess: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }
}

resource batch 'Microsoft.Batch/batchAccounts@2025-06-01' = {
  name: batchName
  location: location
  tags: tags
  properties: {
    allowedAuthenticationModes: ['SharedKey', 'AAD']
  }
}

resource pubSub 'Microsoft.SignalRService/webPubSub@2024-03-01' = {
  name: pubSubName
  location: location
  tags: tags
  sku: {
    name: 'Free_F1'
    capacity: 1
  }
  properties: {
    disableLocalAuth: false
  }
}

// Written once: to write them again would take the secrets back to the first slot.
@onlyIfNotExists()
resource storageSecret 'Microsoft.KeyVault/vaults/secrets@2026-02-01' = {
  parent: vault
  name: 'demo-storage-connection'
  tags: {
    'resource-id': storage.id
    'active-slot': 'key1'
    'validity-days': '90'
    'rotation-policy': 'format=connection-string'
  }
  properties: {
    attributes: { exp: expires }
    value: 'DefaultEndpointsProtocol=https;AccountName=${storage.name};AccountKey=${storage.listKeys().keys[0].value};EndpointSuffix=${environment().suffixes.storage}'
  }
}

@onlyIfNotExists()
resource batchSecret 'Microsoft.KeyVault/vaults/secrets@2026-02-01' = {
  parent: vault
  name: 'demo-batch-key'
  tags: {
    'resource-id': batch.id
    'active-slot': 'Primary'
    'validity-days': '90'
  }
  properties: {
    attributes: { exp: expires }
    value: batch.listKeys().primary
  }
}

@onlyIfNotExists()
resource pubSubSecret 'Microsoft.KeyVault/vaults/secrets@2026-02-01' = {
  parent: vault
  name: 'demo-webpubsub-connection'
  tags: {
    'resource-id': pubSub.id
    'active-slot': 'Primary'
    'validity-days': '90'
    'rotation-policy': 'format=connection-string'
  }
  properties: {
    attributes: { exp: expires }
    value: pubSub.listKeys().primaryConnectionString
  }
}
