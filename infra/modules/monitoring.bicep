// Logs and Application Insights; telemetry is taken from identities only.
param componentName string
param workspaceName string
param location string
param tags object

@description('The identity of the app.')
param principalId string

param retentionDays int

var metricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    features: { disableLocalAuth: true }
  }
}

resource component 'Microsoft.Insights/components@2020-02-02' = {
  name: componentName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
  }
}

resource publisher 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(component.id, principalId, metricsPublisher)
  scope: component
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', metricsPublisher)
  }
}

// The workbook is an ARM template, as its type is not among those that the files here are checked against.
module workbook 'workbook.json' = {
  name: 'rotation-workbook'
  params: {
    location: location
    tags: tags
    componentId: component.id
    // Without a resource to fall back to, its queries ask nobody.
    content: union(loadJsonContent('../workbook.content.json'), { fallbackResourceIds: [component.id] })
  }
}

output componentId string = component.id
