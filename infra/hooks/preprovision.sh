#!/bin/sh
# Registers what a private network needs: Azure registers by itself only the providers of resources that a template makes,
# and an app of this plan joins a subnet with the help of Microsoft.App, of which it makes none.
set -eu
case "${PRIVATE_NETWORK:-false}" in [Ff]alse) exit 0 ;; esac

if [ -z "${AZURE_SUBSCRIPTION_ID:-}" ]; then
    echo "network: choose the subscription first: azd env set AZURE_SUBSCRIPTION_ID ID" >&2
    exit 1
fi
if ! az account show --subscription "$AZURE_SUBSCRIPTION_ID" --output none 2>/dev/null; then
    echo "network: the Azure CLI is not signed in, or does not see the subscription $AZURE_SUBSCRIPTION_ID." >&2
    echo "network: run az login, then this again." >&2
    exit 1
fi

state="$(az provider show --namespace Microsoft.App --subscription "$AZURE_SUBSCRIPTION_ID" --query registrationState --output tsv)"
if [ "$state" = Registered ]; then
    exit 0
fi
echo "network: registering the provider Microsoft.App, which takes some minutes"
if ! az provider register --namespace Microsoft.App --subscription "$AZURE_SUBSCRIPTION_ID" --wait; then
    echo "network: the provider Microsoft.App is not registered, and no app joins a network without it." >&2
    echo "network: let a Contributor of the subscription run: az provider register --namespace Microsoft.App --subscription $AZURE_SUBSCRIPTION_ID --wait" >&2
    exit 1
fi
