"""An answer may point to anywhere; nothing is sent there, and nothing that is said there counts."""

import json

import pytest

from rotation.errors import RotationError, Unexpected
from rotation.model import Sensitive
from rotation.ports import Draft, Probe
from simulator.client import ControlClient
from tests.integration.adapters.hasty import hasty_world
from tests.integration.adapters.test_connection import an_account
from tests.leases import HELD

VAULT, OTHER = "kv-orders", "kv-billing"
SECRET = "orders-storage-key"  # noqa: S105  its name
THERE = f"https://{OTHER}.vault.azure.net/secrets/{SECRET}?api-version=7.6"
KINDS = ("Microsoft.Storage/storageAccounts", "Microsoft.Batch/batchAccounts", "Microsoft.SignalRService/WebPubSub")
REDIRECTS = [301, 302, 303, 307, 308]


def hosts(simulator: ControlClient) -> set[str]:
    """Who was sent something, but for who gives out tokens."""
    return {entry["host"] for entry in simulator.journal() if not entry["sign_in"]}


@pytest.mark.parametrize("status", REDIRECTS)
async def test_s6_a_key_is_published_nowhere_else(simulator: ControlClient, status: int) -> None:
    """Whoever is pointed to would get it, and tell us that it is published."""
    async with hasty_world(ROTATION_VAULTS=VAULT) as (world, _):
        vault = world.tools.vaults[VAULT]
        old = await vault.read(SECRET)
        simulator.clear_journal()
        simulator.fault(method="PUT", status=status, location=THERE)

        with pytest.raises(Unexpected, match="points elsewhere, which we do not follow"):
            await vault.publish(
                SECRET, Draft(Sensitive("a new one"), old.tags, old.created, old.content_type, old), HELD
            )
    assert {f"{VAULT}.vault.azure.net"} == hosts(simulator)


@pytest.mark.parametrize(
    ("link", "told"),
    [
        (THERE, rf"\('https', '{OTHER}.vault.azure.net', 443\)"),
        (f"https://{VAULT}.vault.azure.net:8443/secrets", rf"\('https', '{VAULT}.vault.azure.net', 8443\)"),
    ],
    ids=["another vault", "another port"],
)
async def test_s7_a_listing_goes_on_in_its_own_vault(simulator: ControlClient, link: str, told: str) -> None:
    """Our token would go to whoever the next page is said to be at."""
    simulator.fault(path="^/secrets$", status=200, body=json.dumps({"value": [], "nextLink": link}))
    async with hasty_world(ROTATION_VAULTS=VAULT) as (world, _):
        with pytest.raises(Unexpected, match=rf"of https://{VAULT}.vault.azure.net points elsewhere, to {told}"):
            assert [secret async for secret in world.tools.vaults[VAULT].list()]
    assert [f"{VAULT}.vault.azure.net"] == [e["host"] for e in simulator.journal() if not e["sign_in"]]


async def test_s6_a_host_that_is_pointed_to_may_hold_a_key(simulator: ControlClient) -> None:
    """Whoever puts it there would have it in our log."""
    spelt = simulator.present_keys()[0].encode().hex()
    link = f"https://{spelt}.example/secrets"
    simulator.fault(path="^/secrets$", status=200, body=json.dumps({"value": [], "nextLink": link}))
    async with hasty_world(ROTATION_VAULTS=VAULT) as (world, _):
        with pytest.raises(Unexpected) as failed:
            assert [secret async for secret in world.tools.vaults[VAULT].list()]
    assert spelt[:20] not in str(failed.value)


@pytest.mark.parametrize("pages", [0, 1], ids=["empty", "full"])
async def test_a_listing_that_leads_back_to_itself_ends(simulator: ControlClient, pages: int) -> None:
    """It would go on for ever, and all other passes wait for it."""
    secret = {
        "id": f"https://{VAULT}.vault.azure.net/secrets/x",
        "attributes": {"enabled": True, "created": 1},
        "tags": {},
    }
    link = f"https://{VAULT}.vault.azure.net/secrets?api-version=7.6&$skiptoken=again"
    body = json.dumps({"value": [secret] * pages, "nextLink": link})
    # Whoever follows it comes to the end after a while.
    simulator.fault(path="^/secrets$", status=200, body=body, times=9)
    async with hasty_world(ROTATION_VAULTS=VAULT) as (world, _):
        with pytest.raises(Unexpected, match=f"cannot list the secrets of {VAULT}"):
            assert [secret async for secret in world.tools.vaults[VAULT].list()]
    assert 2 == len([entry for entry in simulator.journal() if not entry["sign_in"]])


async def test_a_listing_that_goes_in_a_circle_ends(simulator: ControlClient) -> None:
    """Also where more than one page lies between."""
    for token in ("one", "two", "one"):
        link = f"https://{VAULT}.vault.azure.net/secrets?api-version=7.6&$skiptoken={token}"
        body = json.dumps({"value": [], "nextLink": link})
        simulator.fault(path="^/secrets$", status=200, body=body, times=1)
    async with hasty_world(ROTATION_VAULTS=VAULT) as (world, _):
        with pytest.raises(Unexpected, match=f"cannot list the secrets of {VAULT}"):
            assert [secret async for secret in world.tools.vaults[VAULT].list()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", REDIRECTS)
async def test_s7_a_regenerate_is_of_the_account_that_was_meant(
    simulator: ControlClient, kind: str, status: int
) -> None:
    """The account that is pointed to may be anybody's."""
    account, another = an_account(simulator, kind), an_account(simulator, "Microsoft.Storage/storageAccounts")
    simulator.fault(
        path=f"/{account.name}/regenerateKeys?$",
        status=status,
        location=f"https://management.azure.com{another}/regenerateKey?api-version=2024-01-01",
        times=1,
    )
    async with hasty_world(ROTATION_VAULTS=VAULT) as (world, _):
        provider = world.tools.providers.for_type(kind)
        keys = await provider.list_keys(account)
        with pytest.raises(RotationError):
            await provider.regenerate(account, provider.slots[1], keys[provider.slots[1]], HELD)
    asked = [entry["path"] for entry in simulator.journal() if "/regenerate" in entry["path"]]

    assert 1 == len(asked)
    assert f"/{account.name}/" in asked[0]


@pytest.mark.parametrize("location", [THERE, "https://management.azure.com:99999/operations/1"])
async def test_s6_an_operation_is_followed_at_azure_only(simulator: ControlClient, location: str) -> None:
    """Our token would go with the question whether it is done; the keys tell, too."""
    account = an_account(simulator, KINDS[2])
    simulator.fault(path="/regenerateKey$", when="after", status=202, body="", location=location)
    async with hasty_world(ROTATION_VAULTS=VAULT) as (world, _):
        provider = world.tools.providers.for_type(KINDS[2])
        keys = await provider.list_keys(account)
        new = await provider.regenerate(account, "Secondary", keys["Secondary"], HELD)

    assert new.fingerprint == simulator.account(account.name)["slots"]["Secondary"]["fingerprint"]
    assert {"management.azure.com"} == hosts(simulator)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_key_is_tried_at_its_own_account(simulator: ControlClient, kind: str) -> None:
    """What somebody else says of it is no answer, and he would have a request that it signs."""
    account = an_account(simulator, kind)
    async with hasty_world(ROTATION_VAULTS=VAULT) as (world, _):
        provider = world.tools.providers.for_type(kind)
        description, keys = await provider.describe(account), await provider.list_keys(account)
        simulator.clear_journal()
        fault = simulator.fault(host=f"^{account.name}", status=307, location=THERE)

        assert Probe.ACCEPTED is not await provider.probe(description, keys[provider.slots[0]])
    assert 1 == simulator.hits(fault) == len(simulator.journal())
