#!/bin/sh
# Refuses what would be deployed wrongly or fail late, then registers what a private network needs.
set -eu

# Nobody reads these, so that the app would have defaults instead; those of the other names are outputs and ids.
settings="$(azd env get-values --no-prompt 2>/dev/null | sed -n 's/^\(ROTATION_[A-Z_]*\)="\{0,1\}[^"].*/\1/p' |
    grep -Evx 'ROTATION_(VAULTS|LEASES|VAULT_IDS|ACCOUNT_IDS)' || true)"
for name in $settings; do
    echo "settings: no deployment reads $name. Run azd env set DEPLOY_$name VALUE, then azd env set $name \"\"" >&2
done
[ -z "$settings" ] || exit 1

# The templates take ids apart, and their complaint would be of an array.
refuse_names() {
    names="$(echo "$2" | tr , '\n' | tr -d ' ' | grep . |
        grep -Eivx '/subscriptions/[^/]+/resourceGroups/[^/]+/providers/[^/]+/[^/]+/[^/]+/?' | tr '\n' ' ' || true)"
    if [ -n "$names" ]; then
        echo "ids: in $1 these are no ids of resources: $names" >&2
        echo "ids: an id begins with /subscriptions/, and is what az keyvault show or az storage account show tells with --query id" >&2
        exit 1
    fi
}
refuse_names ROTATION_VAULT_IDS "${ROTATION_VAULT_IDS:-}"
refuse_names ROTATION_ACCOUNT_IDS "${ROTATION_ACCOUNT_IDS:-}"

# Azure registers by itself only the providers of resources that a template makes, and an app of this plan joins a subnet
# with the help of Microsoft.App, of which it makes none.
case "${PRIVATE_NETWORK:-false}" in [Ff][Aa][Ll][Ss][Ee] | [Ff] | 0) exit 0 ;; esac

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
