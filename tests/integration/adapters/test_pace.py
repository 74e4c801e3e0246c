"""A quota that is exceeded slows down what it bounds, and nothing else, for as long as it must."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from rotation.clock import SystemClock
from rotation.cloud import transport
from rotation.cloud.clouds import PUBLIC
from rotation.cloud.connection import Connection, connect
from rotation.cloud.pace import Pace, Paces, Unsent
from rotation.model import AccountId
from rotation.providers import all_providers
from simulator.client import ControlClient
from tests.leases import HELD

ARM = "https://management.azure.com"
BATCH = f"{ARM}/subscriptions/s1/resourceGroups/g/providers/Microsoft.Batch/batchAccounts/a"


class Stopped:
    """A clock that goes on only when somebody sleeps."""

    def __init__(self) -> None:
        self.time = datetime(2031, 5, 1, tzinfo=UTC)
        self.began = self.time

    @property
    def passed(self) -> float:
        """Seconds since it began."""
        return (self.time - self.began).total_seconds()

    def now(self) -> datetime:
        """Return the time."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Let it go on."""
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Stopped:
    """A clock that stands."""
    return Stopped()


@pytest.fixture
def pace(clock: Stopped) -> Pace:
    """The pace of a quota that nobody has asked yet."""
    return Pace(clock)


async def refuse(pace: Pace, after: float | None = 1.0) -> None:
    """Send one request that is refused."""
    asked = await pace.turn(first=False)
    pace.refused(asked, after)


async def send(pace: Pace, times: int) -> None:
    """Send requests that are granted."""
    for _ in range(times):
        await pace.turn(first=False)
        pace.granted()


async def test_nobody_waits_before_a_quota_is_exceeded(pace: Pace, clock: Stopped) -> None:
    """What is never throttled is never slowed down."""
    await send(pace, 10_000)

    assert pace.free
    assert 0 == clock.passed


async def test_a_refusal_stops_the_quota_for_as_long_as_it_says(pace: Pace, clock: Stopped) -> None:
    """Retry-After is for all that the quota bounds."""
    await refuse(pace, after=7)
    await send(pace, 1)

    assert 7 == clock.passed


async def test_who_is_told_to_come_back_in_an_hour_asks_again_in_half_a_minute(pace: Pace, clock: Stopped) -> None:
    """Others may have used the quota up, and its owner may raise it."""
    await refuse(pace, after=3400)
    await send(pace, 1)

    assert 30 == clock.passed


async def test_the_pace_becomes_what_was_granted_between_two_refusals(pace: Pace, clock: Stopped) -> None:
    """Twenty in the ten seconds since the bucket was empty are two a second."""
    await refuse(pace)
    while clock.passed < 10:
        await clock.sleep(0.5)
        pace.granted()
    await refuse(pace)
    await send(pace, 1)
    before = clock.passed
    await send(pace, 20)

    assert 8 < clock.passed - before < 10


async def test_refusals_of_what_was_under_way_tell_nothing_new(pace: Pace, clock: Stopped) -> None:
    """Sixty requests that are refused at once are one refusal, and slow down as one does."""
    asked = [await pace.turn(first=False) for _ in range(60)]
    for moment in asked:
        with pace.out():
            pace.refused(moment, 1.0)
    await send(pace, 1)

    assert 1 == clock.passed


class Bucket:
    """A quota that somebody else may use up for a while."""

    def __init__(self, clock: Stopped, a_second: float = 10, retry_after: float | None = 1) -> None:
        self._clock = clock
        self._a_second = a_second
        self._level = self._since = 0.0
        self.retry_after = retry_after
        self.asked = 0
        self.taken = False

    def take(self) -> bool:
        """Whether a request is granted."""
        self.asked += 1
        filled = self._level + (self._clock.passed - self._since) * self._a_second
        self._level, self._since = 0.0 if self.taken else min(10.0, filled), self._clock.passed
        granted = self._level >= 1
        self._level -= granted
        return granted


async def granted(pace: Pace, bucket: Bucket, clock: Stopped, seconds: float) -> int:
    """Ask as quickly as the pace allows, and count what is granted in that time."""
    end, count = clock.passed + seconds, 0
    while clock.passed < end:
        asked = await pace.turn(first=False)
        await clock.sleep(0.001)
        if bucket.take():
            pace.granted()
            count += 1
        else:
            pace.refused(asked, bucket.retry_after)
    return count


async def test_a_quota_that_others_have_left_is_used_again_at_once(pace: Pace, clock: Stopped) -> None:
    """Ten seconds in which nothing was granted say nothing of how quickly to go on after them."""
    bucket = Bucket(clock)
    await granted(pace, bucket, clock, 60)
    bucket.taken = True
    assert 0 == await granted(pace, bucket, clock, 10)
    bucket.taken = False

    assert [await granted(pace, bucket, clock, 30) > 270 for _ in range(3)] == [True, True, True]


async def test_a_quota_of_less_than_one_a_second_is_found_out_where_no_pause_is_named(
    pace: Pace, clock: Stopped
) -> None:
    """A second is our guess, so that the pace itself has to become as slow."""
    bucket = Bucket(clock, a_second=0.3, retry_after=None)

    assert 0.75 < await granted(pace, bucket, clock, 600) / bucket.asked


async def test_a_quota_that_is_raised_is_found_out(pace: Pace, clock: Stopped) -> None:
    """A pace grows all the time."""
    await refuse(pace)
    await send(pace, 10)
    await refuse(pace)
    early = clock.passed
    await send(pace, 100)
    late = clock.passed
    await send(pace, 100)

    assert clock.passed - late < late - early


async def test_a_quota_that_nobody_asked_for_a_while_is_free_again(pace: Pace, clock: Stopped) -> None:
    """Its bucket is full, and the first that comes does not wait."""
    await refuse(pace)
    await clock.sleep(60)
    await send(pace, 1)

    assert pace.free


async def test_a_clock_that_is_set_back_keeps_nobody_waiting_for_as_long(pace: Pace, clock: Stopped) -> None:
    """An hour that comes again is no reason to wait for an hour."""
    await refuse(pace)
    await send(pace, 5)
    clock.time -= timedelta(hours=1)
    clock.began = clock.time
    await send(pace, 2)

    assert clock.passed < 40


@pytest.mark.parametrize("seconds", [3600, 1], ids=["by an hour", "to the refusal before"])
async def test_a_clock_that_is_set_back_under_a_request_is_no_measure(
    pace: Pace, clock: Stopped, seconds: float
) -> None:
    """What was granted in less than no time is not a pace; the next answers measure anew."""
    await refuse(pace)
    await clock.sleep(1)
    for _ in range(5):
        await pace.turn(first=False)
        pace.granted()
    asked = await pace.turn(first=False)
    clock.time = pace._refused if seconds == 1 else clock.time - timedelta(seconds=seconds)
    clock.began = clock.time
    with pace.out():
        pace.refused(asked, 7)
    await send(pace, 2)

    assert 7 < clock.passed < 15


async def test_what_is_sent_once_does_not_wait_for_long() -> None:
    """Its lease was looked at before it waited; it is told apart from a refusal by nothing having been sent."""
    pace = Pace(SystemClock())
    await refuse(pace, after=30)

    with pytest.raises(Unsent, match="nothing was sent"):
        await pace.turn(first=True, patience=0.05)


async def test_who_is_in_the_middle_of_a_pass_goes_first(pace: Pace) -> None:
    """Those that can wait do so until the others have had their turn."""
    await refuse(pace)
    order: list[str] = []

    async def take(name: str, *, first: bool) -> None:
        await pace.turn(first=first)
        order.append(name)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(pace._front.acquire())
        await asyncio.sleep(0)
        for number in range(3):
            tasks.create_task(take(f"later {number}", first=False))
        await asyncio.sleep(0)
        tasks.create_task(take("first", first=True))
        await asyncio.sleep(0)
        pace._front.release()

    assert ["later 0", "first", "later 1", "later 2"] == order


@pytest.mark.parametrize(
    ("method", "url", "shared"),
    [
        pytest.param("POST", f"{BATCH}2/listKeys", True, id="another account"),
        pytest.param("POST", f"{BATCH}/regenerateKeys", False, id="another kind of POST"),
        pytest.param("GET", BATCH, False, id="another method"),
        pytest.param("POST", BATCH.replace("s1", "s2"), False, id="another subscription"),
        pytest.param("POST", BATCH.replace("Microsoft.Batch", "Microsoft.Storage"), False, id="another provider"),
        pytest.param("POST", "https://kv-one.vault.azure.net/secrets/a", False, id="a vault"),
    ],
)
def test_each_quota_has_a_pace_of_its_own(clock: Stopped, method: str, url: str, *, shared: bool) -> None:
    """A subscription that is throttled does not slow down another one, nor the vaults."""
    paces = Paces()

    assert shared is (paces.of("POST", f"{BATCH}/listKeys", clock) is paces.of(method, url, clock))


@pytest.fixture
async def connection() -> AsyncIterator[Connection]:
    """A connection to the default estate."""
    async with connect(PUBLIC, None, SystemClock()) as opened:
        yield opened


async def test_a_regenerate_that_was_not_sent_is_told_at_once(
    simulator: ControlClient, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S5: it is known not to have happened, so nobody lists keys, for which there is a quota too, to find that out."""
    monkeypatch.setattr(transport, "_PATIENCE", 0.05)
    accounts = [AccountId.parse(account["id"]) for account in simulator.accounts()]
    providers = all_providers(connection, frozenset())
    subjects = {account.resource_type: (account, providers.for_type(account.resource_type)) for account in accounts}
    keys = {kind: await provider.list_keys(account) for kind, (account, provider) in subjects.items()}
    for kind, (account, provider) in subjects.items():
        for action in ("regenerateKey", "regenerateKeys"):
            used_up = connection.paces.of("POST", f"{ARM}{account}/{action}", connection.clock)
            used_up.refused(connection.clock.now(), 20)
        slot = provider.slots[1]
        simulator.clear_journal()

        with pytest.raises(Unsent, match="nothing was sent"):
            await provider.regenerate(account, slot, keys[kind][slot], HELD)

        assert [] == simulator.journal()


async def test_a_storm_becomes_a_stream(simulator: ControlClient, connection: Connection) -> None:
    """Three times as many as the bucket holds, all at once: each is answered, and few were refused on the way."""
    simulator.behave(quotas=5)
    account = next(a for a in map(AccountId.parse, (a["id"] for a in simulator.accounts())) if "Batch" in str(a))
    provider = all_providers(connection, frozenset()).for_type(account.resource_type)
    places = asyncio.Semaphore(32)

    async def ask() -> int:
        async with places:
            return len(await provider.list_keys(account))

    assert [2] * 400 == await asyncio.gather(*(ask() for _ in range(400)))
    statuses = [entry["status"] for entry in simulator.journal() if entry["path"].endswith("/listKeys")]
    assert 0 < statuses.count(429) < 0.15 * 400
