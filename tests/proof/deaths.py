"""A cheap death: for the world outside it is a killed process, and it costs a twentieth of a second.

A process that is killed sends nothing more, hears of no answer, and cleans nothing up.
Here it is a pass with requests that are never answered, on a machine that stands still from that moment on;
`tests/integration/test_crashes.py` sends SIGKILL at every request of a rotation and of an emergency.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from tests.proof.machine import Machine
from tests.proof.picture import Picture
from tests.proof.stories import Visit
from tests.proof.trial import Sent, Trial


@dataclass(frozen=True, slots=True)
class Death:
    """A moment in a pass, told by the requests that are in the air then."""

    name: str
    stalls: tuple[dict[str, Any], ...]


def at_each_request(sent: Sequence[Sent]) -> Iterator[Death]:
    """Every moment of a pass, once, as far as its requests come one after the other.

    There are three to each request: before it took effect, after that but before its answer, and after its answer.
    The third is the first one of the next request, since a process that has heard an answer and sent nothing more has
    changed nothing; after the last request nothing is left to finish.
    """
    for n in range(len(sent)):
        yield from (_at(sent, n, when) for when in ("before", "after"))


def at_each_lease(sent: Sequence[Sent]) -> Iterator[Death]:
    """Every state that a death may leave the leases in."""
    yield from (_at(sent, n, "after") for n, request in enumerate(sent) if request.leases)


def among_writes(sent: Sequence[Sent]) -> Iterator[Death]:
    """Every way in which some of the writes that are sent together arrive, and others do not."""
    for method in ("PUT", "PATCH"):
        secrets = _written(sent, method)
        for number in range(1, len(secrets)):
            for lost in combinations(secrets, number):
                yield _writing(method, secrets, lost)


def after_each_regenerate(sent: Sequence[Sent]) -> Iterator[Death]:
    """Every moment at which a new key is there, or on its way, and nobody has heard of it."""
    for n in range(sum(request.regenerates for request in sent)):
        yield Death(f"after regenerate {n}", (_stall(path="/regenerate", skip=n, when="after"),))


def at_each_change(sent: Sequence[Sent]) -> Iterator[Death]:
    """Every world that a death may leave behind, once; that of a death before the first change is the beginning."""
    if any(request.changes for request in sent):
        yield Death("at the beginning", (_stall(),))
    yield from after_each_regenerate(sent)
    yield from among_writes(sent)
    for method in ("PUT", "PATCH"):
        if secrets := _written(sent, method):
            yield _writing(method, secrets, lost=())


def _written(sent: Sequence[Sent], method: str) -> list[str]:
    return sorted({request.secret for request in sent if request.secret and request.method == method})


def _writing(method: str, secrets: Sequence[str], lost: Sequence[str]) -> Death:
    """All the writes are in the air; those that are not lost have taken effect."""
    moments = [(secret, "before" if secret in lost else "after") for secret in secrets]
    return Death(
        f"{method} lost for {', '.join(lost) or 'none'}",
        tuple(_stall(method=method, path=f"^/secrets/{secret}", when=when) for secret, when in moments),
    )


def _at(sent: Sequence[Sent], n: int, when: str) -> Death:
    """At one of the requests, told by its number among those that are challenged as it is, or are not."""
    alike = sum(request.challenge is sent[n].challenge for request in sent[:n])
    stall = _stall(host=".", path=".", challenges=sent[n].challenge, skip=alike, when=when)
    return Death(f"{when} {n} {sent[n]}", (stall,))


def _stall(**told: Any) -> dict[str, Any]:
    return {"stall": True, "times": 1, **told}


def dies(
    trial: Trial, visit: int, deaths: Sequence[tuple[Death, Machine]], end: Picture, meanwhile: Sequence[Visit] = ()
) -> list[Sent]:
    """Let one of the visits die as often as told, each time on another machine, and see how the story ends.

    Returns the requests of the visit that came next and lived; others may come `meanwhile`.
    """
    *earlier, comes = trial.story.visits[: visit + 1]
    trial.begin(f"visit {visit} dies " + ", then ".join(death.name for death, _ in deaths))
    for before in earlier:
        trial.happens(before)
    with ExitStack() as graves:
        for death, machine in deaths:
            stalls = [trial.simulator.fault(**stall) for stall in death.stalls]
            began = machine.loop.leapt
            with trial.during(comes) as asked:
                dead = machine.die(asked, trial.simulator, *stalls)
            graves.callback(machine.bury, dead)
            trial.look()
            comes = comes.later(machine.loop.leapt - began)
        for between in meanwhile:
            trial.happens(between)
        trial.simulator.clear_journal()
        trial.happens(comes)
        sent = trial.sent()
        for after in trial.story.visits[visit + 1 :]:
            trial.happens(after)
        trial.ended_like(end, cut=len(deaths))
    return sent
