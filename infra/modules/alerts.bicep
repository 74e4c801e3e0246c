// What somebody is woken for. docs/operations.md has a section for each, by the same name.
// What must be told even when the app is dead is in watch.bicep.
param location string
param tags object
param componentId string

@description('An action group that exists; empty for none, or for a new one.')
param actionGroupId string

@description('The address of a new action group.')
param email string

var rules = [
  {
    name: 'rotation-failed'
    says: 'Key rotation: an account needs a person'
    query: loadTextContent('../queries/rotation-failed.kql')
    severity: 1
    every: 'PT15M'
    // Two audits, of which each may be late: what only they see would end by itself in between.
    window: 'P2D'
    range: 'P2D'
    operator: 'GreaterThan'
    threshold: 0
    bySubject: true
    ends: true
  }
  {
    name: 'rotation-overdue'
    says: 'Key rotation: a new key is due and was not made'
    query: loadTextContent('../queries/rotation-overdue.kql')
    severity: 1
    every: 'PT1H'
    // Two audits, as above: an account that is paused or disabled is queued by no sweep.
    window: 'P2D'
    range: 'P2D'
    operator: 'GreaterThan'
    threshold: 0
    bySubject: true
    ends: true
  }
  {
    name: 'rotation-stopped'
    says: 'Key rotation: no sweep has seen every vault for a day'
    query: loadTextContent('../queries/rotation-stopped.kql')
    severity: 0
    every: 'PT1H'
    window: 'P1D'
    range: 'P1D'
    operator: 'LessThan'
    threshold: 1
    bySubject: false
    ends: true
  }
  {
    name: 'rotation-poisoned'
    says: 'Key rotation: a message was given up'
    query: loadTextContent('../queries/rotation-poisoned.kql')
    severity: 2
    every: 'PT15M'
    window: 'PT30M'
    range: 'PT30M'
    operator: 'GreaterThan'
    threshold: 0
    bySubject: false
    // Nothing in the log says that somebody has looked into the poison queue.
    ends: false
  }
]

resource made 'Microsoft.Insights/actionGroups@2023-01-01' = if (empty(actionGroupId) && !empty(email)) {
  name: 'ag-rotation'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'keyrotation'
    enabled: true
    emailReceivers: [
      {
        name: 'operators'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

var groupId = !empty(actionGroupId) ? actionGroupId : empty(email) ? '' : made.id

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in rules: {
    name: rule.name
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: rule.says
      enabled: true
      severity: rule.severity
      scopes: [componentId]
      evaluationFrequency: rule.every
      windowSize: rule.window
      overrideQueryTimeRange: rule.range
      autoMitigate: rule.ends
      // What does not end by itself would be told anew with every look at the same line.
      muteActionsDuration: rule.ends ? null : rule.window
      // Nothing has been logged yet when this is deployed for the first time.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: rule.operator
            threshold: rule.threshold
            dimensions: rule.bySubject ? [{ name: 'subject', operator: 'Include', values: ['*'] }] : []
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: { actionGroups: empty(groupId) ? [] : [groupId] }
    }
  }
]

output actionGroupId string = groupId
