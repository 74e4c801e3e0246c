// The Functions app on a Flex Consumption plan.
param name string
param location string
param tags object

param identityId string
param identityClientId string
param storageName string
param componentName string

@description('The subnet for outgoing traffic; empty without a virtual network.')
param subnetId string

param pythonVersion string

@description('Empty leaves the function keys as the only way in.')
param signInClientId string

param signInPrincipals string
param vaults string
param accounts string
param schedule string
param auditSchedule string
param overlap string
param grace string
param probe string
param probeTimeout string
param concurrency string

var signsIn = !empty(signInClientId)

resource storage 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: storageName
}

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: componentName
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

// Neither FUNCTIONS_WORKER_RUNTIME nor FUNCTIONS_EXTENSION_VERSION: this plan takes them from functionAppConfig.
resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'rotation' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}app-package'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: pythonVersion
      }
      scaleAndConcurrency: {
        instanceMemoryMB: 2048
        maximumInstanceCount: 40
        triggers: {
          // The handlers are asynchronous; the default for Python is one request at a time.
          http: { perInstanceConcurrency: 16 }
        }
      }
    }
    // Some regions refuse what this plan does not use, as ftpsState; FTP is closed by publishing.json.
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      appSettings: [
        { name: 'AzureWebJobsStorage__credential', value: 'managedidentity' }
        { name: 'AzureWebJobsStorage__clientId', value: identityClientId }
        { name: 'AzureWebJobsStorage__blobServiceUri', value: storage.properties.primaryEndpoints.blob }
        { name: 'AzureWebJobsStorage__queueServiceUri', value: storage.properties.primaryEndpoints.queue }
        { name: 'APPLICATIONINSIGHTS_CONNECTION_STRING', value: component.properties.ConnectionString }
        {
          name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING'
          value: 'ClientId=${identityClientId};Authorization=AAD'
        }
        { name: 'AZURE_CLIENT_ID', value: identityClientId }
        { name: 'AZURE_CLOUD', value: environment().name }
        { name: 'ROTATION_VAULTS', value: vaults }
        { name: 'ROTATION_ACCOUNTS', value: accounts }
        // The host looks the schedules up by itself and knows no defaults.
        { name: 'ROTATION_SCHEDULE', value: empty(schedule) ? '0 */15 * * * *' : schedule }
        { name: 'ROTATION_AUDIT_SCHEDULE', value: empty(auditSchedule) ? '0 17 3 * * *' : auditSchedule }
        { name: 'ROTATION_OVERLAP', value: overlap }
        { name: 'ROTATION_GRACE', value: grace }
        { name: 'ROTATION_PROBE', value: probe }
        { name: 'ROTATION_PROBE_TIMEOUT', value: probeTimeout }
        { name: 'ROTATION_CONCURRENCY', value: concurrency }
        { name: 'ROTATION_LEASES', value: '${storage.properties.primaryEndpoints.blob}rotation-leases' }
      ]
    }
  }
}

// Beside the function keys, not in place of them. Without a client it is deployed too: else nothing would turn it off.
resource signIn 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: signsIn }
    globalValidation: {
      requireAuthentication: signsIn
      unauthenticatedClientAction: signsIn ? 'Return401' : 'AllowAnonymous'
      // Event Grid has a key of its own for this path, and no token.
      excludedPaths: ['/runtime/webhooks/eventgrid', '/runtime/webhooks/EventGrid']
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: signsIn
        registration: {
          clientId: signsIn ? signInClientId : null
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
        }
        validation: {
          allowedAudiences: signsIn ? [signInClientId, 'api://${signInClientId}'] : []
          defaultAuthorizationPolicy: {
            allowedPrincipals: empty(signInPrincipals)
              ? null
              : { identities: map(split(signInPrincipals, ','), id => trim(id)) }
          }
        }
      }
    }
    login: {
      tokenStore: { enabled: false }
    }
  }
}

// Code comes with a sign-in, and never with the app's publishing password.
// An ARM template, as its type is not among those that the files here are checked against.
module publishing 'publishing.json' = {
  name: 'rotation-publishing'
  params: { app: app.name }
  // One after another: the platform answers a second change of a site with a conflict while the first goes on.
  dependsOn: [signIn]
}

output id string = app.id
output uri string = 'https://${app.properties.defaultHostName}'
