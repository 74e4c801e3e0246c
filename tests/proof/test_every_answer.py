"""Whatever a service answers, what is published works, and the report says of which account and who acts next."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from rotation.report import UNMET, Report
from tests.integration.estates import NAMES, SERVICES
from tests.proof.answers import FINE, KINDS, OPERATION, READ, WAITS, Kind, answers_to
from tests.proof.picture import Picture
from tests.proof.stories import STORIES
from tests.proof.trial import Sent, Stage, Trial
from tests.surface.leaks import leaked

FEWEST = {"storage": 140, "batch": 139, "webpubsub": 160}
"""How many answers each service gives at least."""
BY_ALL = ("rotate, for the first time", "rotate, a secret missing at first", "wait, then stage")
"""The stories without which a service would send no request of some kind."""
FEWEST_FULL = {
    "rotate": 938,
    "rotate, for the first time": 1075,
    "rotate, a secret missing at first": 1408,
    "rotate, then retire": 1832,
    "force": 938,
    "republish": 936,
    "retag": 826,
    "align": 814,
    "retire": 894,
    "stage": 1786,
    "wait, then stage": 2291,
    "publish": 870,
    "compromised active": 1942,
    "compromised active, at once": 1504,
    "compromised active, not accepted": 2790,
    "compromised active, replaced meanwhile": 1720,
    "compromised idle": 1004,
    "compromised both": 1942,
    "compromised both, at once": 1504,
}
"""How many are given to each story at least if `full`."""


@dataclass(frozen=True, slots=True)
class Place:
    """A visit of a story, with what it sends when nobody disturbs it, and how the story ends then."""

    trial: Trial
    name: str
    visit: int
    sent: list[Sent]
    end: Picture


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All stories by all services if `full`, else most by one of them."""
    if "names" not in metafunc.fixturenames:
        return
    full = metafunc.config.getoption("--full", default=False)
    if full:
        cases = [(service, [name]) for service in SERVICES for name in STORIES]
    else:
        shared = [name for name in STORIES if name not in BY_ALL]
        cases = [(service, [*shared[n :: len(SERVICES)], *BY_ALL]) for n, service in enumerate(SERVICES)]
    metafunc.parametrize(("service", "names"), cases, ids=[f"{s}-{n[0]}" if full else s for s, n in cases])


@pytest.mark.timeout(3600)
def test_whatever_is_answered_nothing_is_lost(
    stage: Stage, service: str, names: list[str], tally: Counter[str], *, full: bool
) -> None:
    """S1 holds, no slot is regenerated twice, the report is complete, and the next pass ends the story."""
    complaints: list[str] = []
    points = 0
    with ExitStack() as running:
        tried = {name: running.enter_context(stage.trial(name, service))[0] for name in names}
        places = [place for name in names for place in _places(name, tried[name])]
        for place, kind, answer, which in _points(places, SERVICES.index(service), full=full):
            _answered(place, kind, answer, which)
            points += 1
        complaints += [complaint for each in tried.values() for complaint in each.complaints]

    tally["fault points"] += points
    assert [] == complaints
    assert points >= (sum(FEWEST_FULL[name] for name in names) if full else FEWEST[service])


@pytest.mark.parametrize("service", SERVICES)
def test_nobody_has_to_act_where_a_secret_goes_during_a_pass(stage: Stage, service: str) -> None:
    """Gone before it is read or before it is written: the next pass lists again and sees what is left."""
    codes = []
    with stage.trial("rotate", service) as (tried, _):
        for n in range(2 * len(tried.forms)):
            tried.begin(f"read number {n}")
            stage.simulator.fault(**READ.which, skip=n, times=1, status=404, code="SecretNotFound")
            (outcome,) = tried.happens(STORIES["rotate"].visits[0]).outcomes
            codes.append(outcome.error.code if outcome.error else "")

    assert ["changed-meanwhile"] * len(codes) == codes


def _places(name: str, tried: Trial) -> Iterator[Place]:
    end, visits = tried.uninterrupted()
    return (Place(tried, name, visit, sent, end) for visit, sent in enumerate(visits))


def _points(places: list[Place], turn: int, *, full: bool) -> Iterator[tuple[Place, Kind, str, dict[str, Any]]]:
    """Where which answer is given, and to which requests of the visit: to all of a kind, or to one.

    If not `full`, each kind of request has each answer from one of the services, at one of the places after another;
    one that a single service sends has all of them from that one.
    """
    for k, kind in enumerate(KINDS):
        those = [place for place in places if any(kind.claims(request) for request in place.sent)]
        for n, answer in enumerate(answers_to(kind)):
            if full:
                yield from (
                    (place, kind, answer, which) for place in those for which in (kind.which, *_each(place, kind))
                )
            elif those and (kind is OPERATION or (n + k) % len(SERVICES) == turn):
                yield those[n % len(those)], kind, answer, kind.which


def _each(place: Place, kind: Kind) -> Iterator[dict[str, Any]]:
    """Each request of a kind alone; told by its number among them, since others are sent at the same time."""
    for n in range(sum(kind.claims(request) for request in place.sent)):
        yield {**kind.which, "skip": n, "times": 1}


def _answered(place: Place, kind: Kind, answer: str, which: dict[str, Any]) -> None:
    """Let one visit of a story be answered so, and the rest of the story follow."""
    tried, simulator, visits = place.trial, place.trial.simulator, place.trial.story.visits
    alone = f" number {which['skip']}" if "skip" in which else ""
    told = answers_to(kind)[answer]
    tried.begin(f"{place.name}, visit {place.visit}, {kind}{alone}: {answer}")
    for earlier in visits[: place.visit]:
        tried.happens(earlier)
    before, visit = tried.picture().regenerated, visits[place.visit]
    simulator.clear_journal()
    fault = simulator.fault(**which, **told.to(kind))
    report = tried.happens(visit, stall=fault if "stall" in told.told else None)
    tried.require(simulator.hits(fault) > 0, "nothing was answered so")
    tried.forget_what_hangs()
    simulator.lift(fault)

    sent = tried.sent()
    next_one = told.next_after(kind) | ({WAITS} if visit.refused or visit.missing else set())
    if not alone and told.bars(kind):
        tried.require([] == [str(request) for request in sent if request.changes], "something was changed all the same")
        next_one -= {FINE}
    if not alone and told.loses(kind):
        written = [str(request) for request in sent if request.secret and request.writes]
        tried.require([] == written, f"written without a lease: {written}")
    asked = sum(request.regenerates for request in sent)
    made = tried.picture().regenerated - before
    tried.require(asked <= sum(request.regenerates for request in place.sent), f"{asked} regenerates in one pass")
    tried.require(max(made.values(), default=0) <= 1, f"a slot was regenerated twice in one pass: {made}")
    tried.look()
    _is_complete(tried, report, next_one)
    if report.exit_code != FINE or any(
        outcome.verdict.reason in UNMET for outcome in report.outcomes if outcome.verdict
    ):
        tried.happens(visit.later())
    for later in visits[place.visit + 1 :]:
        tried.happens(later)
    tried.ended_like(place.end)


def _is_complete(tried: Trial, report: Report, next_one: frozenset[int]) -> None:
    """The report names the account, or the vault that hides it, and who acts next, and no key."""
    said = [(outcome.account, str(outcome.error or outcome.verdict)) for outcome in report.outcomes]
    hidden = [(vault, str(error)) for vault, error in report.problems.items()]
    tried.require(bool(said or hidden), "the report is empty")
    for account, what in said:
        tried.require(account.endswith(f"/{NAMES[tried.service]}"), f"the report is about {account!r}")
        tried.require(bool(what), "the report does not say why")
    for vault, what in hidden:
        tried.require(vault in what, f"what hides {vault} is told without it: {what}")
    said += hidden
    tried.require(report.exit_code in next_one, f"exit code {report.exit_code}: {said}")
    tried.require([] == leaked(str(report.to_json()), tried.simulator.present_keys()), "the report has a key")
