"""S1 and S2 whatever clocks say: skewed, set, in another zone, or of a machine that was stopped for a while."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from signal import SIGCONT, SIGSTOP
from typing import Any

import pytest

from rotation.clock import SystemClock
from rotation.listings import Listings
from rotation.model import Action, Reason, Request, Role, Trigger
from rotation.report import Report
from simulator.client import ControlClient
from tests.functions.estate import SETTINGS
from tests.functions.leases import break_off, forget
from tests.integration.engine import MINE, Later, bench
from tests.integration.estates import SERVICES, SLOTS, one_account, publication
from tests.proof import wrong_clock, zones
from tests.proof.leased import SHORTEST, one_pass
from tests.proof.life import EXPECTED, VAULT, Clocks, changes, last, live, one_of_each, retiring
from tests.seeing import slots

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0
SKEW = timedelta(minutes=10)
SECOND = [SLOTS[service][1] for service in SERVICES]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the settings say."""
    for name, value in {**SETTINGS, "ROTATION_VAULTS": VAULT}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ROTATION_PROBE_TIMEOUT", "PT1S")


@pytest.fixture
def azure(simulator: ControlClient, azurite: str, monkeypatch: pytest.MonkeyPatch) -> ControlClient:
    """Three accounts that are due, whose previous keys are retired as soon as their promise has ended.

    Leases are on blobs, and nobody holds one yet.
    """
    simulator.reset(retiring())
    forget(azurite)
    monkeypatch.setenv("AzureWebJobsStorage", azurite)
    return simulator


async def until_true(fact: Callable[[], Awaitable[object]]) -> None:
    """Wait for what happens elsewhere."""
    while not await fact():  # noqa: ASYNC110
        await asyncio.sleep(0.1)


async def succeeded(rotating: Awaitable[Report]) -> bool:
    """Whether a pass came to its end at every account."""
    return not (await rotating).exit_code


# Clocks that are wrong, or are put right


@pytest.mark.parametrize(
    "clocks",
    [
        Clocks(),
        Clocks(vault=SKEW),
        Clocks(vault=-SKEW),
        Clocks(one=SKEW, other=-SKEW),
        Clocks(one=-SKEW, other=SKEW),
    ],
    ids=["right", "vault ahead", "vault behind", "one ahead and other behind", "one behind and other ahead"],
)
async def test_clocks_ten_minutes_apart_change_nothing(azure: ControlClient, clocks: Clocks) -> None:
    """Nothing happens sooner, later, twice or not at all; no promise is five minutes short (S2)."""
    assert EXPECTED == await live(azure, clocks)


async def test_a_clock_that_is_behind_does_not_shorten_the_grace(simulator: ControlClient) -> None:
    """Who replaces the leaked key is ten minutes behind, and who looks next is right."""
    estate = one_account("storage")
    simulator.reset(estate)
    emergency = Request(Trigger.OPERATOR, "one", compromised=Role.ACTIVE, grace=SKEW)
    async with bench(estate) as work:
        steps = []
        for ahead, request in ((-SKEW, emergency), (timedelta(), MINE), (SKEW * 0.9, MINE), (SKEW * 1.1, MINE)):
            work.clock.ahead = ahead
            (outcome,) = (await work.rotate(request)).outcomes
            steps.append([step.action for step in outcome.steps])

    assert [[Action.ROTATE], [], [], [Action.RETIRE]] == steps


class Restless(Later):
    """A clock that somebody sets ten minutes forward, or back again, once in a dozen times that it is looked at."""

    def __init__(self, chance: Random) -> None:
        super().__init__()
        self._chance = chance
        self._forward = False

    def now(self) -> datetime:
        """Return the right time, or what comes ten minutes later."""
        self._forward ^= self._chance.random() < 1 / 12
        return super().now() + SKEW * self._forward


@pytest.mark.parametrize("seed", range(3))
async def test_clocks_that_are_set_in_the_middle_of_passes_change_nothing(azure: ControlClient, seed: int) -> None:
    """Whichever two looks at the clock it happens between, as here at other ones in every chapter.

    Where it ends the lease of a pass, or cuts its wait for an operation of Web PubSub short, the next pass may make
    another key for the idle slot, or publish the one that was noted as staged.
    """
    chance = Random(seed)  # noqa: S311  it is no secret
    told = await live(azure, Clocks(), clock=lambda: Restless(chance))
    more = {title: changed - EXPECTED[title] for title, changed in told.items()}

    assert EXPECTED == {title: changed - more[title] for title, changed in told.items()}
    assert {"regenerate", "PATCH"} >= {kind for each in more.values() for kind in each}


async def test_a_clock_set_forward_while_a_key_is_made_leaves_the_rest_to_the_next_pass(
    simulator: ControlClient,
) -> None:
    """S1: the pass believes that it has waited for ten minutes, and gives up; the published key is untouched."""
    estate = one_account("webpubsub")
    simulator.reset(estate)
    simulator.behave(operation_seconds=2)
    async with bench(estate) as work:
        work.clock.pace = 20
        making = asyncio.create_task(work.rotate())
        await until_true(lambda: asyncio.to_thread(changes, simulator))
        work.clock.ahead = 2 * SKEW
        (gave_up,) = (await making).outcomes
        before = slots(simulator)
        await until_true(lambda: succeeded(work.rotate()))

    assert "not-yet-true" == (gave_up.error and gave_up.error.code)
    assert (["Primary"], ["Secondary"]) == (before, slots(simulator))


async def test_a_token_that_ends_while_it_is_under_way_is_a_matter_of_waiting(simulator: ControlClient) -> None:
    """The machine stood still between signing and sending: nobody has to act, the next attempt has another token."""
    estate = one_account("storage")
    simulator.reset(estate)
    async with bench(estate) as work:
        survey = await work.survey()
        simulator.behave(token_seconds=1, latency={"control": 1.5})
        (late,) = (await work.fleet.rotate(survey, survey.groups, MINE)).outcomes
        simulator.behave(token_seconds=3600, latency={"control": 0})
        (outcome,) = (await work.rotate()).outcomes

    assert "unavailable" == (late.error and late.error.code)
    assert [Action.ROTATE] == [step.action for step in outcome.steps]


@pytest.mark.parametrize("service", ["storage", "batch"])
async def test_a_vault_that_is_behind_does_not_bring_a_dead_key_back(simulator: ControlClient, service: str) -> None:
    """S1: a secret that seems to be old because of its vault's clock is not taken for drift while listings lag."""
    estate = one_account(service)
    simulator.reset(estate)
    simulator.behave(clock_offset=-SKEW.total_seconds(), list_delay=1)
    async with bench(estate, ROTATION_PROBE="off") as work:
        (outcome,) = (await work.rotate()).outcomes

    assert [(Action.ROTATE, Reason.DUE)] == [(step.action, step.reason) for step in outcome.steps]
    assert outcome.verdict is not None
    assert Reason.KEYS_BEHIND is outcome.verdict.reason
    assert [SLOTS[service][1]] == slots(simulator)


async def test_a_clock_that_is_set_back_does_not_keep_an_old_listing_fresh(simulator: ControlClient) -> None:
    """S1: a secret that was put under rotation meanwhile would not be seen, and may publish the idle key."""
    estate = one_account("storage")
    simulator.reset(estate)
    async with bench(estate) as work:
        listings = Listings(work.fleet.survey, work.clock)
        await listings.since(work.clock.now())
        simulator.add_secret("kv-one", **publication("storage", "added", "key", slot="key2"))
        work.clock.ahead -= SKEW
        survey = await listings.since(work.clock.now())

    assert ["added", "secret-0"] == [secret.ref.name for group in survey.groups for secret in group.secrets]


@pytest.mark.parametrize("ahead", [SKEW, -SKEW], ids=["behind", "ahead"])
def test_a_machine_that_is_ten_minutes_behind_or_ahead_rotates_what_it_can_try(ahead: timedelta) -> None:
    """Its tokens and its signatures, too, are judged by the clock of Azure.

    A token that the SDK signs for Web PubSub lives a minute: whose clock is behind cannot try a new key, so that key
    stays staged until a machine with a better clock comes by, and the published one goes on working.
    """
    with wrong_clock.azure(one_of_each(), ahead) as running:
        command = [sys.executable, "-m", "rotation", "rotate", "--due"]
        done = subprocess.run(command, env={**os.environ, **running.env}, check=False)  # noqa: S603  # our own program
        published = slots(running.control)

    too_late = ahead > timedelta()
    assert ["key2", "Secondary", "Primary" if too_late else "Secondary"] == published
    assert too_late == done.returncode


# Calendars and zones


def until(month: int, day: int, *, days_before: int = 0) -> timedelta:
    """How long it is to noon of the next such day in UTC, or to some days before that."""
    now = SystemClock().now()
    for year in range(now.year, now.year + 9):
        with suppress(ValueError):
            noon = datetime(year, month, day, 12, tzinfo=UTC) - timedelta(days=days_before)
            if noon > now:
                return noon - now
    raise AssertionError


DAYS: dict[str, Callable[[], timedelta]] = {
    "on a leap day": lambda: until(2, 29),
    "the day before a leap day": lambda: until(2, 29, days_before=1),
    "as long before a leap day as keys are valid": lambda: until(2, 29, days_before=90),
    "the day before summer time": lambda: until(3, 26),
    "the day before winter time": lambda: until(10, 29),
}


@pytest.mark.parametrize("begin", DAYS.values(), ids=DAYS)
async def test_no_day_of_the_calendar_is_special(azure: ControlClient, begin: Callable[[], timedelta]) -> None:
    """Neither for what happens then nor for what expires then, in a zone with summer time."""
    with zones.zone(zones.EUROPE):
        assert EXPECTED == await live(azure, Clocks(), begin())


@pytest.mark.parametrize("change", [zones.set_forward, zones.set_back])
async def test_nothing_happens_when_clocks_are_changed_for_the_summer(
    azure: ControlClient, change: Callable[[datetime], str]
) -> None:
    """Neither by the time of the engine nor by that of the SDKs: the change comes while it works."""
    now = SystemClock().now()
    with zones.zone(change(now + timedelta(seconds=1))):
        hours = {zones.shown(now - zones.HOUR / 2), zones.shown(now + zones.HOUR / 2)}
        told = await live(azure, Clocks())

    assert len(hours) == 2 if change is zones.set_forward else len(hours) == 1
    assert EXPECTED == told


# Machines that stand still


HALF_WAY: dict[str, dict[str, Any]] = {
    "storage": {"method": "POST", "path": "stone/listKeys"},
    "batch": {"method": "POST", "path": "batchone/regenerateKeys"},
    "webpubsub": {"method": "GET", "path": "secrets/webpubsub-secret", "skip": 1},
}
"""The request whose answer a pass awaits when it is stopped: before it regenerates, while it does, and between reading
the secret once more and writing to it, where nothing but the lease can tell it from an undisturbed one."""


def stop_half_way(azure: ControlClient) -> list[str]:
    """Hold the answers that the next pass needs to go on; the faults that do it."""
    return [azure.fault(when="after", times=1, stall=True, **where) for where in HALF_WAY.values()]


async def stopped(azure: ControlClient, stalls: list[str]) -> bool:
    """Wait until the pass awaits all three answers."""
    return all([await asyncio.to_thread(azure.hits, stall, PATIENCE) for stall in stalls])


@contextmanager
def leased_process() -> Iterator[subprocess.Popen[bytes]]:
    """A pass in a process of its own, which is gone afterwards even if it was left stopped."""
    command = [sys.executable, "-m", "tests.proof.leased"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:  # noqa: S603  # our own program
        try:
            yield process
        finally:
            process.kill()


async def test_a_stopped_process_does_not_write_over_the_pass_that_took_its_place(azure: ControlClient) -> None:
    """S1: its leases and its tokens end while it stands still, and another pass rotates everything."""
    azure.behave(token_seconds=SHORTEST / 2)
    stalls = stop_half_way(azure)
    with leased_process() as process:
        assert await stopped(azure, stalls)
        process.send_signal(SIGSTOP)
        azure.lift()
        await until_true(lambda: succeeded(one_pass(SystemClock())))
        taken, n = slots(azure), last(azure)
        process.send_signal(SIGCONT)
        printed, _ = process.communicate()

    assert SECOND == taken == slots(azure)
    assert [] == changes(azure, n)
    assert ["failed"] * 3 == [outcome["status"] for outcome in json.loads(printed)["accounts"]]


async def test_a_suspended_machine_does_not_write_over_the_pass_that_took_its_place(
    azure: ControlClient, azurite: str
) -> None:
    """S1: the clock that measures how long a machine has run stands still with it; the one on the wall does not."""
    stalls = stop_half_way(azure)
    clock = Later()
    suspended = asyncio.create_task(one_pass(clock))
    assert await stopped(azure, stalls)
    clock.ahead = timedelta(minutes=1)
    break_off(azurite)
    other = await one_pass(SystemClock())
    taken, n = slots(azure), last(azure)
    azure.lift()
    report = await suspended

    assert {"changed": 3} == other.counts()
    assert SECOND == taken == slots(azure)
    assert [] == changes(azure, n)
    # Who has not regenerated yet looks anew, as its listing is a minute old, and finds nothing left to do.
    assert {"failed": 2, "left": 1} == report.counts()
