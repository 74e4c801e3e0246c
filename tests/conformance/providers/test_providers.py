"""What every provider keeps, whatever its service; a provider without a simulated account fails here."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from rotation.clock import SystemClock
from rotation.cloud.clouds import PUBLIC
from rotation.cloud.connection import connect
from rotation.errors import (
    Forbidden,
    LeaseLost,
    NeedsOperator,
    NotFound,
    ReadOnlyLock,
    Throttled,
    Transient,
    Unavailable,
)
from rotation.formats import recognise
from rotation.model import AccountId, Reason, Sensitive
from rotation.ports import Probe, Provider
from rotation.providers import all_providers
from simulator.client import ControlClient
from tests.integration.adapters.hasty import hasty_world
from tests.leases import HELD, LOST, Ending


async def _registered() -> list[str]:
    async with connect(PUBLIC, None, SystemClock()) as connection:
        return [provider.resource_type for provider in all_providers(connection, frozenset())]


TYPES = asyncio.run(_registered())

LOST_ANSWERS: dict[str, dict[str, Any]] = {
    **{str(status): {"status": status} for status in (408, 429, 500, 502, 503, 504)},
    **{f"{status}-retry-after": {"status": status, "retry_after": 1} for status in (400, 409, 429, 503)},
    "cut": {"cut": True},
}


@dataclass(frozen=True, slots=True)
class Subject:
    """A provider and the simulated account that it is tried on."""

    provider: Provider
    account: AccountId
    simulator: ControlClient

    @property
    def idle(self) -> str:
        """The slot that is regenerated."""
        return self.provider.slots[1]

    def regenerates(self) -> int:
        """How many times a regenerate has reached the service."""
        return sum("/regeneratekey" in entry["path"].lower() for entry in self.simulator.journal())

    def fingerprints(self) -> dict[str, str]:
        """The fingerprints of both keys as the simulator itself tells them."""
        slots = self.simulator.account(self.account.name)["slots"]
        return {slot: told["fingerprint"] for slot, told in slots.items()}


@pytest.fixture(params=TYPES)
async def subject(request: pytest.FixtureRequest, simulator: ControlClient) -> AsyncIterator[Subject]:
    """Each registered provider with an account of its type."""
    simulator.behave(operation_seconds=0.05)
    ids = [AccountId.parse(account["id"]) for account in simulator.accounts()]
    account = next((id_ for id_ in ids if id_.resource_type.lower() == request.param.lower()), None)
    assert account, f"the simulator's default estate has no account of type {request.param}"
    async with hasty_world() as (world, _):
        yield Subject(world.tools.providers.for_type(request.param), account, simulator)


def test_something_is_registered() -> None:
    """A suite over an empty registry would prove nothing."""
    assert len(TYPES) >= 3


async def test_a_type_is_found_whatever_its_case(subject: Subject) -> None:
    """Azure itself spells one type in two ways."""
    async with hasty_world() as (world, _):
        found = world.tools.providers.for_type(subject.provider.resource_type.upper())

    assert subject.provider.resource_type == found.resource_type


async def test_it_describes_where_the_account_answers(subject: Subject) -> None:
    """Without obstacles, and with an endpoint that names the account."""
    description = await subject.provider.describe(subject.account)

    assert () == description.obstacles
    assert description.endpoint.startswith(f"https://{subject.account.name}.")
    assert not description.endpoint.endswith("/")


async def test_it_lists_both_keys_by_slot(subject: Subject) -> None:
    """The keys are those of the account, each in its own slot."""
    keys = await subject.provider.list_keys(subject.account)

    assert set(subject.provider.slots) == set(keys)
    assert subject.fingerprints() == {slot: key.fingerprint for slot, key in keys.items()}


async def test_it_regenerates_one_key(subject: Subject) -> None:
    """The new key is the one that the service has now, and the other slot is untouched."""
    before = await subject.provider.list_keys(subject.account)
    new = await subject.provider.regenerate(subject.account, subject.idle, before[subject.idle], HELD)
    active = subject.provider.slots[0]

    assert new != before[subject.idle]
    assert {active: before[active].fingerprint, subject.idle: new.fingerprint} == subject.fingerprints()
    assert 1 == subject.regenerates()


async def test_it_tells_a_good_key_from_a_bad_one(subject: Subject) -> None:
    """Both keys open the account; the previous one stops to, and what is no key at all never did."""
    description = await subject.provider.describe(subject.account)
    keys = await subject.provider.list_keys(subject.account)
    assert [Probe.ACCEPTED] * 2 == [await subject.provider.probe(description, key) for key in keys.values()]

    new = await subject.provider.regenerate(subject.account, subject.idle, keys[subject.idle], HELD)

    assert Probe.ACCEPTED is await subject.provider.probe(description, new)
    assert Probe.REFUSED is await subject.provider.probe(description, keys[subject.idle])
    assert Probe.REFUSED is await subject.provider.probe(description, Sensitive(""))
    assert Probe.REFUSED is await subject.provider.probe(description, Sensitive("not a key, " * 5))


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 429, "retry_after": 1},
        {"status": 403, "body": '{"error": {"code": "SomethingNew"}}'},
        {"cut": True},
    ],
    ids=str,
)
async def test_a_probe_is_one_request_that_never_raises(subject: Subject, fault: dict[str, Any]) -> None:
    """What says nothing of the key is told as such, without trying again."""
    description = await subject.provider.describe(subject.account)
    keys = await subject.provider.list_keys(subject.account)
    host = description.endpoint.removeprefix("https://")
    subject.simulator.fault(host=host, **fault)
    subject.simulator.clear_journal()

    assert Probe.UNREACHABLE is await subject.provider.probe(description, keys[subject.idle])
    assert 1 == sum(entry["host"] == host for entry in subject.simulator.journal())


async def test_s1_without_the_lease_nothing_is_sent(subject: Subject) -> None:
    """Another pass may have published that very slot; nor is anything asked about what cannot have happened."""
    before = await subject.provider.list_keys(subject.account)
    subject.simulator.clear_journal()

    with pytest.raises(LeaseLost):
        await subject.provider.regenerate(subject.account, subject.idle, before[subject.idle], LOST)

    assert [] == subject.simulator.journal()


async def test_without_a_token_nothing_is_sent(subject: Subject) -> None:
    """That is told, and not that nobody knows what became of it."""
    subject.simulator.fault(path="/msi/token", status=503)
    subject.simulator.clear_journal()

    with pytest.raises(Unavailable, match=r"^cannot regenerate .* without a token: the service failed") as failed:
        await subject.provider.regenerate(subject.account, subject.idle, Sensitive("its key"), HELD)

    assert not failed.value.sent
    assert {"/msi/token"} == {entry["path"] for entry in subject.simulator.journal()}


async def test_s1_a_lease_may_end_while_we_sign_in(subject: Subject) -> None:
    """It is looked at where the request leaves, and not before all that comes first."""
    subject.simulator.fault(path="/msi/token", delay=0.5)

    with pytest.raises(LeaseLost):
        await subject.provider.regenerate(subject.account, subject.idle, Sensitive("its key"), Ending(0.2))

    assert not subject.regenerates()


@pytest.mark.parametrize("fault", LOST_ANSWERS.values(), ids=LOST_ANSWERS.keys())
async def test_a_lost_answer_is_settled_by_listing(subject: Subject, fault: dict[str, Any]) -> None:
    """S5: the service has acted, its answer is lost, and the request is not sent again."""
    before = await subject.provider.list_keys(subject.account)
    subject.simulator.fault(path="/regenerateKey", when="after", **fault)

    new = await subject.provider.regenerate(subject.account, subject.idle, before[subject.idle], HELD)

    assert new.fingerprint == subject.fingerprints()[subject.idle]
    assert new != before[subject.idle]
    assert 1 == subject.regenerates()


@pytest.mark.parametrize("fault", LOST_ANSWERS.values(), ids=LOST_ANSWERS.keys())
async def test_what_did_not_happen_is_raised(subject: Subject, fault: dict[str, Any]) -> None:
    """S5: the service has not acted; nobody tries again behind our back, and the next pass may."""
    before = await subject.provider.list_keys(subject.account)
    subject.simulator.fault(path="/regenerateKey", when="before", **fault)

    with pytest.raises(Transient):
        await subject.provider.regenerate(subject.account, subject.idle, before[subject.idle], HELD)

    assert before[subject.idle].fingerprint == subject.fingerprints()[subject.idle]
    assert 1 == subject.regenerates()


@pytest.mark.parametrize(
    "unseen", [{"status": 429, "retry_after": 600}, {"status": 403, "code": "AuthorizationFailed"}], ids=str
)
async def test_what_nobody_can_tell_may_still_happen(subject: Subject, unseen: dict[str, Any]) -> None:
    """A lost answer and a list that is refused say less than the refusal: the pass has to keep others out."""
    before = await subject.provider.list_keys(subject.account)
    subject.simulator.fault(path="/regenerateKey", when="after", **LOST_ANSWERS["cut"])
    subject.simulator.fault(path="/listKeys", **unseen)

    with pytest.raises(Transient) as failure:
        await subject.provider.regenerate(subject.account, subject.idle, before[subject.idle], HELD)

    assert not isinstance(failure.value, Throttled)
    assert 1 == subject.regenerates()


async def test_what_was_refused_for_a_quota_did_not_happen(subject: Subject) -> None:
    """Although the list that would show it is refused as well."""
    before = await subject.provider.list_keys(subject.account)
    subject.simulator.fault(path="/regenerateKey", status=429, retry_after=600)
    subject.simulator.fault(path="/listKeys", status=429, retry_after=600)

    with pytest.raises(Throttled):
        await subject.provider.regenerate(subject.account, subject.idle, before[subject.idle], HELD)


async def test_listing_is_repeated_because_it_is_safe(subject: Subject) -> None:
    """The SDK would give up at the first 429, as listing keys is a POST."""
    subject.simulator.fault(path="/listKeys", status=429, times=2)

    assert set(subject.provider.slots) == set(await subject.provider.list_keys(subject.account))


async def test_a_listing_that_lags_does_not_hide_the_new_key(subject: Subject) -> None:
    """What the service answers, or lists in the end, is believed; not what it still lists."""
    before = await subject.provider.list_keys(subject.account)
    subject.simulator.behave(list_delay=0.5)

    new = await subject.provider.regenerate(subject.account, subject.idle, before[subject.idle], HELD)

    assert new.fingerprint == subject.fingerprints()[subject.idle]


async def test_a_lock_is_told_as_a_lock(subject: Subject) -> None:
    """Azure's 409 becomes what a person has to remove, before anything was regenerated."""
    before = await subject.provider.list_keys(subject.account)
    subject.simulator.change_account(subject.account.name, locked=True)

    with pytest.raises(ReadOnlyLock, match=subject.account.name):
        await subject.provider.list_keys(subject.account)
    with pytest.raises(ReadOnlyLock, match=subject.account.name):
        await subject.provider.regenerate(subject.account, subject.idle, before[subject.idle], HELD)
    assert 1 == subject.regenerates()


async def test_keys_that_are_switched_off_are_an_obstacle(subject: Subject) -> None:
    """An account that accepts no keys says so when it is described, and says what to do."""
    subject.simulator.change_account(subject.account.name, shared_keys=False)
    description = await subject.provider.describe(subject.account)

    assert [Reason.SHARED_KEY_OFF] == [obstacle.reason for obstacle in description.obstacles]
    assert subject.account.name in description.obstacles[0].because


async def test_every_right_that_it_needs_is_named(subject: Subject) -> None:
    """Whichever right is missing, the error names it, and it is in the provider's list."""
    before = await subject.provider.list_keys(subject.account)
    for right in subject.provider.rights:
        subject.simulator.deny(right, subject.account.name)
        with pytest.raises(Forbidden, match=f"(?i){right}"):
            await use_every_right(subject, before[subject.idle])
        subject.simulator.allow_all()


async def use_every_right(subject: Subject, before: Sensitive) -> None:
    """Make every call to the control plane that a provider makes."""
    await subject.provider.describe(subject.account)
    await subject.provider.list_keys(subject.account)
    await subject.provider.regenerate(subject.account, subject.idle, before, HELD)


async def test_an_account_that_is_gone_is_not_found(subject: Subject) -> None:
    """Each call says which account, and that a person must look."""
    gone = AccountId.parse(str(subject.account).replace(subject.account.name, "gone1"))
    for call in (subject.provider.describe(gone), subject.provider.list_keys(gone)):
        with pytest.raises(NotFound, match="gone1"):
            await call


async def test_every_format_can_be_read_back(subject: Subject) -> None:
    """What it renders is recognised as that format of that key; other formats are refused."""
    description = await subject.provider.describe(subject.account)
    key = (await subject.provider.list_keys(subject.account))[subject.idle]

    for form in type(next(iter(subject.provider.formats))):
        if form in subject.provider.formats:
            found = recognise(subject.provider.render(description, key, form))
            assert (form, key) == (found.format, found.key)
        else:
            with pytest.raises(NeedsOperator):
                subject.provider.render(description, key, form)
