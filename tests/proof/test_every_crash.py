"""A pass that dies at any request leaves a world that works, and the next one ends it as if nothing had happened."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from rotation.model import Trigger
from simulator.client import ControlClient
from tests.integration.estates import SERVICES
from tests.proof.deaths import among_writes, at_each_change, at_each_request, dies
from tests.proof.machine import Machine, machine
from tests.proof.stories import ALONE, MINUTE, MIXED, STORIES, sweep
from tests.proof.trial import Trial

FEWEST = dict.fromkeys(STORIES, 1)
"""How many moments each story has at least, with three publications."""

SAID_BY_SOMEBODY = [name for name, story in STORIES.items() if story.visits[0].request.trigger is Trigger.OPERATOR]
RUNNING = 0.7
"""Seconds for which a regenerate of Web PubSub goes on; the next pass begins a few hundredths after it did."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tell every story with three publications, and with one in each form; of the latter only one without `--full`."""
    if "forms" not in metafunc.fixturenames:
        return
    full = metafunc.config.getoption("--full", default=False)
    cases = [
        (name, service, forms)
        for name, story in STORIES.items()
        for service in SERVICES
        for forms in (MIXED[service], *(ALONE[service] if name == "rotate" or (full and not story.ahead) else ()))
    ]
    ids = [f"{name}-{service}-{'+'.join(forms)}" for name, service, forms in cases]
    metafunc.parametrize(("name", "service", "forms"), cases, ids=ids)


@contextmanager
def trial(
    simulator: ControlClient, name: str, service: str, forms: tuple[str, ...] = (), deaths: int = 1
) -> Iterator[tuple[Trial, list[Machine]]]:
    """A story, with as many machines on which to die; with three publications unless told otherwise."""
    story, forms = STORIES[name], forms or MIXED[service]
    vaults = [vault["name"] for vault in story.estate(service, forms)["vaults"]]
    with ExitStack() as running:
        lives, *dying = (running.enter_context(machine(vaults, **story.settings)) for _ in range(1 + deaths))
        yield Trial(simulator, lives, story, service, forms), dying


@pytest.mark.timeout(900)
def test_a_pass_that_dies_anywhere_is_finished_by_the_next(
    simulator: ControlClient,
    name: str,
    service: str,
    forms: tuple[str, ...],
    pytestconfig: pytest.Config,
    tally: Counter[str],
) -> None:
    """What is published works at every moment, and the end is that of the uninterrupted story."""
    full, points = pytestconfig.getoption("--full", default=False), 0
    with trial(simulator, name, service, forms) as (tried, (doomed,)):
        end, visits = tried.uninterrupted()
        for visit, sent in enumerate(visits):
            for death in (*at_each_request(sent, reads=full), *among_writes(sent)):
                dies(tried, visit, [(death, doomed)], end)
                points += 1

    tally["crash points"] += points
    assert [] == tried.complaints
    assert points >= (FEWEST[name] if forms == MIXED[service] else 1)
    print(name, service, points)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("name", ["rotate", "compromised active, at once"])
def test_the_next_pass_may_die_as_well(simulator: ControlClient, name: str, service: str, tally: Counter[str]) -> None:
    """The third one ends what two have begun, at whichever two changes they died."""
    points = 0
    with trial(simulator, name, service, deaths=2) as (tried, (doomed, doomed_too)):
        end, (sent,) = tried.uninterrupted()
        for first in at_each_change(sent):
            then = dies(tried, 0, [(first, doomed)], end)
            for second in at_each_change(then):
                dies(tried, 0, [(first, doomed), (second, doomed_too)], end)
                points += 1

    tally["crash points"] += points
    assert [] == tried.complaints
    print(name, service, points)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("name", SAID_BY_SOMEBODY)
def test_a_sweep_may_come_before_it_is_said_again(
    simulator: ControlClient, name: str, service: str, tally: Counter[str]
) -> None:
    """The sweep goes on with what it sees, and whoever says it again gets what was asked for."""
    points = 0
    with trial(simulator, name, service) as (tried, (doomed,)):
        end, visits = tried.uninterrupted()
        for death in at_each_change(visits[0]):
            dies(tried, 0, [(death, doomed)], end, meanwhile=[sweep(MINUTE / 2)])
            points += 1

    tally["crash points"] += points
    assert [] == tried.complaints
    print(name, service, points)


@pytest.mark.parametrize("name", ["rotate", "retire", "compromised active, at once", "compromised both, at once"])
def test_the_next_pass_may_come_while_a_regenerate_goes_on(
    simulator: ControlClient, name: str, tally: Counter[str]
) -> None:
    """Nobody knows of the operation that the dead process began, and no second one can begin beside it."""
    points = 0
    with trial(simulator, name, "webpubsub") as (tried, (doomed,)):
        tried.operation_seconds = RUNNING
        end, (sent,) = tried.uninterrupted()
        for death in at_each_change(sent):
            dies(tried, 0, [(death, doomed)], end)
            points += 1

    tally["crash points"] += points
    assert [] == tried.complaints
    print(name, points)
