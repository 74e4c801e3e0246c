"""The data planes open for both current keys and for no other, with the clients' own signatures."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from azure.batch import BatchClient
from azure.batch.aio import BatchClient as AioBatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.messaging.webpubsubservice import WebPubSubServiceClient
from azure.messaging.webpubsubservice.aio import WebPubSubServiceClient as AioWebPubSubServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.blob.aio import BlobServiceClient as AioBlobServiceClient

from simulator.client import ControlClient
from tests.conformance.simulator.clients import sync_clients
from tests.conformance.simulator.wire import send

BLOB_URL = "https://stcontosoorders.blob.core.windows.net"
BATCH_URL = "https://batchrendering.westeurope.batch.azure.com"
FOREIGN_KEY = {"storage": "A" * 86 + "==", "batch": "A" * 86 + "==", "webpubsub": "A" * 43 + "="}
NAMES = {"storage": "stcontosoorders", "batch": "batchrendering", "webpubsub": "wps-contoso-live"}
KINDS = sorted(NAMES)
SLOTS = {"storage": ("key1", "key2"), "batch": ("Primary", "Secondary"), "webpubsub": ("Primary", "Secondary")}


def keys_of(kind: str) -> dict[str, str]:
    """The keys that the control plane lists, by slot."""
    with sync_clients() as clients:
        if kind == "storage":
            listed = clients.storage.storage_accounts.list_keys("rg-orders", NAMES[kind])
            return {key.key_name: key.value for key in listed.keys_property}
        if kind == "batch":
            told = clients.batch.batch_account.get_keys("rg-rendering", NAMES[kind])
            return {"Primary": told.primary, "Secondary": told.secondary}
        told = clients.web_pubsub.web_pub_sub.list_keys("rg-live", NAMES[kind])
        return {"Primary": told.primary_key, "Secondary": told.secondary_key}


@contextmanager
def blob_client(key: str) -> Iterator[BlobServiceClient]:
    """The storage account, opened with a key."""
    with BlobServiceClient(BLOB_URL, {"account_name": NAMES["storage"], "account_key": key}) as client:
        yield client


def use(kind: str, key: str) -> object:
    """Do the cheapest thing that needs the key; raises what the client raises."""
    if kind == "storage":
        with blob_client(key) as client:
            return client.get_service_properties()
    if kind == "batch":
        with BatchClient(BATCH_URL, AzureNamedKeyCredential(NAMES[kind], key)) as client:
            return list(client.list_pools(max_results=1))
    connection = f"Endpoint=https://{NAMES[kind]}.webpubsub.azure.com;AccessKey={key};Version=1.0;"
    with WebPubSubServiceClient.from_connection_string(connection, hub="probe") as client:
        return client.connection_exists("probe")


async def use_aio(kind: str, key: str) -> object:
    """The same with aio clients."""
    if kind == "storage":
        credential = {"account_name": NAMES[kind], "account_key": key}
        async with AioBlobServiceClient(BLOB_URL, credential) as client:
            return await client.get_service_properties()
    if kind == "batch":
        async with AioBatchClient(BATCH_URL, AzureNamedKeyCredential(NAMES[kind], key)) as client:
            return [pool async for pool in client.list_pools(max_results=1)]
    connection = f"Endpoint=https://{NAMES[kind]}.webpubsub.azure.com;AccessKey={key};Version=1.0;"
    async with AioWebPubSubServiceClient.from_connection_string(connection, hub="probe") as client:
        return await client.connection_exists("probe")


def opens(kind: str, key: str) -> bool:
    """Whether the key opens the account."""
    try:
        use(kind, key)
    except HttpResponseError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("simulator")
async def test_both_keys_open_and_a_foreign_one_does_not(kind: str) -> None:
    """Each slot's key is good, for sync and aio clients; another account's key is not."""
    for key in keys_of(kind).values():
        use(kind, key)
        await use_aio(kind, key)

    with pytest.raises(HttpResponseError) as refused:
        use(kind, FOREIGN_KEY[kind])
    with pytest.raises(HttpResponseError) as refused_aio:
        await use_aio(kind, FOREIGN_KEY[kind])

    expected = {"storage": 403, "batch": 403, "webpubsub": 401}[kind]
    assert [refused.value.status_code, refused_aio.value.status_code] == [expected, expected]


@pytest.mark.parametrize("slot", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_regenerated_key_closes_at_once(simulator: ControlClient, kind: str, slot: int) -> None:
    """The old key of the slot is dead, the new one and the other slot's are good."""
    before = keys_of(kind)
    name = SLOTS[kind][slot]

    simulator.regenerate(NAMES[kind], name)

    after = keys_of(kind)
    assert not opens(kind, before[name])
    assert all(opens(kind, key) for key in after.values())
    assert after[SLOTS[kind][1 - slot]] == before[SLOTS[kind][1 - slot]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_key_may_be_accepted_late(simulator: ControlClient, kind: str) -> None:
    """For as long as the new key travels, the slot has no key that opens."""
    simulator.behave(propagation_delay=60)
    before = keys_of(kind)
    second = SLOTS[kind][1]

    simulator.regenerate(NAMES[kind], second)

    after = keys_of(kind)
    assert after[second] != before[second]
    assert [opens(kind, before[second]), opens(kind, after[second])] == [False, False]
    assert opens(kind, after[SLOTS[kind][0]])
    assert simulator.account(NAMES[kind])["slots"][second]["accepted"] is False

    simulator.behave(clock_offset=61)

    assert opens(kind, after[second])


def test_a_web_pubsub_key_works_until_the_operation_ends(simulator: ControlClient) -> None:
    """The key that was promised in the first answer opens only when the operation has succeeded."""
    simulator.behave(operation_seconds=0.5)
    before = keys_of("webpubsub")
    with sync_clients() as clients:
        regenerate = clients.web_pubsub.web_pub_sub.begin_regenerate_key
        poller = regenerate("rg-live", NAMES["webpubsub"], {"keyType": "Secondary"})
        assert opens("webpubsub", before["Secondary"])
        poller.wait()

    after = keys_of("webpubsub")
    assert [opens("webpubsub", before["Secondary"]), opens("webpubsub", after["Secondary"])] == [False, True]


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("storage", 403, "KeyBasedAuthenticationNotPermitted"),
        ("batch", 403, "The specified type of authentication SharedKey is not allowed for this account"),
        ("webpubsub", 401, ""),
    ],
)
def test_an_account_without_shared_keys_refuses_them(
    simulator: ControlClient, kind: str, status: int, code: str
) -> None:
    """A key that would be right is refused, and the refusal says why where the service does."""
    key = keys_of(kind)[SLOTS[kind][0]]
    simulator.change_account(NAMES[kind], shared_keys=False)

    with pytest.raises(HttpResponseError) as refused:
        use(kind, key)

    assert refused.value.status_code == status
    assert code in str(refused.value)


@pytest.mark.usefixtures("simulator")
def test_a_wrong_storage_key_is_refused_as_the_client_expects() -> None:
    """Code in the header and in the XML."""
    with pytest.raises(ClientAuthenticationError) as refused:
        use("storage", FOREIGN_KEY["storage"])

    assert refused.value.error_code == "AuthenticationFailed"  # type: ignore[attr-defined]  # added by the SDK


@pytest.mark.usefixtures("simulator")
def test_a_wrong_batch_key_is_refused_as_recorded() -> None:
    """OData with its own content type."""
    with pytest.raises(HttpResponseError) as refused:
        use("batch", FOREIGN_KEY["batch"])

    answer: Any = refused.value.response
    assert answer.headers["content-type"] == "application/json;odata=minimalmetadata"
    assert answer.json()["code"] == "AuthenticationFailed"
    assert answer.json()["message"].keys() == {"lang", "value"}


@pytest.mark.usefixtures("simulator")
def test_an_old_signature_is_refused() -> None:
    """A captured request cannot be sent again a quarter of an hour later."""
    stale = {"x-ms-date": "Thu, 01 May 2031 00:00:00 GMT", "Authorization": f"SharedKey {NAMES['storage']}:AAAA"}

    answer = send("GET", f"{BLOB_URL}/?restype=service&comp=properties", headers=stale)

    assert (answer.status, answer.headers["x-ms-error-code"]) == (403, "AuthenticationFailed")


@pytest.mark.usefixtures("simulator")
def test_health_needs_no_key_and_proves_nothing() -> None:
    """A probe that asks for health would call any key good."""
    answer = send("GET", "https://wps-contoso-live.webpubsub.azure.com/api/health?api-version=2024-12-01")

    assert answer.status == 200


@pytest.mark.usefixtures("simulator")
def test_a_consumer_can_work_with_blobs() -> None:
    """Containers and block blobs are made, listed, read and deleted; contents survive."""
    content = uuid.uuid4().bytes * 1000
    with blob_client(keys_of("storage")["key1"]) as client:
        assert client.get_account_information()["account_kind"] == "StorageV2"
        container = client.create_container("orders")
        container.upload_blob("2031/may 1.bin", content)
        container.upload_blob("empty", b"")
        assert [item.name for item in client.list_containers()] == ["orders"]
        assert [blob.name for blob in container.list_blobs(name_starts_with="2031/")] == ["2031/may 1.bin"]
        assert container.download_blob("2031/may 1.bin").readall() == content
        assert container.download_blob("empty").readall() == b""
        blob = container.get_blob_client("2031/may 1.bin")
        assert blob.get_blob_properties().size == len(content)
        blob.delete_blob()
        assert not blob.exists()
        container.delete_container()
        with pytest.raises(ResourceNotFoundError):
            container.get_container_properties()


@pytest.mark.usefixtures("simulator")
def test_a_consumer_can_work_with_batch() -> None:
    """Lists are empty, and a pool that is not there is not found."""
    key = AzureNamedKeyCredential(NAMES["batch"], keys_of("batch")["Secondary"])
    with BatchClient(BATCH_URL, key) as client:
        assert list(client.list_applications()) == []
        with pytest.raises(ResourceNotFoundError) as missing:
            client.get_pool("nothing")

    assert missing.value.status_code == 404


@pytest.mark.usefixtures("simulator")
def test_a_consumer_can_work_with_web_pubsub() -> None:
    """Messages are accepted for all and for a group; nobody is connected."""
    key = keys_of("webpubsub")["Secondary"]
    connection = f"Endpoint=https://wps-contoso-live.webpubsub.azure.com;AccessKey={key};Version=1.0;"
    with ExitStack() as stack:
        client = stack.enter_context(WebPubSubServiceClient.from_connection_string(connection, hub="orders"))
        client.send_to_all({"order": 1})
        client.send_to_group("europe", "hello", content_type="text/plain")
        assert not client.connection_exists("nobody")
