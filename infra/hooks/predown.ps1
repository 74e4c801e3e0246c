#requires -Version 7.2
# Stops `azd down` where it would do harm: it deletes every resource group that the newest deployment has touched,
# and with them the vaults and accounts whose keys are rotated. Only what the demo made may go that way.
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version Latest
# What az says with its exit code is looked at below.
$PSNativeCommandUseErrorActionPreference = $false
function Deny {
    [Console]::Error.WriteLine('down: refused. azd would delete the resource groups of your vaults and accounts.')
    [Console]::Error.WriteLine('down: docs/operations.md says how to remove the app alone.')
    exit 1
}

if ($env:EXISTING_TARGETS -ne '0' -or $env:ROTATION_VAULT_IDS -or $env:ROTATION_ACCOUNT_IDS) { Deny }

if (-not $env:AZURE_SUBSCRIPTION_ID -or -not $env:AZURE_ENV_NAME) { throw 'run azd down, which knows what is deployed' }

# These are of the last deployment from here that came to its end. One from elsewhere, as a pipeline, is known to Azure.
$ids = az deployment sub list --subscription $env:AZURE_SUBSCRIPTION_ID --output tsv `
    --query "max_by([?properties.parameters.vaultIds && properties.parameters.environmentName.value == '$env:AZURE_ENV_NAME'], &properties.timestamp).properties.parameters.[vaultIds.value, accountIds.value]"
if ($LASTEXITCODE -ne 0) {
    [Console]::Error.WriteLine('down: refused. Azure does not tell which vaults and accounts were deployed to.')
    [Console]::Error.WriteLine("down: run az login with an account that sees the subscription $env:AZURE_SUBSCRIPTION_ID, then this again.")
    exit 1
}
if (-join $ids -match '\S') { Deny }
