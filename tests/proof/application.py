"""Applications: each reads its secret, and signs a request with the key in it, by the services' own clients."""

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from azure.batch.aio import BatchClient
from azure.core.credentials import AzureKeyCredential, AzureNamedKeyCredential
from azure.core.exceptions import AzureError
from azure.core.utils import parse_connection_string
from azure.keyvault.secrets.aio import SecretClient
from azure.messaging.webpubsubservice.aio import WebPubSubServiceClient
from azure.storage.blob.aio import BlobServiceClient

from tests.integration.estates import NAMES
from tests.proof.machine import Machine

ENDPOINTS = {
    "storage": f"https://{NAMES['storage']}.blob.core.windows.net",
    "batch": f"https://{NAMES['batch']}.westeurope.batch.azure.com",
    "webpubsub": f"https://{NAMES['webpubsub']}.webpubsub.azure.com",
}
"""What an application has in its own settings when its secret is nothing but a key."""


class Applications:
    """The readers of an estate's secrets, which are told as `vault/name`."""

    def __init__(self, machine: Machine, service: str, secrets: Iterable[str]) -> None:
        self._machine = machine
        self._service = service
        self._secrets = tuple(secrets)
        self._options = machine.connection.probe_options()
        self._vaults = {
            name: SecretClient(url, machine.connection.credential, **self._options)
            for name, url in machine.settings.vaults.items()
        }

    def shut_out(self) -> dict[str, str]:
        """Let each application do its work now; those that cannot, with what they were told."""
        return self._machine.run(self._shut_out())

    async def _shut_out(self) -> dict[str, str]:
        told = {}
        for secret in self._secrets:
            vault, _, name = secret.partition("/")
            value = (await self._vaults[vault].get_secret(name)).value or ""
            try:
                await WORK[self._service](*found_in(value, self._service), self._options)
            except AzureError as refusal:
                told[secret] = type(refusal).__name__
        return told


def found_in(value: str, service: str) -> tuple[str, str]:
    """The endpoint and the key that an application takes out of the value of its secret."""
    if value.startswith("{"):
        told = json.loads(value)
        return told["endpoint"], told["key"]
    if ";" not in value:
        return ENDPOINTS[service], value
    parts = parse_connection_string(value)
    if service == "webpubsub":
        return parts["endpoint"], parts["accesskey"]
    return f"https://{parts['accountname']}.blob.{parts['endpointsuffix']}", parts["accountkey"]


async def _ask_blobs(endpoint: str, key: str, options: dict[str, Any]) -> None:
    signs = {"account_name": NAMES["storage"], "account_key": key}
    await BlobServiceClient(endpoint, signs, **options).get_account_information()


async def _ask_pools(endpoint: str, key: str, options: dict[str, Any]) -> None:
    pools = BatchClient(endpoint, AzureNamedKeyCredential(NAMES["batch"], key), **options).list_pools(max_results=1)
    await anext(pools.by_page())


async def _greet(endpoint: str, key: str, options: dict[str, Any]) -> None:
    await WebPubSubServiceClient(endpoint, "orders", AzureKeyCredential(key), **options).send_to_all({"say": "hello"})


WORK: dict[str, Callable[[str, str, dict[str, Any]], Awaitable[None]]] = {
    "storage": _ask_blobs,
    "batch": _ask_pools,
    "webpubsub": _greet,
}
