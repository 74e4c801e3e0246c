# Stops `azd down` where it would do harm: it deletes every resource group that the deployment has touched,
# and with them the vaults and accounts whose keys are rotated. Only what the demo made may go that way.
if ($env:EXISTING_TARGETS -ne '0') {
    [Console]::Error.WriteLine('down: refused. azd would delete the resource groups of your vaults and accounts.')
    [Console]::Error.WriteLine('down: docs/operations.md says how to remove the app alone.')
    exit 1
}
