"""Faults: what goes wrong, for which requests, how often, and before or after the request took effect."""

import asyncio
import itertools
import re
from dataclasses import dataclass, field
from typing import Any

from simulator.clouds import Plane
from simulator.reader import Reader
from simulator.wire import Call

LEASE_ACTIONS = ("acquire", "renew", "release", "break", "change")
STATUSES = range(200, 600)
OF_AN_ANSWER = ("code", "retry_after", "body", "location")


@dataclass(slots=True, eq=False)
class Fault:
    """One rule of misbehaviour; exactly one of `status`, `cut`, `delay` and `stall` says what happens."""

    id: str
    host: re.Pattern[str]
    path: re.Pattern[str]
    method: str | None
    action: str | None
    challenges: bool
    skip: int
    times: int | None
    when: str
    status: int | None = None
    code: str | None = None
    retry_after: int | None = None
    body: str | None = None
    location: str | None = None
    cut: bool = False
    delay: float = 0.0
    stall: bool = False
    seen: int = 0
    claimed: int = 0
    hits: int = 0
    hit: asyncio.Event = field(default_factory=asyncio.Event)
    lifted: asyncio.Event = field(default_factory=asyncio.Event)

    def claims(self, call: Call, *, challenged: bool) -> bool:
        """Whether this request is one that goes wrong; counts the ones that are let pass.

        Signing in goes wrong only for a fault that asks for a host or a path.
        A vault's challenge only for one that asks for challenges: another one, meant for the request that comes with a
        token then, would be spent on it.
        """
        if challenged is not self.challenges or self.action not in (None, call.action):
            return False
        signing_in = call.plane in (Plane.SIGN_IN, Plane.IDENTITY)
        if signing_in and not self.host.pattern and not self.path.pattern:
            return False
        if not (self.method in (None, call.method) and self.host.search(call.host) and self.path.search(call.path)):
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.times is not None and self.claimed >= self.times):
            return False
        self.claimed += 1
        return True

    def strike(self) -> None:
        """The fault takes effect now; whoever waits for it is told."""
        self.hits += 1
        self.hit.set()

    def as_json(self) -> dict[str, Any]:
        """The fault as the control API shows it."""
        return {
            "id": self.id,
            "host": self.host.pattern,
            "path": self.path.pattern,
            "method": self.method,
            "action": self.action,
            "challenges": self.challenges,
            "skip": self.skip,
            "times": self.times,
            "when": self.when,
            "status": self.status,
            "code": self.code,
            "retry_after": self.retry_after,
            "body": self.body,
            "location": self.location,
            "cut": self.cut,
            "delay": self.delay,
            "stall": self.stall,
            "seen": self.seen,
            "hits": self.hits,
        }


class Faults:
    """The faults that are in force, asked in the order in which they were added."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}
        self._ids = itertools.count(1)

    def add(self, reader: Reader) -> Fault:
        """Read a fault and put it in force, unless there are complaints."""
        fault = _read(reader, f"fault-{next(self._ids)}")
        if not reader.complaints:
            self._faults[fault.id] = fault
        return fault

    def claiming(self, call: Call, *, challenged: bool) -> Fault | None:
        """The first fault that this request runs into."""
        return next((fault for fault in self._faults.values() if fault.claims(call, challenged=challenged)), None)

    def get(self, fault_id: str) -> Fault | None:
        """The fault with this id."""
        return self._faults.get(fault_id)

    def all(self) -> list[dict[str, Any]]:
        """Every fault in force."""
        return [fault.as_json() for fault in self._faults.values()]

    def lift(self, fault_id: str) -> bool:
        """Take one fault away and let go of the requests it holds; False when there is none."""
        fault = self._faults.pop(fault_id, None)
        if fault:
            fault.lifted.set()
        return fault is not None

    def lift_all(self) -> None:
        """Take every fault away."""
        for fault_id in list(self._faults):
            self.lift(fault_id)


def _read(reader: Reader, fault_id: str) -> Fault:
    fault = Fault(
        id=fault_id,
        host=_pattern(reader, "host"),
        path=_pattern(reader, "path"),
        method=reader.take("method", str, "").upper() or None,
        action=reader.take("action", str),
        challenges=reader.take("challenges", bool, default=False),
        skip=reader.take("skip", int, 0),
        times=reader.take("times", int),
        when=reader.take("when", str, "before"),
        status=reader.take("status", int),
        code=reader.take("code", str),
        retry_after=reader.take("retry_after", int),
        body=reader.take("body", str),
        location=reader.take("location", str),
        cut=reader.take("cut", bool, default=False),
        delay=reader.number("delay"),
        stall=reader.take("stall", bool, default=False),
    )
    reader.done()
    if fault.action not in (None, "", *LEASE_ACTIONS):
        reader.complain("action", f"has to be one of {', '.join(LEASE_ACTIONS)}, or empty")
    if fault.when not in ("before", "after"):
        reader.complain("when", "has to be before or after")
    if fault.skip < 0:
        reader.complain("skip", "has to be 0 or more")
    if fault.times is not None and fault.times < 1:
        reader.complain("times", "has to be 1 or more")
    if fault.status is not None and fault.status not in STATUSES:
        reader.complain("status", f"has to be from {STATUSES[0]} to {STATUSES[-1]}")
    for name in OF_AN_ANSWER:
        if fault.status is None and reader.has(name):
            reader.complain(name, "is said with a status only")
    if sum(map(bool, (fault.status is not None, fault.cut, fault.delay, fault.stall))) != 1:
        reader.complain("", "needs exactly one of status, cut, delay, stall")
    return fault


def _pattern(reader: Reader, name: str) -> re.Pattern[str]:
    try:
        return re.compile(reader.take(name, str, ""), re.IGNORECASE)
    except re.error as error:
        reader.complain(name, f"is not a regular expression: {error}")
        return re.compile("")
