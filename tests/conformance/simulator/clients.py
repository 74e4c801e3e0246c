"""Real clients, sync and aio, made as an application makes them."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from azure.identity import ManagedIdentityCredential
from azure.identity.aio import ManagedIdentityCredential as AioManagedIdentityCredential
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets.aio import SecretClient as AioSecretClient
from azure.mgmt.batch import BatchManagementClient
from azure.mgmt.batch.aio import BatchManagementClient as AioBatchManagementClient
from azure.mgmt.storage import StorageManagementClient
from azure.mgmt.storage.aio import StorageManagementClient as AioStorageManagementClient
from azure.mgmt.webpubsub import WebPubSubManagementClient
from azure.mgmt.webpubsub.aio import WebPubSubManagementClient as AioWebPubSubManagementClient

VAULT_URL = "https://kv-orders.vault.azure.net"


@dataclass(frozen=True, slots=True)
class Clients:
    """One client per service; the types differ between sync and aio, the calls do not."""

    vault: Any
    storage: Any
    batch: Any
    web_pubsub: Any


@contextmanager
def sync_clients(**options: Any) -> Iterator[Clients]:
    """Clients that block."""
    subscription = os.environ["AZURE_SUBSCRIPTION_ID"]
    with ExitStack() as stack:
        credential = stack.enter_context(ManagedIdentityCredential())
        yield Clients(
            vault=stack.enter_context(SecretClient(VAULT_URL, credential, **options)),
            storage=stack.enter_context(StorageManagementClient(credential, subscription, **options)),
            batch=stack.enter_context(BatchManagementClient(credential, subscription, **options)),
            web_pubsub=stack.enter_context(
                WebPubSubManagementClient(credential, subscription, polling_interval=0.1, **options)
            ),
        )


@asynccontextmanager
async def aio_clients(**options: Any) -> AsyncIterator[Clients]:
    """Clients to await."""
    subscription = os.environ["AZURE_SUBSCRIPTION_ID"]
    async with AsyncExitStack() as stack:
        credential = await stack.enter_async_context(AioManagedIdentityCredential())
        yield Clients(
            vault=await stack.enter_async_context(AioSecretClient(VAULT_URL, credential, **options)),
            storage=await stack.enter_async_context(AioStorageManagementClient(credential, subscription, **options)),
            batch=await stack.enter_async_context(AioBatchManagementClient(credential, subscription, **options)),
            web_pubsub=await stack.enter_async_context(
                AioWebPubSubManagementClient(credential, subscription, polling_interval=0.1, **options)
            ),
        )
