// A rotation app over existing vaults and accounts: `azd up` deploys this file, then the code.
targetScope = 'subscription'

@description('Name of the environment; it goes into the name of the resource group.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Region of the app; vaults and accounts may be anywhere.')
@metadata({ azd: { type: 'location' } })
param location string

@description('Resource ids of the vaults that rotation may read and write, with commas between them.')
param vaultIds string = ''

@description('Resource ids of the accounts whose keys are rotated, with commas between them; of any subscription.')
param accountIds string = ''

@description('ROTATION_ACCOUNTS where it is to say something else than accountIds: subscriptions, groups or accounts.')
param allowedAccounts string = ''

@description('Makes a vault and one account of each kind, with enrolled secrets, to try the app on.')
param demo bool = false

@description('How events of the vaults reach the app: straight to the function, or through the queue of the host storage.')
@allowed(['function', 'queue'])
param eventRoute string = 'function'

@description('Only secrets whose names begin with this cause events and expiry alerts.')
param secretPrefix string = ''

@description('System topics that exist already, as VAULT=TOPIC-ID with commas between them; a vault can have only one.')
param systemTopics string = ''

@description('Puts the app into a virtual network, with private endpoints for its storage and for the vaults.')
param privateNetwork bool = false

@description('Client id of an app registration: who calls the app must sign in with Entra, beside the function key.')
param signInClientId string = ''

@description('Object ids of those who may call then, with commas between them; empty for everybody in the tenant.')
param signInPrincipals string = ''

@description('Resource id of the action group that alerts go to.')
param actionGroupId string = ''

@description('Address for a new action group, where there is none yet.')
param alertEmail string = ''

@description('How long logs, and with them the history of rotations, are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 180

@allowed(['3.12', '3.13', '3.14'])
param pythonVersion string = '3.13'

@description('ROTATION_SCHEDULE; six fields, UTC. Empty settings have the defaults of docs/settings.md.')
param schedule string = ''

@description('ROTATION_AUDIT_SCHEDULE.')
param auditSchedule string = ''

@description('ROTATION_OVERLAP.')
param overlap string = ''

@description('ROTATION_GRACE.')
param grace string = ''

@description('ROTATION_PROBE.')
param probe string = ''

@description('ROTATION_PROBE_TIMEOUT.')
param probeTimeout string = ''

@description('ROTATION_CONCURRENCY.')
param concurrency string = ''

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }
var groupName = 'rg-${environmentName}'
// Spelled out: what the id of a group that is made here looks like, tools do not agree on, and it is taken apart below.
var groupId = '${subscription().id}/resourceGroups/${groupName}'
var subscriptionId = subscription().subscriptionId
var names = {
  app: 'func-rotation-${token}'
  storage: 'strotation${token}'
  component: 'appi-rotation-${token}'
  network: 'vnet-rotation-${token}'
  demoVault: 'kv-demo-${token}'
  demoStorage: 'stdemo${token}'
  demoBatch: 'batchdemo${token}'
  demoPubSub: 'wps-demo-${token}'
}

// What the demo makes has ids that are known before it is made, so that loops can go over them.
// Not resourceId(): in a deployment to a subscription it knows no resource groups.
var demoVaultIds = demo ? [toLower(extensionResourceId(groupId, 'Microsoft.KeyVault/vaults', names.demoVault))] : []
var demoAccountIds = demo
  ? [
      toLower(extensionResourceId(groupId, 'Microsoft.Storage/storageAccounts', names.demoStorage))
      toLower(extensionResourceId(groupId, 'Microsoft.Batch/batchAccounts', names.demoBatch))
      toLower(extensionResourceId(groupId, 'Microsoft.SignalRService/webPubSub', names.demoPubSub))
    ]
  : []
// In lower case, as the same id in two casings would be deployed twice by one name.
var givenVaultIds = filter(map(split(vaultIds, ','), id => toLower(trim(id))), id => !empty(id))
var givenAccountIds = filter(map(split(accountIds, ','), id => toLower(trim(id))), id => !empty(id))
var vaults = union(givenVaultIds, demoVaultIds)
var accounts = union(givenAccountIds, demoAccountIds)
var storageId = extensionResourceId(groupId, 'Microsoft.Storage/storageAccounts', names.storage)

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: groupName
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'rotation-identity'
  scope: group
  params: {
    name: 'id-rotation-${token}'
    location: location
    tags: tags
  }
}

module roles 'modules/roles.bicep' = {
  name: 'rotation-roles-${token}'
  params: {
    token: token
    subscriptionIds: union([toLower(subscriptionId)], map(concat(vaults, accounts), id => toLower(split(id, '/')[2])))
  }
}

module demonstration 'modules/demo.bicep' = if (demo) {
  name: 'rotation-demo'
  scope: group
  params: {
    location: location
    tags: tags
    vaultName: names.demoVault
    storageName: names.demoStorage
    batchName: names.demoBatch
    pubSubName: names.demoPubSub
  }
}

module storage 'modules/storage.bicep' = {
  name: 'rotation-storage'
  scope: group
  params: {
    name: names.storage
    location: location
    tags: tags
    principalId: identity.outputs.principalId
    closed: privateNetwork
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'rotation-monitoring'
  scope: group
  params: {
    componentName: names.component
    workspaceName: 'log-rotation-${token}'
    location: location
    tags: tags
    principalId: identity.outputs.principalId
    retentionDays: logRetentionDays
  }
}

module targets 'modules/targets.bicep' = {
  name: 'rotation-targets-${token}'
  params: {
    principalId: identity.outputs.principalId
    roles: roles.outputs.roles
    ids: concat(vaults, accounts)
  }
  dependsOn: [demonstration]
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'rotation-network'
  scope: group
  params: {
    name: names.network
    location: location
    tags: tags
    storageId: storageId
    vaultIds: vaults
  }
  dependsOn: [storage, demonstration]
}

// Last of all: a role that is assigned while the app starts is a 403 for the next minutes.
module host 'modules/host.bicep' = {
  name: 'rotation-host'
  scope: group
  params: {
    name: names.app
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageName: names.storage
    componentName: names.component
    subnetId: privateNetwork
      ? extensionResourceId(groupId, 'Microsoft.Network/virtualNetworks/subnets', names.network, 'app')
      : ''
    pythonVersion: pythonVersion
    signInClientId: signInClientId
    signInPrincipals: signInPrincipals
    vaults: join(map(vaults, id => split(id, '/')[8]), ',')
    accounts: empty(allowedAccounts) ? join(accounts, ',') : allowedAccounts
    schedule: schedule
    auditSchedule: auditSchedule
    overlap: overlap
    grace: grace
    probe: probe
    probeTimeout: probeTimeout
    concurrency: concurrency
  }
  dependsOn: [storage, monitoring, targets, network]
}

module alerts 'modules/alerts.bicep' = {
  name: 'rotation-alerts'
  scope: group
  params: {
    location: location
    tags: tags
    componentId: monitoring.outputs.componentId
    actionGroupId: actionGroupId
    email: alertEmail
  }
}

module events 'modules/events.bicep' = {
  name: 'rotation-events-${token}'
  params: {
    vaultIds: vaults
    systemTopics: systemTopics
    route: eventRoute
    secretPrefix: secretPrefix
    app: names.app
    storageId: storageId
    actionGroupId: alerts.outputs.actionGroupId
    tags: tags
  }
  dependsOn: [storage, demonstration, host]
}

output AZURE_LOCATION string = location
output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_RESOURCE_GROUP string = groupName
output SERVICE_ROTATION_NAME string = names.app
output SERVICE_ROTATION_URI string = host.outputs.uri
output SERVICE_ROTATION_PRINCIPAL_ID string = identity.outputs.principalId
output SERVICE_ROTATION_ID string = host.outputs.id
output ROTATION_VAULTS string = join(map(vaults, id => split(id, '/')[8]), ',')
output ROTATION_LEASES string = storage.outputs.leases
output EVENT_ROUTE string = eventRoute
output EVENT_TOPIC_IDS string = events.outputs.topicIds
output EVENT_SECRET_PREFIX string = secretPrefix
output HOST_STORAGE_ID string = storageId
// hooks/predown looks at it: azd would delete the resource groups of these, too.
output EXISTING_TARGETS string = string(length(union(givenVaultIds, givenAccountIds)))
