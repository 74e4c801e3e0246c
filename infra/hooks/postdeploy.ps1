#requires -Version 7.2
# The second phase: subscribes the function near_expiry to the vaults' events once Azure lists it. Can be run again.
# azd sets the outputs of infra/main.bicep in the environment.
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version Latest
# What az says with its exit code is looked at below.
$PSNativeCommandUseErrorActionPreference = $false
$how = 'run this through azd, which knows the outputs of infra/main.bicep: azd hooks run postdeploy'
if (-not $env:EVENT_ROUTE) { throw $how }
Set-Location (Join-Path $PSScriptRoot '..')

if ($env:EVENT_ROUTE -ne 'function') {
    Write-Output 'events: they go through the queue, which needs no second phase'
    exit 0
}
if (-not $env:EVENT_TOPIC_IDS) {
    Write-Output 'events: no vault is given, so there is nothing to subscribe to'
    exit 0
}

foreach ($needed in $env:AZURE_SUBSCRIPTION_ID, $env:AZURE_RESOURCE_GROUP, $env:AZURE_LOCATION,
    $env:SERVICE_ROTATION_NAME, $env:SERVICE_ROTATION_ID, $env:HOST_STORAGE_ID) {
    if (-not $needed) { throw $how }
}
az account show --subscription $env:AZURE_SUBSCRIPTION_ID --output none 2>$null
if ($LASTEXITCODE -ne 0) {
    [Console]::Error.WriteLine("events: the Azure CLI is not signed in, or does not see the subscription $env:AZURE_SUBSCRIPTION_ID.")
    [Console]::Error.WriteLine('events: run az login, then this again: azd hooks run postdeploy')
    exit 1
}

$attempts = if ($env:EVENT_ATTEMPTS) { [int]$env:EVENT_ATTEMPTS } else { 60 }
$pause = if ($env:EVENT_PAUSE) { [int]$env:EVENT_PAUSE } else { 10 }
while ($true) {
    az functionapp function show --subscription $env:AZURE_SUBSCRIPTION_ID --resource-group $env:AZURE_RESOURCE_GROUP `
        --name $env:SERVICE_ROTATION_NAME --function-name near_expiry --output none 2>$null
    if ($LASTEXITCODE -eq 0) { break }
    $attempts -= 1
    if ($attempts -le 0) {
        [Console]::Error.WriteLine("events: Azure does not list the function near_expiry of $env:SERVICE_ROTATION_NAME.")
        [Console]::Error.WriteLine('events: is the code deployed (azd deploy)? Then run this again: azd hooks run postdeploy')
        exit 1
    }
    Write-Output 'events: waiting until Azure lists the function near_expiry'
    Start-Sleep -Seconds $pause
}

az deployment sub create --name "rotation-subscriptions-$env:SERVICE_ROTATION_NAME" --location $env:AZURE_LOCATION `
    --subscription $env:AZURE_SUBSCRIPTION_ID --template-file subscriptions.bicep --output none `
    --parameters "topicIds=$env:EVENT_TOPIC_IDS" "appId=$env:SERVICE_ROTATION_ID" "storageId=$env:HOST_STORAGE_ID" `
    "secretPrefix=$env:EVENT_SECRET_PREFIX"
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
Write-Output 'events: near_expiry is subscribed'
