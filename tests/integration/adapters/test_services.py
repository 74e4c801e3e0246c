"""What is peculiar to each service: its connection strings, its refusals, and Web PubSub's long operation."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from azure.batch.aio import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.messaging.webpubsubservice.aio import WebPubSubServiceClient
from azure.storage.blob.aio import BlobServiceClient

from rotation.errors import NotYetTrue, Refused, SharedKeyOff, Transient, Unexpected
from rotation.model import AccountId, Format, Reason, Sensitive
from rotation.ports import Description, Probe, Provider
from simulator.client import ControlClient
from tests.integration.adapters.hasty import Hasty, hasty_world
from tests.leases import HELD
from tests.seeing import regenerates

SERVICES = ("Blob", "Queue", "Table", "File")
OPERATION = "/operationStatuses/"
STATUS_RIGHTS = {
    False: "Microsoft.SignalRService/webPubSub/operationStatuses/read",
    True: "Microsoft.SignalRService/locations/operationStatuses/webpubsub/read",
}
"""The right to see how an operation goes: at the account, and at its location."""


@dataclass(frozen=True, slots=True)
class Service:
    """One account, its provider, and the clock that it waits by."""

    provider: Provider
    account: AccountId
    clock: Hasty


async def service(simulator: ControlClient, kind: str, **environment: str) -> AsyncIterator[Service]:
    """The account of that kind in the default estate."""
    account = next(AccountId.parse(told["id"]) for told in simulator.accounts() if told["type"] == kind)
    async with hasty_world(**environment) as (world, clock):
        yield Service(world.tools.providers.for_type(account.resource_type), account, clock)


@pytest.fixture
async def storage(simulator: ControlClient) -> AsyncIterator[Service]:
    """A storage account."""
    async for found in service(simulator, "storage"):
        yield found


@pytest.fixture
async def batch(simulator: ControlClient) -> AsyncIterator[Service]:
    """A Batch account."""
    async for found in service(simulator, "batch"):
        yield found


@pytest.fixture
async def webpubsub(simulator: ControlClient) -> AsyncIterator[Service]:
    """A Web PubSub service."""
    async for found in service(simulator, "webpubsub"):
        yield found


async def published(found: Service, form: Format) -> str:
    """What a publication of the second slot would hold."""
    description = await found.provider.describe(found.account)
    keys = await found.provider.list_keys(found.account)
    return found.provider.render(description, keys[found.provider.slots[1]], form).reveal()


async def test_an_application_opens_storage_with_what_is_published(storage: Service) -> None:
    """The connection string has the portal's form, and opens the account by the SDK's own reading of it."""
    text = await published(storage, Format.CONNECTION_STRING)
    async with BlobServiceClient.from_connection_string(text) as client:
        assert await client.get_account_information()
    content = json.loads(await published(storage, Format.JSON))
    named_key = {"account_name": content["account"], "account_key": content["key"]}
    async with BlobServiceClient(content["endpoint"], named_key) as client:
        assert await client.get_account_information()

    start, _, end = text.partition(";AccountKey=")
    assert f"DefaultEndpointsProtocol=https;AccountName={storage.account.name}" == start
    assert "EndpointSuffix=core.windows.net" == end.partition(";")[2]


async def test_an_application_opens_batch_with_what_is_published(batch: Service) -> None:
    """Batch has no connection string; its JSON has all that its client wants."""
    text = await published(batch, Format.JSON)
    content = json.loads(text)
    credential = AzureNamedKeyCredential(content["account"], content["key"])
    async with BatchClient(content["endpoint"], credential) as client:
        assert [] == [pool async for pool in client.list_pools()]

    assert ["account", "endpoint", "key"] == list(content)
    assert " " not in text


async def test_an_application_opens_web_pubsub_with_what_is_published(webpubsub: Service) -> None:
    """The connection string has the portal's form, down to the semicolon at its end."""
    text = await published(webpubsub, Format.CONNECTION_STRING)
    async with WebPubSubServiceClient.from_connection_string(text, "chat") as client:
        assert not await client.connection_exists("nobody")

    assert text.startswith(f"Endpoint=https://{webpubsub.account.name}.webpubsub.azure.com;AccessKey=")
    assert text.endswith(";Version=1.0;")


@pytest.mark.parametrize(
    ("endpoint", "rest"),
    [
        ("https://stone.blob.core.chinacloudapi.cn", "EndpointSuffix=core.chinacloudapi.cn"),
        ("https://stone.file.core.windows.net", "EndpointSuffix=core.windows.net"),
        (
            "https://stone.z01.blob.storage.azure.net",
            ";".join(f"{s}Endpoint=https://stone.z01.{s.lower()}.storage.azure.net/" for s in SERVICES),
        ),
    ],
)
async def test_a_connection_string_follows_the_endpoint(storage: Service, endpoint: str, rest: str) -> None:
    """The suffix is the account's own; an account in a DNS zone has none, so its endpoints are spelled out."""
    account = AccountId.parse(str(storage.account).replace(storage.account.name, "stone"))
    description = Description(account, endpoint)
    text = storage.provider.render(description, Sensitive("bm90IGEga2V5"), Format.CONNECTION_STRING).reveal()

    assert f"DefaultEndpointsProtocol=https;AccountName=stone;AccountKey=bm90IGEga2V5;{rest}" == text
    if ".blob." in endpoint:
        async with BlobServiceClient.from_connection_string(text) as client:
            assert endpoint == client.url.rstrip("/")


@pytest.mark.parametrize("endpoint", ["https://files.example.com", "https://stother.blob.core.windows.net"])
async def test_an_endpoint_that_does_not_name_the_account_is_refused(storage: Service, endpoint: str) -> None:
    """S4: a suffix that cannot be derived is not guessed."""
    with pytest.raises(Refused, match=endpoint):
        storage.provider.render(Description(storage.account, endpoint), Sensitive("key"), Format.CONNECTION_STRING)


async def test_an_account_without_blobs_is_described_but_not_probed(simulator: ControlClient) -> None:
    """Premium file shares have keys too, and a data plane that the blob client does not speak."""
    endpoints = {"blob": None, "file": "https://stfiles.file.core.windows.net/"}
    files = {"type": "storage", "name": "stfiles", "resource_group": "rg"}
    simulator.reset({"accounts": [{**files, "properties": {"primaryEndpoints": endpoints}}], "vaults": []})
    async for found in service(simulator, "storage", ROTATION_VAULTS="kv-some"):
        description = await found.provider.describe(found.account)
        simulator.clear_journal()

        assert "https://stfiles.file.core.windows.net" == description.endpoint
        assert Probe.UNREACHABLE is await found.provider.probe(description, Sensitive("bm90IGEga2V5"))
        assert [] == simulator.journal()


async def test_the_apps_own_storage_is_an_obstacle(simulator: ControlClient) -> None:
    """Its name is enough, as it is unique; other accounts are free."""
    connection = "DefaultEndpointsProtocol=https;AccountName=STContosoOrders;AccountKey=bm90IGEga2V5"
    async for found in service(simulator, "storage", AzureWebJobsStorage=connection):
        description = await found.provider.describe(found.account)
        assert [Reason.OWN_STORAGE] == [obstacle.reason for obstacle in description.obstacles]
        assert found.account.name in description.obstacles[0].because
    async for found in service(simulator, "storage", AzureWebJobsStorage=connection.replace("Orders", "Other")):
        assert () == (await found.provider.describe(found.account)).obstacles


async def test_batch_says_that_keys_are_off_when_they_are_listed(simulator: ControlClient, batch: Service) -> None:
    """Batch does not even list them, unlike the other two."""
    simulator.change_account(batch.account.name, shared_keys=False)

    with pytest.raises(SharedKeyOff, match=batch.account.name):
        await batch.provider.list_keys(batch.account)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("AuthenticationFailed", Probe.REFUSED),
        ("KeyBasedAuthenticationNotPermitted", Probe.REFUSED),
        ("AuthorizationFailure", Probe.UNREACHABLE),
        ("AccountIsDisabled", Probe.UNREACHABLE),
    ],
)
async def test_a_firewall_is_no_refusal_of_the_key(
    simulator: ControlClient, storage: Service, code: str, expected: Probe
) -> None:
    """Storage answers 403 for a bad key and for a network that it does not let in; only the code differs."""
    description = await storage.provider.describe(storage.account)
    keys = await storage.provider.list_keys(storage.account)
    simulator.fault(host=r"\.blob\.", status=403, code=code)

    assert expected is await storage.provider.probe(description, keys["key1"])


async def test_web_pubsubs_firewall_is_no_refusal_either(simulator: ControlClient, webpubsub: Service) -> None:
    """It answers 401 for a bad key and 403 for a network that its access rules do not let in."""
    description = await webpubsub.provider.describe(webpubsub.account)
    keys = await webpubsub.provider.list_keys(webpubsub.account)
    simulator.fault(host=r"\.webpubsub\.", status=403, body="{}")

    assert Probe.UNREACHABLE is await webpubsub.provider.probe(description, keys["Primary"])


async def test_a_new_key_is_returned_once_it_works(simulator: ControlClient, webpubsub: Service) -> None:
    """The first answer has the key long before the service takes it; by the time that we have it, it works."""
    simulator.behave(operation_seconds=0.3)
    description = await webpubsub.provider.describe(webpubsub.account)
    before = (await webpubsub.provider.list_keys(webpubsub.account))["Secondary"]
    new = await webpubsub.provider.regenerate(webpubsub.account, "Secondary", before, HELD)

    assert Probe.ACCEPTED is await webpubsub.provider.probe(description, new)
    assert [1.0, 1.5, 2.25, 3.375, 5.0] == webpubsub.clock.waits[:5]


async def test_an_operation_that_takes_too_long_is_left_to_the_next_pass(
    simulator: ControlClient, webpubsub: Service
) -> None:
    """The pass ends after ten minutes, by its own clock; to end it sooner would begin another operation sooner."""
    simulator.behave(operation_seconds=1200)
    before = (await webpubsub.provider.list_keys(webpubsub.account))["Secondary"]

    with pytest.raises(NotYetTrue, match=webpubsub.account.name):
        await webpubsub.provider.regenerate(webpubsub.account, "Secondary", before, HELD)
    assert 590 <= sum(webpubsub.clock.waits) < 620
    assert 1 == regenerates(simulator)


@pytest.mark.parametrize(
    "fault", [{"status": 403}, {"status": 404}, {"status": 500, "times": 2}, {"cut": True, "times": 3}], ids=str
)
async def test_without_the_operations_status_the_keys_tell(
    simulator: ControlClient, webpubsub: Service, fault: dict[str, Any]
) -> None:
    """Whatever is wrong with it: the operation goes on, and its key is neither given up nor regenerated again."""
    simulator.behave(operation_seconds=0.1)
    before = (await webpubsub.provider.list_keys(webpubsub.account))["Secondary"]
    simulator.fault(path=OPERATION, **fault)
    new = await webpubsub.provider.regenerate(webpubsub.account, "Secondary", before, HELD)

    assert new.fingerprint == simulator.account(webpubsub.account.name)["slots"]["Secondary"]["fingerprint"]
    assert new != before
    assert 1 == regenerates(simulator)


@pytest.mark.parametrize("located", [False, True], ids=["at the account", "below the subscription"])
@pytest.mark.parametrize("denied", [False, True], ids=["allowed", "denied"])
async def test_an_operation_is_followed_to_wherever_it_is_told(
    simulator: ControlClient, webpubsub: Service, *, located: bool, denied: bool
) -> None:
    """With the right for that place it is followed to its end; without it one refusal is enough, and the keys tell."""
    simulator.behave(operation_seconds=0.2, operations_located=located)
    if denied:
        simulator.deny(STATUS_RIGHTS[located])
    description = await webpubsub.provider.describe(webpubsub.account)
    before = (await webpubsub.provider.list_keys(webpubsub.account))["Secondary"]
    new = await webpubsub.provider.regenerate(webpubsub.account, "Secondary", before, HELD)
    looks = [entry for entry in simulator.journal() if OPERATION in entry["path"]]

    assert Probe.ACCEPTED is await webpubsub.provider.probe(description, new)
    assert {located} == {"/locations/" in entry["path"] for entry in looks}
    assert {403 if denied else 200} == {entry["status"] for entry in looks}
    assert denied is (1 == len(looks))


async def test_an_operation_that_fails_is_not_waited_for(simulator: ControlClient, webpubsub: Service) -> None:
    """A failed operation will not change the key; the next pass tries again."""
    simulator.behave(operation_seconds=600)
    before = (await webpubsub.provider.list_keys(webpubsub.account))["Secondary"]
    simulator.fault(path=OPERATION, status=200, body=json.dumps({"status": "Failed", "error": {"code": "X"}}))

    with pytest.raises(Transient, match="was not regenerated"):
        await webpubsub.provider.regenerate(webpubsub.account, "Secondary", before, HELD)
    assert [] == webpubsub.clock.waits


async def test_two_operations_at_once_are_worth_another_try(simulator: ControlClient, webpubsub: Service) -> None:
    """Web PubSub regenerates one key at a time; whoever comes second is told to come back."""
    simulator.behave(operation_seconds=600)
    keys = await webpubsub.provider.list_keys(webpubsub.account)
    outcomes = await asyncio.gather(
        *(webpubsub.provider.regenerate(webpubsub.account, slot, key, HELD) for slot, key in keys.items()),
        return_exceptions=True,
    )

    assert all(isinstance(outcome, Transient) for outcome in outcomes)
    assert 1 == sum("another operation is running" in str(outcome) for outcome in outcomes)
    assert 2 == regenerates(simulator)


@pytest.mark.parametrize("kind", ["storage", "batch", "webpubsub"])
async def test_an_answer_without_both_keys_is_not_understood(simulator: ControlClient, kind: str) -> None:
    """S4: half an answer is none."""
    async for found in service(simulator, kind):
        simulator.fault(path="/listKeys", status=200, body="{}")
        with pytest.raises(Unexpected, match=found.account.name):
            await found.provider.list_keys(found.account)


async def test_kerberos_keys_are_left_alone(simulator: ControlClient, storage: Service) -> None:
    """Accounts that are joined to a domain list four keys."""
    names = ("key1", "key2", "kerb1", "kerb2")
    answer = {"keys": [{"keyName": name, "value": f"of-{name}", "permissions": "FULL"} for name in names]}
    simulator.fault(path="/listKeys", status=200, body=json.dumps(answer))
    keys = await storage.provider.list_keys(storage.account)

    assert {"key1": "of-key1", "key2": "of-key2"} == {slot: key.reveal() for slot, key in keys.items()}
