"""Key Vault events as Event Grid delivers them, in both schemas and with the quirks of the documents' own samples.

Source: learn.microsoft.com/azure/event-grid/event-schema-key-vault.
"""

from typing import Any
from uuid import uuid4

from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient

NEAR_EXPIRY = "Microsoft.KeyVault.SecretNearExpiry"
EXPIRED = "Microsoft.KeyVault.SecretExpired"
TIME = "2026-01-02T03:04:05.1234567Z"
"""With seven digits of a second, as .NET writes them."""


def current_version(vault: str, secret: str) -> str:
    """The version of a secret that applications read now."""
    with (
        DefaultAzureCredential() as credential,
        SecretClient(f"https://{vault}.vault.azure.net", credential) as client,
    ):
        return str(client.get_secret(secret).properties.version)


def event_grid(vault: str, secret: str, version: str, kind: str = NEAR_EXPIRY, **told: Any) -> dict[str, Any]:
    """An event in Event Grid's own schema."""
    return {
        "id": str(uuid4()),
        "topic": f"/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/{vault}",
        "subject": secret,
        "eventType": kind,
        "eventTime": TIME,
        "data": _data(vault, secret, version),
        "dataVersion": "1",
        **told,
    }


def cloud_event(vault: str, secret: str, version: str, kind: str = NEAR_EXPIRY, **told: Any) -> dict[str, Any]:
    """An event as a CloudEvent."""
    return {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": f"/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/{vault}",
        "subject": secret,
        "type": kind,
        "time": TIME,
        "data": _data(vault, secret, version),
        **told,
    }


def quirky(event: dict[str, Any]) -> dict[str, Any]:
    """The same event with the blanks and the numbers in quotes that the documents' sample has."""
    data = {**event["data"], "Version": f" {event['data']['Version']}", "NBF": "1559081980", "EXP": "1559082102"}
    return {**event, "data": {f"{name} ": value for name, value in data.items()}}


def _data(vault: str, secret: str, version: str) -> dict[str, Any]:
    return {
        "Id": f"https://{vault}.vault.azure.net/secrets/{secret}/{version}",
        "VaultName": vault,
        "ObjectType": "Secret",
        "ObjectName": secret,
        "Version": version,
        "NBF": 1559081980,
        "EXP": 1559082102,
    }
