"""One file per service whose accounts have two keys, found by resource type."""

from collections.abc import Iterable, Iterator

from rotation.cloud.connection import Connection
from rotation.errors import Refused
from rotation.ports import Provider
from rotation.providers.batch import Batch
from rotation.providers.storage import Storage
from rotation.providers.webpubsub import WebPubSub


class Providers:
    """The services that we know."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        self._by_type = {provider.resource_type.lower(): provider for provider in providers}

    def for_type(self, resource_type: str) -> Provider:
        """Find the provider of a resource type, whatever its case; an unknown one is Refused."""
        try:
            return self._by_type[resource_type.lower()]
        except KeyError:
            known = ", ".join(provider.resource_type for provider in self)
            raise Refused(f"accounts of type {resource_type} are unknown here; known are {known}") from None

    def __iter__(self) -> Iterator[Provider]:
        return iter(self._by_type.values())


def all_providers(connection: Connection, own_storage: frozenset[str]) -> Providers:
    """Every provider there is; each imports its SDK when it first needs it."""
    return Providers((Batch(connection), Storage(connection, own_storage), WebPubSub(connection)))
