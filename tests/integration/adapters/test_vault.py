"""Key Vault through its real SDK, over the simulator."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotation.clock import SystemClock
from rotation.cloud.lease import InProcessLease
from rotation.cloud.vault import KeyVault
from rotation.errors import (
    ChangedMeanwhile,
    Forbidden,
    LeaseLost,
    NotFound,
    SecretDeleted,
    SecretDisabled,
    Throttled,
    Unavailable,
    Unexpected,
)
from rotation.model import Secret, Sensitive
from rotation.ports import Draft, Lease, Vault
from simulator.client import ControlClient
from tests.integration.adapters.hasty import Hasty, hasty_world
from tests.leases import HELD, Ending, Passing

NAME = "kv-one"


@pytest.fixture
async def wired(simulator: ControlClient) -> AsyncIterator[tuple[KeyVault, Hasty]]:
    """An empty vault and the clock that its adapter waits by; the connection is warm."""
    simulator.reset({"vaults": [{"name": NAME, "resource_group": "rg-one"}]})
    async with hasty_world(ROTATION_VAULTS=NAME) as (world, clock):
        vault = world.tools.vaults[NAME]
        assert isinstance(vault, KeyVault)
        assert [] == [secret async for secret in vault.list()]
        simulator.clear_journal()
        yield vault, clock


@pytest.fixture
def vault(wired: tuple[KeyVault, Hasty]) -> KeyVault:
    """The vault alone."""
    return wired[0]


def draft(text: str = "one", **tags: str) -> Draft:
    """A version to be written."""
    expires = SystemClock().now().replace(microsecond=0) + timedelta(days=90)
    return Draft(Sensitive(text), {"owner": "team-one", **tags}, expires, "text/x-test")


async def versions(vault: KeyVault, name: str) -> int:
    """How many versions a secret has."""
    return len([v async for v in vault._client.list_properties_of_secret_versions(name)])


def puts(simulator: ControlClient) -> int:
    """How many times a new version was sent."""
    return sum(entry["method"] == "PUT" for entry in simulator.journal())


def patches(simulator: ControlClient) -> int:
    """How many times tags were sent."""
    return sum(entry["method"] == "PATCH" for entry in simulator.journal())


Write = Callable[[Vault, Secret, Lease], Awaitable[None]]


async def publishes(vault: Vault, old: Secret, lease: Lease) -> None:
    """A new version."""
    await vault.publish(old.ref.name, replace(draft("ours"), replaces=old), lease)


async def amends(vault: Vault, old: Secret, lease: Lease) -> None:
    """New tags of the version that is there."""
    await vault.amend(old, {"owner": "team-one", "ours": "yes"}, lease)


writes = pytest.mark.parametrize(("write", "method"), [(publishes, "PUT"), (amends, "PATCH")])


async def test_a_version_is_written_in_one_call(vault: KeyVault, simulator: ControlClient) -> None:
    """S3: value, tags, content type and expiry arrive together and are read back as they were written."""
    wanted = draft()
    written = await vault.publish("some-key", wanted, HELD)
    read = await vault.read("some-key")

    assert 1 == puts(simulator)
    assert written == read
    assert (wanted.value, wanted.tags, wanted.expires, wanted.content_type, True) == (
        read.value,
        read.tags,
        read.expires,
        read.content_type,
        read.enabled,
    )
    assert read.created <= datetime.now(UTC)  # noqa: TID251  the simulator's clock is the machine's
    assert read.version


async def test_a_listing_has_all_pages_and_no_values(vault: KeyVault, simulator: ControlClient) -> None:
    """Key Vault puts at most 25 secrets on a page; names are told in lower case."""
    for number in range(30):
        simulator.add_secret(NAME, name=f"Key-{number:02}", tags={"n": str(number)})
    found = [secret async for secret in vault.list()]

    assert {f"key-{number:02}": {"n": str(number)} for number in range(30)} == {s.ref.name: s.tags for s in found}
    assert {(None, None)} == {(secret.value, secret.version) for secret in found}
    assert 2 == len(simulator.journal())


@pytest.mark.parametrize("body", ["{}", '{"items": []}', '{"value": {}}', "[]", "null", '{"value": ['])
@pytest.mark.parametrize("page", [0, 1])
async def test_s1_a_listing_without_a_list_is_no_empty_vault(
    vault: KeyVault, simulator: ControlClient, body: str, page: int
) -> None:
    """Secrets that nobody sees would lose the key that they have."""
    for n in range(30):
        simulator.add_secret(vault.name, name=f"another-{n}")
    simulator.fault(path="^/secrets$", skip=page, status=200, body=body)

    with pytest.raises(Unexpected, match=f"cannot list the secrets of {vault.name}"):
        assert [secret async for secret in vault.list()]


async def test_a_secret_that_cannot_be_read_says_why(vault: KeyVault, simulator: ControlClient) -> None:
    """Disabled, deleted and never there are three things for three remedies."""
    simulator.add_secret(NAME, name="off", enabled=False)
    await vault.publish("deleted", draft(), HELD)
    await vault._client.delete_secret("deleted")

    with pytest.raises(SecretDisabled, match="kv-one/off"):
        await vault.read("off")
    with pytest.raises(SecretDeleted, match="kv-one/deleted"):
        await vault.read("deleted")
    with pytest.raises(SecretDeleted, match="kv-one/deleted"):
        await vault.publish("deleted", draft(), HELD)
    with pytest.raises(NotFound, match="kv-one/never"):
        await vault.read("never")


async def test_a_missing_right_is_named(vault: KeyVault, simulator: ControlClient) -> None:
    """The message has the action and a role that grants it, as nobody knows them by heart."""
    simulator.add_secret(NAME, name="some-key")
    simulator.deny("Microsoft.KeyVault/vaults/secrets/getSecret/action")

    with pytest.raises(Forbidden, match=r"secrets/getSecret/action.*'Key rotation of secrets'"):
        await vault.read("some-key")


async def test_a_firewall_is_told_from_a_missing_right(vault: KeyVault, simulator: ControlClient) -> None:
    """Another role would not help."""
    simulator.firewall(NAME, closed=True)

    with pytest.raises(Forbidden, match=r"firewall .* allow the network or address of this app, or of this machine"):
        await vault.read("some-key")


LOST: list[dict[str, Any]] = [
    {"status": 500},
    {"status": 503},
    {"status": 504},
    {"status": 429},
    {"status": 429, "retry_after": 1},
    {"cut": True},
]


@pytest.mark.parametrize("fault", LOST, ids=str)
async def test_a_lost_answer_leaves_one_version(
    vault: KeyVault, simulator: ControlClient, fault: dict[str, Any]
) -> None:
    """S3: the version was written and its answer lost; reading back finds it, so nothing is sent again."""
    simulator.fault(method="PUT", when="after", times=1, **fault)
    written = await vault.publish("some-key", draft(), HELD)

    assert written == await vault.read("some-key")
    assert (1, 1) == (puts(simulator), await versions(vault, "some-key"))


@pytest.mark.parametrize("fault", LOST, ids=str)
async def test_what_was_not_written_is_sent_again(
    vault: KeyVault, simulator: ControlClient, fault: dict[str, Any]
) -> None:
    """One failure that left nothing behind costs one more request and one version in all."""
    simulator.fault(method="PUT", when="before", times=1, **fault)
    await vault.publish("some-key", draft(), HELD)

    assert (2, 1) == (puts(simulator), await versions(vault, "some-key"))


async def test_an_older_version_is_not_taken_for_the_new_one(vault: KeyVault, simulator: ControlClient) -> None:
    """Reading back finds what was there before, which has the same value but other tags."""
    old = await vault.publish("some-key", draft(state="old"), HELD)
    simulator.fault(method="PUT", when="before", times=1, cut=True)
    written = await vault.publish("some-key", replace(draft(state="new"), replaces=old), HELD)

    assert "new" == written.tags["state"]
    assert 2 == await versions(vault, "some-key")


class Elsewhere:
    """A clock whose first wait somebody else uses to write."""

    def __init__(self, wired: Hasty, meanwhile: Callable[[], Awaitable[object]]) -> None:
        self._wired = wired
        self._meanwhile = meanwhile

    def now(self) -> datetime:
        """Return the time."""
        return self._wired.now()

    async def sleep(self, seconds: float) -> None:
        """Let somebody else act."""
        await self._meanwhile()
        await self._wired.sleep(seconds)


@writes
async def test_what_somebody_else_wrote_between_two_attempts_stays(
    wired: tuple[KeyVault, Hasty], simulator: ControlClient, write: Write, method: str
) -> None:
    """An attempt that failed is not repeated over a version that is not the one that it was made from."""
    vault, clock = wired
    old = await vault.publish("some-key", draft(), HELD)
    simulator.fault(method=method, when="before", times=1, status=503)
    vault._clock = Elsewhere(clock, lambda: vault.publish("some-key", draft("theirs"), HELD))

    with pytest.raises(ChangedMeanwhile, match="kv-one/some-key"):
        await write(vault, old, HELD)
    assert Sensitive("theirs") == (await vault.read("some-key")).value


@writes
@pytest.mark.parametrize("edited", [{"tags": {"owner": "team-two"}}, {"content_type": "text/theirs"}], ids=str)
async def test_what_somebody_edited_between_two_attempts_stays(
    wired: tuple[KeyVault, Hasty], simulator: ControlClient, write: Write, method: str, edited: dict[str, Any]
) -> None:
    """S3: an attempt that failed is not repeated with the tags, or the content type, that were read before it."""
    vault, clock = wired
    old = await vault.publish("some-key", draft(), HELD)
    simulator.fault(method=method, when="before", times=1, status=503)
    vault._clock = Elsewhere(clock, lambda: vault._client.update_secret_properties("some-key", **edited))

    with pytest.raises(ChangedMeanwhile, match="kv-one/some-key"):
        await write(vault, old, HELD)
    assert replace(old, **edited) == await vault.read("some-key")


@writes
async def test_what_was_deleted_between_two_attempts_is_not_brought_back(
    wired: tuple[KeyVault, Hasty], simulator: ControlClient, write: Write, method: str
) -> None:
    """The next pass lists again and goes on without it, so no person is called for."""
    vault, clock = wired
    old = await vault.publish("some-key", draft(), HELD)
    simulator.fault(method=method, when="before", times=1, status=503)
    vault._clock = Elsewhere(clock, lambda: vault._client.delete_secret("some-key"))

    with pytest.raises(ChangedMeanwhile, match="kv-one/some-key"):
        await write(vault, old, HELD)


@writes
async def test_s1_a_lease_may_end_while_we_sign_in(
    vault: KeyVault, simulator: ControlClient, write: Write, method: str
) -> None:
    """It is looked at where the write leaves, and not before all that comes first."""
    old = await vault.publish("some-key", draft(), HELD)
    simulator.clear_journal()
    simulator.fault(path="/msi/token", delay=0.5)

    async with hasty_world(ROTATION_VAULTS=NAME) as (signed_out, _):
        with pytest.raises(LeaseLost):
            await write(signed_out.tools.vaults[NAME], old, Ending(0.2))
    assert method not in {entry["method"] for entry in simulator.journal()}


@writes
async def test_no_attempt_is_made_without_the_lease(
    wired: tuple[KeyVault, Hasty], simulator: ControlClient, write: Write, method: str
) -> None:
    """A lease that is lost between two attempts ends them, and nobody waits for it to come back."""
    vault, clock = wired
    old = await vault.publish("some-key", draft(), HELD)
    simulator.clear_journal()
    simulator.fault(method=method, when="before", status=503)

    with pytest.raises(LeaseLost):
        await write(vault, old, Passing(1))
    assert 1 == puts(simulator) + patches(simulator) == len(clock.waits)


@writes
async def test_it_gives_up_after_four_attempts(
    vault: KeyVault, simulator: ControlClient, write: Write, method: str
) -> None:
    """The queue tries again later; a pass must come to an end."""
    old = await vault.publish("some-key", draft(), HELD)
    simulator.clear_journal()
    simulator.fault(method=method, status=503)

    with pytest.raises(Unavailable, match="kv-one/some-key"):
        await write(vault, old, HELD)
    assert 4 == puts(simulator) + patches(simulator)


@writes
@pytest.mark.parametrize(
    ("faults", "error", "abandoned"),
    [
        pytest.param([{"cut": True, "when": "after", "times": 1}], Forbidden, 60, id="its answer was lost"),
        pytest.param([{"status": 503}], Unavailable, 60, id="none was answered"),
        pytest.param([{"status": 503, "times": 1}, {"status": 403}], Forbidden, 60, id="the second was refused"),
        pytest.param([{"status": 429}], Throttled, 0, id="none was let through"),
        pytest.param([{"status": 403}], Forbidden, 0, id="it was refused"),
    ],
)
async def test_who_does_not_know_what_was_written_keeps_others_out(  # noqa: PLR0913, PLR0917  # a row of the table
    vault: KeyVault,
    simulator: ControlClient,
    write: Write,
    method: str,
    faults: list[dict[str, Any]],
    error: type[Exception],
    abandoned: float,
) -> None:
    """S1: what a vault that lags still shows would be taken for the truth, and what was published be regenerated."""
    old = await vault.publish("some-key", draft(), HELD)
    lease = InProcessLease()
    for fault in faults:
        simulator.fault(method=method, path="^/secrets/some-key", **fault)
    if error is Forbidden:
        simulator.fault(method="GET", path="^/secrets/some-key", status=403, skip=len(faults) - 1)

    with pytest.raises(error):
        await write(vault, old, lease)
    assert abandoned == lease.left


async def test_it_waits_as_long_as_it_is_asked_to(wired: tuple[KeyVault, Hasty], simulator: ControlClient) -> None:
    """Within reason: half a minute is the longest."""
    vault, clock = wired
    simulator.fault(method="PUT", status=429, retry_after=7, times=1)
    simulator.fault(method="PUT", status=429, retry_after=600, times=1)
    await vault.publish("some-key", draft(), HELD)

    assert [7, 30] == clock.waits


async def test_a_long_wait_is_not_slept_through(vault: KeyVault, simulator: ControlClient) -> None:
    """The SDK would sleep for as long as it is told to; ours says how long, and who waits is the queue."""
    simulator.fault(method="GET", status=429, retry_after=600)

    with pytest.raises(Throttled) as throttled:
        await vault.read("some-key")
    assert 600 == throttled.value.retry_after
    assert 1 == len(simulator.journal())


async def test_tags_are_replaced_and_nothing_else(vault: KeyVault, simulator: ControlClient) -> None:
    """Amending touches one version, in one call: no new one, and value, expiry and content type stay."""
    written = await vault.publish("some-key", draft(state="old"), HELD)
    simulator.clear_journal()
    await vault.amend(written, {"owner": "team-two"}, HELD)
    sent = len(simulator.journal())

    assert replace(written, tags={"owner": "team-two"}) == await vault.read("some-key")
    assert 1 == sent


@pytest.mark.parametrize("fault", LOST, ids=str)
async def test_tags_whose_answer_was_lost_are_not_sent_again(
    vault: KeyVault, simulator: ControlClient, fault: dict[str, Any]
) -> None:
    """They were replaced; reading back finds them."""
    written = await vault.publish("some-key", draft(), HELD)
    simulator.fault(method="PATCH", when="after", times=1, **fault)
    await vault.amend(written, {"a": "b"}, HELD)

    assert {"a": "b"} == (await vault.read("some-key")).tags
    assert 1 == patches(simulator)


@pytest.mark.parametrize("fault", LOST, ids=str)
async def test_tags_that_were_not_replaced_are_sent_again(
    vault: KeyVault, simulator: ControlClient, fault: dict[str, Any]
) -> None:
    """One failure costs one more request."""
    written = await vault.publish("some-key", draft(), HELD)
    simulator.fault(method="PATCH", when="before", times=1, **fault)
    await vault.amend(written, {"a": "b"}, HELD)

    assert {"a": "b"} == (await vault.read("some-key")).tags
    assert 2 == patches(simulator)


async def test_an_answer_without_a_secret_is_told_with_its_name(vault: KeyVault, simulator: ControlClient) -> None:
    """An account has many, and only one is answered so."""
    await vault.publish("some-key", draft(), HELD)
    simulator.fault(method="GET", path="^/secrets/some-key", status=200, body="{}")

    with pytest.raises(Unexpected, match="cannot read kv-one/some-key: the answer cannot be understood"):
        await vault.read("some-key")


async def test_an_unknown_vault_is_not_found(simulator: ControlClient) -> None:
    """A misspelt vault is for a person to correct."""
    simulator.reset({"vaults": []})
    async with hasty_world(ROTATION_VAULTS="kv-misspelt") as (world, _):
        with pytest.raises(NotFound, match="kv-misspelt"):
            await world.tools.vaults["kv-misspelt"].read("some-key")
