"""One story, begun as often as it takes to disturb it at every point."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from rotation.report import Report
from simulator.client import ControlClient
from tests.integration.estates import SLOTS
from tests.proof.application import Applications
from tests.proof.lease_storage import LeaseStorage, lease_storage
from tests.proof.machine import Machine, machine
from tests.proof.picture import Picture, keys, shut_out, take
from tests.proof.stories import MISSING, MIXED, REFUSALS, STORIES, Story, Visit

PAUSE = 0.02
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One request of a pass."""

    method: str
    host: str
    path: str
    action: str
    """What it does with a lease on a blob; empty for all other requests."""
    challenge: bool
    """Whether it goes to a vault without a token; all it can come to is the vault's challenge."""

    def __str__(self) -> str:
        what = " ".join(filter(None, (self.method, self.action, "unsigned" if self.challenge else "")))
        return f"{what} {self.host}/…/{self.path.strip('/').rpartition('/')[2]}"

    @property
    def secret(self) -> str:
        """The name of the secret, of a request that is about one; empty for all others."""
        return self.path.split("/")[2] if self.path.startswith("/secrets/") else ""

    @property
    def regenerates(self) -> bool:
        """Whether it asks for a new key."""
        return "/regenerate" in self.path.lower()

    @property
    def changes(self) -> bool:
        """Whether the world is another one after it."""
        return bool(self.secret and self.writes) or self.regenerates

    @property
    def writes(self) -> bool:
        """Whether its method is one that writes."""
        return self.method in ("PUT", "PATCH")

    @property
    def leases(self) -> bool:
        """Whether it is about a lease, or makes the place for one."""
        return bool(self.action) or (self.writes and not self.secret)


@dataclass
class Trial:
    """A story with one service and publications in some forms, on a machine."""

    simulator: ControlClient
    machine: Machine
    leases: LeaseStorage
    applications: Applications
    story: Story
    service: str
    forms: tuple[str, ...]
    operation_seconds: float = 0.0
    """How long a regenerate of Web PubSub goes on after its answer."""
    complaints: list[str] = field(default_factory=list)
    """What turned out not to be true; empty in the end."""

    def begin(self, point: str) -> None:
        """Begin anew; `point` says in complaints what is tried this time."""
        self.story.begin(self.simulator, self.service, self.forms, self.leases)
        self._point = f"{self.service}: {point}"
        self._keys = keys(self.simulator)
        self._known = set(shut_out(self.simulator.history()))

    def uninterrupted(self) -> tuple[Picture, list[list[Sent]]]:
        """How the story ends when nothing comes in between, and the requests of each visit."""
        self.begin("uninterrupted")
        requests = []
        for visit in self.story.visits:
            self.simulator.clear_journal()
            self.happens(visit)
            requests.append(self.sent())
        self.look()
        return self.picture(), requests

    def happens(self, visit: Visit, stall: str | None = None) -> Report:
        """Let a pass come and go, while the fault named `stall` may leave requests without an answer."""
        with self.during(visit) as asked:
            return self.machine.rotate(asked, lambda: self.simulator.hits(stall) if stall else 0)

    @contextmanager
    def during(self, visit: Visit) -> Iterator[Visit]:
        """Set the services' clocks, and what they think of new keys; the visit is then one to this story's keys.

        So much time lies between two visits that no lease goes on.
        """
        self.leases.run_out()
        self.simulator.behave(clock_offset=visit.ahead.total_seconds(), operation_seconds=self.operation_seconds)
        wrong = [REFUSALS[self.service]] * visit.refused + [MISSING] * visit.missing
        faults = [self.simulator.fault(**told) for told in wrong]
        yield visit.naming(self._keys, SLOTS[self.service][1])
        for fault in faults:
            self.simulator.lift(fault)

    def sent(self) -> list[Sent]:
        """The requests since the journal was cleared."""
        return [
            Sent(
                **{name: entry[name] for name in ("method", "host", "path", "action")},
                challenge=entry["sign_in"] and ".vault." in entry["host"],
            )
            for entry in self.simulator.journal()
        ]

    def forget_what_hangs(self) -> None:
        """Wait until requests that nobody awaits any more are given up; they would take effect when let go."""
        while any(entry["duration"] is None for entry in self.simulator.journal()):
            time.sleep(PAUSE)

    def picture(self) -> Picture:
        """The world as it is."""
        return take(self.simulator, self._keys)

    def look(self) -> None:
        """S1 now: what is published opens its account, but for what somebody else has regenerated."""
        lost = {f"{row['vault']}/{row['secret']}" for row in self.simulator.verdict() if row["slot"] is None}
        refused = self.applications.shut_out()
        for secret, told in refused.items():
            self.require(self.story.drifted and secret in lost, f"{secret} was told {told}")

    def look_back(self) -> None:
        """S1 at every moment since the story began: no request closed what was open before."""
        for shut in shut_out(self.simulator.history()):
            self.require(shut in self._known, shut)

    def ended_like(self, end: Picture, cut: int = 1) -> None:
        """Compare the world with that of the uninterrupted story, when `cut` passes were cut short.

        Each of them may leave a key that nobody knows, and a version that the next one writes again.
        """
        self.look_back()
        seen = self.picture()
        self.require(seen == end, f"ended as {seen} and not as {end}")
        versions, made = seen.versions - end.versions, seen.regenerated - end.regenerated
        self.require(versions.total() <= cut, f"more versions: {versions}")
        self.require(made.total() <= cut, f"more keys: {made}")

    def require(self, true: bool, otherwise: str) -> None:  # noqa: FBT001  what is required is the first thing to say
        """Complain unless it is true."""
        if not true:
            self.complaints.append(f"{self._point}: {otherwise}")


@dataclass(frozen=True, slots=True)
class Stage:
    """Where stories are told: all of Azure, and a place for leases."""

    simulator: ControlClient
    leases: LeaseStorage

    @contextmanager
    def trial(
        self, name: str, service: str, forms: tuple[str, ...] = (), deaths: int = 0
    ) -> Iterator[tuple[Trial, list[Machine]]]:
        """A story, with as many machines on which to die; with three publications unless told otherwise."""
        story, forms = STORIES[name], forms or MIXED[service]
        told = story.estate(service, forms)["vaults"]
        vaults = [vault["name"] for vault in told]
        secrets = [f"{vault['name']}/{secret['name']}" for vault in told for secret in vault["secrets"]]
        settings = {"ROTATION_LEASES": self.leases.url, **story.settings}
        with ExitStack() as running:
            lives, *dying = (running.enter_context(machine(vaults, **settings)) for _ in range(1 + deaths))
            applications = Applications(lives, service, secrets)
            tried = Trial(self.simulator, lives, self.leases, applications, story, service, forms)
            if not story.first:
                tried.begin("long before, so that the place for leases is there")
                tried.happens(story.visits[0])
            yield tried, dying


@contextmanager
def stage(simulator: ControlClient, azurite: str) -> Iterator[Stage]:
    """A simulator, and an emulator told by its connection string."""
    with lease_storage(azurite) as leases:
        yield Stage(simulator, leases)
