"""Accounts as Azure Resource Manager describes them; the shapes are those of the official examples."""

from typing import Any

from simulator.accounts import BATCH, STORAGE, WEBPUBSUB, Account
from simulator.clock import stamp
from simulator.world import World


def described(account: Account, world: World) -> dict[str, Any]:
    """The account as GET shows it, with the estate's extra properties merged in."""
    world.settle(account)
    properties = {STORAGE: _storage, BATCH: _batch, WEBPUBSUB: _web_pubsub}[account.kind](account)
    return {
        "id": account.id,
        "name": account.name,
        "type": account.kind.resource_type,
        "location": account.location,
        "tags": {},
        **_shell(account),
        "properties": _merged(properties, account.properties),
    }


def _shell(account: Account) -> dict[str, Any]:
    if account.kind is STORAGE:
        return {"kind": "StorageV2", "sku": {"name": "Standard_LRS", "tier": "Standard"}}
    if account.kind is BATCH:
        return {"identity": {"type": "None"}}
    who = {"createdBy": "ops@contoso.example", "createdByType": "User", "createdAt": stamp(account.created)}
    changed = {"lastModifiedBy": who["createdBy"], "lastModifiedByType": "User", "lastModifiedAt": who["createdAt"]}
    return {
        "kind": "WebPubSub",
        "sku": {"name": "Standard_S1", "tier": "Standard", "size": "S1", "capacity": 1},
        "identity": {"type": "None"},
        "systemData": who | changed,
    }


def _storage(account: Account) -> dict[str, Any]:
    suffix = account.cloud.storage
    services = ("blob", "dfs", "file", "queue", "table", "web")
    enabled = {"enabled": True, "keyType": "Account", "lastEnabledTime": stamp(account.created)}
    return {
        "accessTier": "Hot",
        "accountMigrationInProgress": False,
        "allowCrossTenantDelegationSas": False,
        "allowBlobPublicAccess": False,
        "allowSharedKeyAccess": account.shared_keys,
        "creationTime": stamp(account.created),
        "encryption": {"keySource": "Microsoft.Storage", "services": {"blob": enabled, "file": enabled}},
        "isHnsEnabled": False,
        "isSkuConversionBlocked": False,
        "keyCreationTime": {slot: stamp(line.now.created) for slot, line in account.slots.items()},
        "minimumTlsVersion": "TLS1_2",
        "networkAcls": {
            "bypass": "AzureServices",
            "defaultAction": "Allow",
            "ipRules": [],
            "resourceAccessRules": [],
            "virtualNetworkRules": [],
        },
        "primaryEndpoints": {service: f"https://{account.name}.{service}.{suffix}/" for service in services},
        "primaryLocation": account.location,
        "privateEndpointConnections": [],
        "provisioningState": "Succeeded",
        "statusOfPrimary": "available",
        "supportsHttpsTrafficOnly": True,
    }


def _batch(account: Account) -> dict[str, Any]:
    modes = ["SharedKey", "AAD", "TaskAuthenticationToken"] if account.shared_keys else ["AAD"]
    return {
        "accountEndpoint": account.host,
        "activeJobAndJobScheduleQuota": 300,
        "allowedAuthenticationModes": modes,
        "dedicatedCoreQuota": 350,
        "lowPriorityCoreQuota": 100,
        "nodeManagementEndpoint": f"{account.name}.{account.location}.service.{account.cloud.batch}",
        "poolAllocationMode": "BatchService",
        "poolQuota": 100,
        "provisioningState": "Succeeded",
        "publicNetworkAccess": "Enabled",
    }


def _web_pubsub(account: Account) -> dict[str, Any]:
    return {
        "disableAadAuth": False,
        "disableLocalAuth": not account.shared_keys,
        "externalIP": "20.0.0.1",
        "hostName": account.host,
        "hostNamePrefix": account.name,
        "networkACLs": {
            "defaultAction": "Deny",
            "ipRules": [],
            "privateEndpoints": [],
            "publicNetwork": {"allow": ["ServerConnection", "ClientConnection", "RESTAPI", "Trace"]},
        },
        "privateEndpointConnections": [],
        "provisioningState": "Succeeded",
        "publicNetworkAccess": "Enabled",
        "publicPort": 443,
        "regionEndpointEnabled": "Enabled",
        "resourceStopped": "false",
        "serverPort": 443,
        "tls": {"clientCertEnabled": False},
        "version": "1.0",
    }


def _merged(base: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    both_dicts = {
        name: _merged(base[name], value)
        for name, value in extra.items()
        if isinstance(value, dict) and isinstance(base.get(name), dict)
    }
    return {**base, **extra, **both_dicts}
