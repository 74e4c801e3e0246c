#!/bin/sh
# What a user would write over the Azure CLI, for storage and Batch accounts that are named on standard input as
# "KIND GROUP ACCOUNT SLOT VAULT SECRET" lines: renew the idle key, set the secret. `az webpubsub` is an extension.
set -eu
while read -r kind group account slot vault secret; do
    case "$kind" in
    storage)
        key="$(az storage account keys renew --resource-group "$group" --account-name "$account" --key "$slot" \
            --query "[?keyName=='$slot'].value | [0]" --output tsv)"
        ;;
    batch)
        key="$(az batch account keys renew --resource-group "$group" --name "$account" --key-name "$slot" \
            --query "$(echo "$slot" | tr '[:upper:]' '[:lower:]')" --output tsv)"
        ;;
    esac
    az keyvault secret set --vault-name "$vault" --name "$secret" --value "$key" --output none
done
