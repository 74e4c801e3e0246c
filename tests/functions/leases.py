"""The leases of the app's accounts as the storage emulator has them, for whoever plays another pass or an operator."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobLeaseClient, ContainerClient

CONTAINER = "rotation-leases"

_BLOBS = re.compile(r"(?<=BlobEndpoint=http://127\.0\.0\.1:)\d+")


def port(connection_string: str) -> int:
    """Where the emulator answers for blobs."""
    (found,) = _BLOBS.findall(connection_string)
    return int(found)


def reached_at(port: int, connection_string: str) -> str:
    """The connection string of an app that looks for its blobs at another port."""
    return _BLOBS.sub(str(port), connection_string)


def held(connection_string: str) -> list[str]:
    """The blobs that somebody holds a lease on."""
    with ContainerClient.from_connection_string(connection_string, CONTAINER) as container:
        return [blob.name for blob in container.list_blobs() if blob.lease.state == "leased"]


def break_off(connection_string: str) -> None:
    """End every lease at once, as an operator does in the portal."""
    with ContainerClient.from_connection_string(connection_string, CONTAINER) as container:
        for name in held(connection_string):
            BlobLeaseClient(container.get_blob_client(name)).break_lease(0)


def forget(connection_string: str) -> None:
    """Remove them all: a process that was killed in the test before has held on to its own."""
    container = ContainerClient.from_connection_string(connection_string, CONTAINER)
    with container, suppress(ResourceNotFoundError):
        container.delete_container()


@contextmanager
def all_taken(connection_string: str) -> Iterator[None]:
    """Hold the leases of all accounts that there were passes on, as another process would."""
    with ContainerClient.from_connection_string(connection_string, CONTAINER) as container:
        leases = [BlobLeaseClient(container.get_blob_client(blob.name)) for blob in container.list_blobs()]
        assert leases
        for lease in leases:
            lease.acquire(60)
        yield
        for lease in leases:
            lease.release()
