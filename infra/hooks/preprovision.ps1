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

# The templates take ids apart, and their complaint would be of an array.
function Deny-Name([string]$variable, [string]$given) {
    $names = $given -split '[, ]' | Where-Object {
        $_ -and $_ -notmatch '^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/[^/]+/[^/]+/[^/]+/?$'
    }
    if ($names) {
        [Console]::Error.WriteLine("ids: in $variable these are no ids of resources: $names")
        [Console]::Error.WriteLine('ids: an id begins with /subscriptions/, and is what az keyvault show or az storage account show tells with --query id')
        exit 1
    }
}
Deny-Name ROTATION_VAULT_IDS $env:ROTATION_VAULT_IDS
Deny-Name ROTATION_ACCOUNT_IDS $env:ROTATION_ACCOUNT_IDS

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
