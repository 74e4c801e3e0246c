"""What a user would write: the synchronous SDKs, doing what Microsoft's rotation function does.

    python -m bench.script THREADS < secrets.json

For each secret: read it, regenerate the key that its tag does not name, list the keys, set the secret. Nothing is
checked, tried or confirmed, nothing keeps two of them apart, and a failure in between leaves what it leaves.
"""

import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient
from azure.mgmt.batch import BatchManagementClient
from azure.mgmt.storage import StorageManagementClient
from azure.mgmt.webpubsub import WebPubSubManagementClient
from azure.mgmt.webpubsub.models import RegenerateKeyParameters

OTHER = {"key1": "key2", "key2": "key1", "Primary": "Secondary", "Secondary": "Primary"}


@cache
def credential() -> DefaultAzureCredential:
    """One for all clients."""
    return DefaultAzureCredential()


@cache
def vault(name: str) -> SecretClient:
    """One client for each vault."""
    return SecretClient(f"https://{name}.vault.azure.net", credential())


@cache
def management(kind: str) -> Any:  # noqa: ANN401  clients have no type in common
    """One client for each service."""
    clients = {
        "storage": StorageManagementClient,
        "batch": BatchManagementClient,
        "webpubsub": WebPubSubManagementClient,
    }
    return clients[kind](credential(), os.environ["AZURE_SUBSCRIPTION_ID"])


def regenerate(kind: str, group: str, name: str, slot: str) -> str:
    """Regenerate a key, and read it from the list of keys."""
    client = management(kind)
    if kind == "storage":
        client.storage_accounts.regenerate_key(group, name, {"keyName": slot})
        keys = client.storage_accounts.list_keys(group, name).keys_property
        return str(next(key.value for key in keys if key.key_name == slot))
    if kind == "batch":
        client.batch_account.regenerate_key(group, name, {"keyName": slot})
        keys = client.batch_account.get_keys(group, name)
        return str(keys.primary if slot == "Primary" else keys.secondary)
    client.web_pub_sub.begin_regenerate_key(group, name, RegenerateKeyParameters(key_type=slot)).wait()
    keys = client.web_pub_sub.list_keys(group, name)
    return str(keys.primary_key if slot == "Primary" else keys.secondary_key)


def rotate(secret: dict[str, str]) -> None:
    """Rotate one account by its one secret."""
    secrets = vault(secret["vault"])
    tags = dict(secrets.get_secret(secret["name"]).properties.tags or {})
    _, _, _, _, group, _, provider, _, name = tags["resource-id"].split("/")
    slot = OTHER[tags["active-slot"]]
    kind = {"microsoft.storage": "storage", "microsoft.batch": "batch"}.get(provider.lower(), "webpubsub")
    key = regenerate(kind, group, name, slot)
    expires = datetime.now(UTC) + timedelta(days=int(tags["validity-days"]))  # noqa: TID251  a script of its own
    secrets.set_secret(secret["name"], key, expires_on=expires, tags={**tags, "active-slot": slot})


def main(threads: int) -> dict[str, float]:
    """Rotate what standard input names."""
    due = json.load(sys.stdin)
    cpu, started = time.process_time(), time.monotonic()
    if threads == 1:
        for secret in due:
            rotate(secret)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(rotate, due))
    return {"wall": time.monotonic() - started, "cpu": time.process_time() - cpu, "threads": threading.active_count()}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))  # noqa: T201  what it is for
