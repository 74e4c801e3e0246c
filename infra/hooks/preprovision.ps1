# Registers what a private network needs: Azure registers by itself only the providers of resources that a template makes,
# and an app of this plan joins a subnet with the help of Microsoft.App, of which it makes none.
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version Latest
# What az says with its exit code is looked at below.
$PSNativeCommandUseErrorActionPreference = $false
if (-not $env:PRIVATE_NETWORK -or $env:PRIVATE_NETWORK -eq 'false') { exit 0 }

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
