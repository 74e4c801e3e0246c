// Where a vault is; its system topic has to be in the same region.
param name string

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: name
}

output location string = vault.location
