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

# The templates split lists at commas and ids at slashes: whatever else there is would fail late, or be something else.
# Blanks around an entry do no harm; a line end anywhere is one that azd cannot read.
# Each entry is told by its place in the list, as it may be one of hundreds.
command -v awk >/dev/null || { echo "ids: awk is not installed, which looks at the lists" >&2; exit 1; }
check() {
    printf %s "$2" | awk -v RS=, -v name="$1" -v pattern="^$3\$" -v wanted="$4" '{
        gsub(/^ +| +$/, "")
        if ($0 != "" && (/[[:cntrl:]]/ || tolower($0) !~ tolower(pattern))) {
            gsub(/[[:space:]]+/, " "); print "ids: " name ", entry " NR ": not " wanted ": " $0; bad = 1
        }
    } END { exit bad }' >&2
}
bad=
check ROTATION_VAULT_IDS "${ROTATION_VAULT_IDS:-}" \
    '/subscriptions/[a-z0-9-]+/resourceGroups/[^/ "]+/providers/Microsoft[.]KeyVault/vaults/[a-z0-9-]+' \
    'the id of a vault, as az keyvault show --query id tells it' || bad=yes
check ROTATION_ACCOUNT_IDS "${ROTATION_ACCOUNT_IDS:-}" \
    '/subscriptions/[a-z0-9-]+/resourceGroups/[^/ "]+/providers/Microsoft[.](Batch/batchAccounts|Storage/storageAccounts|SignalRService/webPubSub)/[a-z0-9-]+' \
    'the id of an account, as az batch account, storage account or webpubsub show --query id tells it' || bad=yes
check EVENT_SYSTEM_TOPICS "${EVENT_SYSTEM_TOPICS:-}" \
    '[a-z0-9-]+=/subscriptions/[a-z0-9-]+/resourceGroups/[^/ "]+/providers/Microsoft[.]EventGrid/systemTopics/[a-z0-9-]+' \
    'VAULT-NAME=TOPIC-ID, with the id as az eventgrid system-topic show --query id tells it' || bad=yes
if [ -n "$bad" ]; then
    echo "ids: entries have commas between them and nothing else; an id ends with a name. Set the list again: azd env set NAME \"ENTRY,ENTRY\"" >&2
    exit 1
fi

# An app without vaults refuses to begin, and does so after everything is deployed.
case "${DEMO:-false}" in
[Ff][Aa][Ll][Ss][Ee] | [Ff] | 0)
    if [ -z "$(printf %s "${ROTATION_VAULT_IDS:-}" | tr -d ',[:space:]')" ]; then
        echo "ids: no vault is given. azd env set ROTATION_VAULT_IDS \"ID,ID\"; or, to try it on new ones, azd env set DEMO true" >&2
        exit 1
    fi
    ;;
esac

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
