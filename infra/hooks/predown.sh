#!/bin/sh
# Stops `azd down` where it would do harm: it deletes every resource group that the newest deployment has touched,
# and with them the vaults and accounts whose keys are rotated. Only what the demo made may go that way.
set -eu
refuse() {
    echo "down: refused. azd would delete the resource groups of your vaults and accounts." >&2
    echo "down: docs/operations.md says how to remove the app alone." >&2
    exit 1
}

if [ "${EXISTING_TARGETS:-unknown}" != 0 ] || [ -n "${ROTATION_VAULT_IDS:-}${ROTATION_ACCOUNT_IDS:-}" ]; then
    refuse
fi

: "${AZURE_SUBSCRIPTION_ID:?run azd down, which knows what is deployed}" "${AZURE_ENV_NAME:?run azd down, which knows what is deployed}"

# These are of the last deployment from here that came to its end. One from elsewhere, as a pipeline, is known to Azure.
if ! ids="$(az deployment sub list --subscription "$AZURE_SUBSCRIPTION_ID" --output tsv \
    --query "max_by([?properties.parameters.vaultIds && properties.parameters.environmentName.value == '$AZURE_ENV_NAME'], &properties.timestamp).properties.parameters.[vaultIds.value, accountIds.value]")"; then
    echo "down: refused. Azure does not tell which vaults and accounts were deployed to." >&2
    echo "down: run az login with an account that sees the subscription $AZURE_SUBSCRIPTION_ID, then this again." >&2
    exit 1
fi
if [ -n "$(echo "$ids" | tr -d '[:space:]')" ]; then
    refuse
fi
