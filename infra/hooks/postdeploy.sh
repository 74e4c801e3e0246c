#!/bin/sh
# The second phase: subscribes the function near_expiry to the vaults' events once Azure lists it. Can be run again.
# azd sets the outputs of infra/main.bicep in the environment.
set -eu
how="run this through azd, which knows the outputs of infra/main.bicep: azd hooks run postdeploy"
: "${EVENT_ROUTE:?$how}"
cd "$(dirname "$0")/.."

if [ "$EVENT_ROUTE" != function ]; then
    echo "events: they go through the queue, which needs no second phase"
    exit 0
fi
if [ -z "${EVENT_TOPIC_IDS:-}" ]; then
    echo "events: no vault is given, so there is nothing to subscribe to"
    exit 0
fi

: "${AZURE_SUBSCRIPTION_ID:?$how}" "${AZURE_RESOURCE_GROUP:?$how}" "${AZURE_LOCATION:?$how}"
: "${SERVICE_ROTATION_NAME:?$how}" "${SERVICE_ROTATION_ID:?$how}" "${HOST_STORAGE_ID:?$how}"
if ! az account show --subscription "$AZURE_SUBSCRIPTION_ID" --output none 2>/dev/null; then
    echo "events: the Azure CLI is not signed in, or does not see the subscription $AZURE_SUBSCRIPTION_ID." >&2
    echo "events: run az login, then this again: azd hooks run postdeploy" >&2
    exit 1
fi

attempts="${EVENT_ATTEMPTS:-60}"
until az functionapp function show --subscription "$AZURE_SUBSCRIPTION_ID" --resource-group "$AZURE_RESOURCE_GROUP" --name "$SERVICE_ROTATION_NAME" \
    --function-name near_expiry --output none 2>/dev/null; do
    attempts=$((attempts - 1))
    if [ "$attempts" -le 0 ]; then
        echo "events: Azure does not list the function near_expiry of $SERVICE_ROTATION_NAME." >&2
        echo "events: is the code deployed (azd deploy)? Then run this again: azd hooks run postdeploy" >&2
        exit 1
    fi
    echo "events: waiting until Azure lists the function near_expiry"
    sleep "${EVENT_PAUSE:-10}"
done

az deployment sub create --name "rotation-subscriptions-$SERVICE_ROTATION_NAME" --location "$AZURE_LOCATION" \
    --subscription "$AZURE_SUBSCRIPTION_ID" --template-file subscriptions.bicep --output none \
    --parameters "topicIds=$EVENT_TOPIC_IDS" "appId=$SERVICE_ROTATION_ID" "storageId=$HOST_STORAGE_ID" \
    "secretPrefix=${EVENT_SECRET_PREFIX:-}"
echo "events: near_expiry is subscribed"
