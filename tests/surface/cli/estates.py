"""Names and small estates of the tests."""

from typing import Any

STORAGE = "stcontosoorders"
BATCH = "batchrendering"
PUBSUB = "wps-contoso-live"
SUBSCRIPTION = "/subscriptions/0c0ffee0-5d3a-4f43-9a52-6f1d1b7a7e55"
PUBSUB_ID = f"{SUBSCRIPTION}/resourceGroups/rg-live/providers/Microsoft.SignalRService/WebPubSub/{PUBSUB}"
STORAGE_ID = f"{SUBSCRIPTION}/resourceGroups/rg-orders/providers/Microsoft.Storage/storageAccounts/{STORAGE}"
DUE = "kv-orders/orders-storage-key"
ALSO_DUE = "kv-billing/orders-storage-key"
FRESH = "kv-orders/live-connection"
MICROSOFT_SQL = {
    "ProviderAddress": f"{SUBSCRIPTION}/resourceGroups/rg-orders/providers/Microsoft.Sql/servers/sql-orders",
    "CredentialId": "orders-administrator",
    "ValidityPeriodDays": "60",
}
"""What Microsoft's function for databases reads from a secret."""


def managed(name: str, account: str, slot: str, **told: Any) -> dict[str, Any]:
    """A secret that publishes an account, and is due unless told otherwise."""
    tags = {"resource-id": "{id}", "active-slot": "{slot}", "validity-days": "90", **told.pop("tags", {})}
    return {
        "name": name,
        "account": account,
        "slot": slot,
        "created": "P75D",
        "expires": "P15D",
        "tags": {tag: text for tag, text in tags.items() if text is not None},
        **told,
    }
