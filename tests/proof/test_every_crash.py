"""A pass that dies at any request leaves a world that works, and the next one ends it as if nothing had happened."""

from collections import Counter
from collections.abc import Iterator

import pytest

from rotation.model import Trigger
from tests.integration.estates import SERVICES
from tests.proof.deaths import (
    Death,
    after_each_regenerate,
    among_writes,
    at_each_change,
    at_each_lease,
    at_each_request,
    dies,
)
from tests.proof.machine import EndedBeforeError
from tests.proof.stories import ALONE, MINUTE, MIXED, STORIES, sweep
from tests.proof.trial import Sent, Stage

Case = tuple[str, str, tuple[str, ...]]
"""A story, a service, and the forms of the publications."""

EXAMPLE = {name: SERVICES[n % len(SERVICES)] for n, name in enumerate(STORIES)}
"""The service by which each story is told where not all of them are."""

FEWEST = {
    "rotate": (9, 58, 32),
    "rotate, for the first time": (14, 64, 38),
    # The first pass ends at the first answer that one is gone, so that some of its other requests may not be sent.
    "rotate, a secret missing at first": (9, 74, 44),
    "rotate, then retire": (18, 114, 62),
    "force": (9, 58, 32),
    "republish": (8, 62, 32),
    "retag": (8, 54, 28),
    "align": (4, 48, 0),
    "retire": (9, 56, 30),
    "stage": (17, 112, 60),
    "wait, then stage": (17, 150, 98),
    "publish": (8, 56, 30),
    "compromised active": (18, 124, 68),
    "compromised active, at once": (17, 108, 54),
    "compromised active, not accepted": (26, 178, 96),
    "compromised active, replaced meanwhile": (17, 110, 58),
    "compromised idle": (9, 66, 36),
    "compromised both": (18, 124, 68),
    "compromised both, at once": (17, 108, 54),
}
"""How many worlds each story has at least with three publications, and if `full` how many moments, and with one."""
WRITES = 8
"""The worlds that three writes at once, or none of them, may leave behind."""
WORLDS_ALONE = 3
"""The worlds of a rotation with one publication."""

SAID_BY_SOMEBODY = [name for name, story in STORIES.items() if story.visits[0].request.trigger is Trigger.OPERATOR]
SELECTED = {
    "twice": (("rotate", "compromised active, at once"), ("rotate",)),
    "said": (SAID_BY_SOMEBODY, ("force", "compromised active, at once", "compromised idle")),
}
"""By what else happens to them, the stories to which it can, and those to which it does unless `full`."""

RUNNING = 0.3
"""Seconds for which a regenerate of Web PubSub goes on; the next pass begins a few hundredths after it did."""
PACE = 0.05
"""Seconds that each pause of that pass takes, so that its patience is the longer one."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tell every story, by one service at least, and `rotate` in each form that a service has; all by all if `full`."""
    full = metafunc.config.getoption("--full", default=False)
    if "case" in metafunc.fixturenames:
        cases = list(_cases(full=full))
        ids = [f"{name}-{service}-{'+'.join(forms)}" for name, service, forms in cases]
        metafunc.parametrize("case", cases, ids=ids)
    for argument, (all_names, some) in SELECTED.items():
        if argument in metafunc.fixturenames:
            pairs = [(n, s) for n in (all_names if full else some) for s in (SERVICES if full else (EXAMPLE[n],))]
            metafunc.parametrize(argument, pairs, ids=["-".join(pair) for pair in pairs])


def _cases(*, full: bool) -> Iterator[Case]:
    for name in FEWEST:
        for service in SERVICES:
            if full or service == EXAMPLE[name] or name == "rotate":
                yield name, service, MIXED[service]
            if (full and not STORIES[name].ahead) or name == "rotate":
                yield from ((name, service, forms) for forms in ALONE[service])


@pytest.mark.timeout(900)
def test_a_pass_that_dies_anywhere_is_finished_by_the_next(
    stage: Stage, case: Case, tally: Counter[str], *, full: bool
) -> None:
    """What is published works at every moment, and the end is that of the uninterrupted story."""
    name, service, forms = case
    points = 0
    with stage.trial(name, service, forms, deaths=1) as (tried, (doomed,)):
        end, visits = tried.uninterrupted()
        for visit, sent in enumerate(visits):
            for death in _deaths(sent, full=full, leases=tried.story.first):
                try:
                    dies(tried, visit, [(death, doomed)], end)
                except EndedBeforeError:
                    # Of what it reads at the same time the first answer that a secret is gone ends the pass.
                    assert tried.story.visits[visit].missing
                    continue
                points += 1

    tally["crash points"] += points
    assert [] == tried.complaints
    worlds, moments, moments_alone = FEWEST[name]
    together = forms == MIXED[service]
    assert points >= ((moments if together else moments_alone) if full else (worlds if together else WORLDS_ALONE))


@pytest.mark.timeout(900)
def test_the_next_pass_may_die_as_well(stage: Stage, twice: tuple[str, str], tally: Counter[str]) -> None:
    """The third one ends what two have begun, at whichever two changes they died."""
    name, service = twice
    points = 0
    with stage.trial(name, service, deaths=2) as (tried, (doomed, doomed_too)):
        end, (sent,) = tried.uninterrupted()
        for first in at_each_change(sent):
            then = dies(tried, 0, [(first, doomed)], end)
            for second in at_each_change(then):
                dies(tried, 0, [(first, doomed), (second, doomed_too)], end)
                points += 1

    tally["crash points"] += points
    assert [] == tried.complaints
    assert points >= 36


@pytest.mark.timeout(900)
def test_a_sweep_may_come_before_it_is_said_again(stage: Stage, said: tuple[str, str], tally: Counter[str]) -> None:
    """The sweep goes on with what it sees, and whoever says it again gets what was asked for."""
    name, service = said
    points = 0
    with stage.trial(name, service, deaths=1) as (tried, (doomed,)):
        end, visits = tried.uninterrupted()
        for death in at_each_change(visits[0]):
            dies(tried, 0, [(death, doomed)], end, meanwhile=[sweep(MINUTE / 2)])
            points += 1

    tally["crash points"] += points
    assert [] == tried.complaints
    assert points >= WRITES + sum(request.regenerates for request in visits[0])


@pytest.mark.parametrize("name", ["rotate", "retire", "compromised both, at once"])
def test_the_next_pass_may_come_while_a_regenerate_goes_on(stage: Stage, name: str, tally: Counter[str]) -> None:
    """Nobody knows of the operation that the dead process began, and no second one can begin beside it."""
    points = 0
    with stage.trial(name, "webpubsub", deaths=1) as (tried, (doomed,)):
        tried.operation_seconds = RUNNING
        tried.machine.loop.idle = PACE
        end, (sent,) = tried.uninterrupted()
        for death in after_each_regenerate(sent):
            dies(tried, 0, [(death, doomed)], end)
            points += 1

    tally["crash points"] += points
    assert [] == tried.complaints
    assert points == sum(request.regenerates for request in sent)


def _deaths(sent: list[Sent], *, full: bool, leases: bool) -> Iterator[Death]:
    """Every moment, or every world that a death may leave behind; the `leases` are the same ones in most stories."""
    if not full:
        yield from at_each_change(sent)
        if leases:
            yield from at_each_lease(sent)
        return
    yield from at_each_request(sent)
    yield from among_writes(sent)
