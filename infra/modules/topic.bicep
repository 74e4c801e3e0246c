// The system topic of one vault, and what is watched on it even when the app is dead.
param name string

@description('False for a topic that exists already; it needs a system-assigned identity.')
param create bool

param vaultId string
param location string
param tags object
param actionGroupId string
param secretPrefix string

resource made 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (create) {
  name: name
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    source: vaultId
    topicType: 'Microsoft.KeyVault.vaults'
  }
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: name
}

resource expired 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'secret-expired'
  properties: {
    // Alerts take no other schema.
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    destination: {
      endpointType: 'MonitorAlert'
      properties: {
        severity: 'Sev1'
        actionGroups: empty(actionGroupId) ? [] : [actionGroupId]
      }
    }
    filter: {
      includedEventTypes: ['Microsoft.KeyVault.SecretExpired']
      subjectBeginsWith: secretPrefix
      isSubjectCaseSensitive: false
    }
  }
  dependsOn: [made]
}

// Events that were never taken, and events for which not even a dead letter could be written.
resource lost 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for metric in ['DeadLetteredCount', 'DroppedEventCount']: {
    name: 'events-dead-lettered-${toLower(metric)}-${uniqueString(toLower(vaultId))}'
    location: 'global'
    tags: tags
    properties: {
      severity: 2
      enabled: true
      scopes: [topic.id]
      evaluationFrequency: 'PT15M'
      windowSize: 'PT1H'
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: 'lost'
            metricNamespace: 'Microsoft.EventGrid/systemTopics'
            metricName: metric
            timeAggregation: 'Total'
            operator: 'GreaterThan'
            threshold: 0
          }
        ]
      }
      actions: empty(actionGroupId) ? [] : [{ actionGroupId: actionGroupId }]
    }
    dependsOn: [made]
  }
]

output principalId string = create ? made.identity.principalId : topic.identity.principalId
