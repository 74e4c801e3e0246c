"""Where the passes of a story hold their leases: the storage emulator, reached as Azure is, through the simulator."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.core.utils import parse_connection_string
from azure.storage.blob import BlobLeaseClient, ContainerClient

from tests.functions.leases import CONTAINER, port

HELD = "leased"


class LeaseStorage:
    """An emulator whose leases end when a story says so, and not a minute later."""

    def __init__(self, emulator: str, container: ContainerClient) -> None:
        parts = parse_connection_string(emulator, case_sensitive_keys=True)
        name, domain = parts["AccountName"], "core.windows.net"
        self._key = parts["AccountKey"]
        self.connection = (
            f"DefaultEndpointsProtocol=https;AccountName={name};AccountKey={self._key};EndpointSuffix={domain}"
        )
        """What an app is told that opens it with its key."""
        self.host = f"{name}.blob.{domain}"
        self.url = f"https://{self.host}/{CONTAINER}"
        """What one is told that signs in there."""
        self._port = port(emulator)
        self._container = container

    @property
    def elsewhere(self) -> dict[str, Any]:
        """What an estate has to say of it."""
        return {"elsewhere": [{"host": self.host, "port": self._port, "account_key": self._key}]}

    def run_out(self) -> None:
        """Let the minute be over after which the lease of a dead pass, or one that was not given back, has ended."""
        with suppress(ResourceNotFoundError):
            for blob in self._container.list_blobs():
                if blob.lease.state == HELD:
                    BlobLeaseClient(self._container.get_blob_client(blob.name)).break_lease(0)

    def forget(self) -> None:
        """Be as new: no pass ever came here."""
        with suppress(ResourceNotFoundError):
            self._container.delete_container()


@contextmanager
def lease_storage(emulator: str) -> Iterator[LeaseStorage]:
    """The leases on an emulator, told by its connection string."""
    with closing(ContainerClient.from_connection_string(emulator, CONTAINER)) as container:
        yield LeaseStorage(emulator, container)
