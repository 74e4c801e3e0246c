"""An application on Azure Storage; its secret holds a connection string.

python -m examples.storage_consumer kv-orders/orders-storage-connection
"""

import sys

from azure.core.utils import parse_connection_string
from azure.storage.blob import BlobServiceClient

from examples.consuming import announce, options, run
from examples.rotating_client import RotatingClient


def connect(connection_string: str) -> BlobServiceClient:
    """Make a client from what the secret holds; called once per key."""
    announce("storage", parse_connection_string(connection_string)["accountkey"])
    return BlobServiceClient.from_connection_string(connection_string)


def list_containers(client: BlobServiceClient) -> list[str]:
    """Do what the application does; pages are read to the end in here, so that a refusal shows in here."""
    return [container.name for container in client.list_containers()]


def main() -> int:
    """Read the containers again and again."""
    told = options(__doc__)
    blobs = RotatingClient(told.secrets, told.name, connect, max_age=told.max_age)
    return run("storage", blobs, list_containers)


if __name__ == "__main__":
    sys.exit(main())
