#requires -Version 7.2
# Refuses what would be deployed wrongly or fail late, then registers what a private network needs.
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version Latest
# What az says with its exit code is looked at below.
$PSNativeCommandUseErrorActionPreference = $false

# Nobody reads these, so that the app would have defaults instead; those of the other names are outputs and ids.
$values = if (Get-Command azd -ErrorAction Ignore) { azd env get-values --no-prompt 2>$null }
$settings = @(@($values) -match '^ROTATION_[A-Z_]*="?[^"]' -replace '=.*' -notmatch '^ROTATION_(VAULTS|LEASES|VAULT_IDS|ACCOUNT_IDS)$')
foreach ($name in $settings) {
    [Console]::Error.WriteLine("settings: no deployment reads $name. Run azd env set DEPLOY_$name VALUE, then azd env set $name `"`"")
}
if ($settings) { exit 1 }

# The templates split lists at commas and ids at slashes: whatever else there is would fail late, or be something else.
# Blanks around an entry do no harm; a line end anywhere is one that azd cannot read.
# Each entry is told by its place in the list, as it may be one of hundreds.
$bad = $false
function Test-List([string]$name, [string]$given, [string]$pattern, [string]$wanted) {
    $number = 0
    foreach ($entry in ($given -split ',').Trim(' ')) {
        $number += 1
        if ($entry -and ($entry -match '\p{Cc}' -or $entry -notmatch "^$pattern`$")) {
            [Console]::Error.WriteLine("ids: $name, entry ${number}: not ${wanted}: $($entry -replace '\s+', ' ')")
            $script:bad = $true
        }
    }
}
Test-List ROTATION_VAULT_IDS $env:ROTATION_VAULT_IDS `
    '/subscriptions/[a-z0-9-]+/resourceGroups/[^/ "]+/providers/Microsoft[.]KeyVault/vaults/[a-z0-9-]+' `
    'the id of a vault, as az keyvault show --query id tells it'
Test-List ROTATION_ACCOUNT_IDS $env:ROTATION_ACCOUNT_IDS `
    '/subscriptions/[a-z0-9-]+/resourceGroups/[^/ "]+/providers/Microsoft[.](Batch/batchAccounts|Storage/storageAccounts|SignalRService/webPubSub)/[a-z0-9-]+' `
    'the id of an account, as az batch account, storage account or webpubsub show --query id tells it'
Test-List EVENT_SYSTEM_TOPICS $env:EVENT_SYSTEM_TOPICS `
    '[a-z0-9-]+=/subscriptions/[a-z0-9-]+/resourceGroups/[^/ "]+/providers/Microsoft[.]EventGrid/systemTopics/[a-z0-9-]+' `
    'VAULT-NAME=TOPIC-ID, with the id as az eventgrid system-topic show --query id tells it'
if ($bad) {
    [Console]::Error.WriteLine('ids: entries have commas between them and nothing else; an id ends with a name. Set the list again: azd env set NAME "ENTRY,ENTRY"')
    exit 1
}

# An app without vaults refuses to begin, and does so after everything is deployed.
if ((-not $env:DEMO -or $env:DEMO -in 'false', 'f', '0') -and -not ($env:ROTATION_VAULT_IDS -replace '[,\s]')) {
    [Console]::Error.WriteLine('ids: no vault is given. azd env set ROTATION_VAULT_IDS "ID,ID"; or, to try it on new ones, azd env set DEMO true')
    exit 1
}

# Azure registers by itself only the providers of resources that a template makes, and an app of this plan joins a subnet
# with the help of Microsoft.App, of which it makes none.
if (-not $env:PRIVATE_NETWORK -or $env:PRIVATE_NETWORK -in 'false', 'f', '0') { exit 0 }

if (-not $env:AZURE_SUBSCRIPTION_ID) {
    [Console]::Error.WriteLine('network: choose the subscription first: azd env set AZURE_SUBSCRIPTION_ID ID')
    exit 1
}
az account show --subscription $env:AZURE_SUBSCRIPTION_ID --output none 2>$null
if ($LASTEXITCODE -ne 0) {
    [Console]::Error.WriteLine("network: the Azure CLI is not signed in, or does not see the subscription $env:AZURE_SUBSCRIPTION_ID.")
    [Console]::Error.WriteLine('network: run az login, then this again.')
    exit 1
}

$state = az provider show --namespace Microsoft.App --subscription $env:AZURE_SUBSCRIPTION_ID --query registrationState --output tsv
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
if ($state -eq 'Registered') { exit 0 }
Write-Output 'network: registering the provider Microsoft.App, which takes some minutes'
az provider register --namespace Microsoft.App --subscription $env:AZURE_SUBSCRIPTION_ID --wait
if ($LASTEXITCODE -ne 0) {
    [Console]::Error.WriteLine('network: the provider Microsoft.App is not registered, and no app joins a network without it.')
    [Console]::Error.WriteLine("network: let a Contributor of the subscription run: az provider register --namespace Microsoft.App --subscription $env:AZURE_SUBSCRIPTION_ID --wait")
    exit 1
}
