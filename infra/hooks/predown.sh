#!/bin/sh
# Stops `azd down` where it would do harm: it deletes every resource group that the deployment has touched,
# and with them the vaults and accounts whose keys are rotated. Only what the demo made may go that way.
set -eu
if [ "${EXISTING_TARGETS:-unknown}" != 0 ]; then
    echo "down: refused. azd would delete the resource groups of your vaults and accounts." >&2
    echo "down: docs/operations.md says how to remove the app alone." >&2
    exit 1
fi
