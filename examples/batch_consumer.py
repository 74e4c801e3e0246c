"""An application on Azure Batch; its secret holds JSON with the account, its endpoint and a key.

python -m examples.batch_consumer kv-billing/rendering-account
"""

import json
import sys

from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential

from examples.consuming import announce, options, run
from examples.rotating_client import RotatingClient


def connect(value: str) -> BatchClient:
    """Make a client from what the secret holds; called once per key."""
    told = json.loads(value)
    announce("batch", told["key"])
    return BatchClient(told["endpoint"], AzureNamedKeyCredential(told["account"], told["key"]))


def list_pools(client: BatchClient) -> list[str]:
    """Do what the application does; pages are read to the end in here, so that a refusal shows in here."""
    return [pool.id for pool in client.list_pools()]


def main() -> int:
    """Read the pools again and again."""
    told = options(__doc__)
    rendering = RotatingClient(told.secrets, told.name, connect, max_age=told.max_age)
    return run("batch", rendering, list_pools)


if __name__ == "__main__":
    sys.exit(main())
