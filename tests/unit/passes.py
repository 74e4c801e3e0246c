"""Passes over an account in memory, and what they meet there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

from rotation import tags
from rotation.errors import Busy, LeaseLost, Unavailable
from rotation.fleet import Fleet
from rotation.formats import rekey
from rotation.model import AccountId, Action, Group, Request, Role, Secret, SecretRef, Sensitive, Slot, State, Trigger
from rotation.ports import Description, Draft, Lease, Probe, Tools
from rotation.report import Outcome
from rotation.rotate import CHANGES
from rotation.rotate import identified as settled
from rotation.rotate import rotate as one_pass
from tests.properties.world import MemoryVault, World
from tests.unit.facts import ACCOUNT, DAY, SECOND

KEY, STRING = SecretRef("kv-a", "key"), SecretRef("kv-b", "string")
"""The two secrets of the account."""
OPERATOR = Request(Trigger.OPERATOR, "INC-7")
LEAK = Request(Trigger.OPERATOR, "INC-7", compromised=Role.ACTIVE)
FORCE = Request(Trigger.OPERATOR, "F-1", force=True)


@dataclass
class Doorkeeper:
    """Leases that note which accounts were held, and may refuse or be lost."""

    held: list[AccountId] = field(default_factory=list)
    busy: bool = False
    lost: bool = False
    abandoned: bool = False

    @asynccontextmanager
    async def hold(self, account: AccountId) -> AsyncIterator["Doorkeeper"]:
        """Let one pass in."""
        if self.busy:
            raise Busy("another pass has it")
        self.held.append(account)
        yield self

    def ensure(self) -> None:
        """Complain where the lease was lost."""
        if self.lost:
            raise LeaseLost("it ran out")

    def abandon(self) -> None:
        """Note that it is not given back."""
        self.abandoned = True


def group(world: World) -> Group:
    """What a listing shows of the account."""
    current = (versions[-1] for versions in world.secrets.values())
    secrets = tuple(replace(secret, version=None, value=None) for secret in current)
    return Group(ACCOUNT, secrets, world.tools().clock.now())


async def rotate(
    listed: Group, request: Request, tools: Tools, unseen: tuple[str, ...] = (), only: frozenset[Action] = CHANGES
) -> Outcome:
    """One pass, which may list again."""
    return await one_pass(listed, request, tools, Fleet(tools).members, unseen=unseen, only=only)


async def identified(listed: Group, request: Request, tools: Tools) -> Request:
    """The request with the keys that it means."""
    return (await settled(listed, request, tools))[0]


def joins(world: World, slot: Slot = "key1") -> SecretRef:
    """Let a secret be enrolled, which publishes what the others do."""
    ref = SecretRef("kv-b", "joined")
    world.put(ref, world.keys[slot])
    tagged = {**world.tags_of(ref), "active-slot": slot}
    world.secrets[ref][-1] = replace(world.secrets[ref][-1], tags=tagged)
    return ref


class NotesOnly(MemoryVault):
    """A vault that takes notes and no new versions."""

    async def publish(self, name: str, draft: Draft, lease: Lease) -> Secret:  # noqa: ARG002  # the port has them
        """Refuse it."""
        raise Unavailable(f"{name} cannot be written to")


def publish_by_hand(world: World, slot: str) -> None:
    """Let somebody put the key of a slot into every secret for a day, and leave the tags as they are."""
    world.now += SECOND
    for ref, versions in world.secrets.items():
        value = rekey(versions[-1].value or Sensitive(""), Sensitive(world.keys[slot]))
        world.write(ref, value, versions[-1].tags, world.now + DAY)


def publish_in(world: World, ref: SecretRef, slot: Slot, *, tagged: bool) -> None:
    """Let somebody put the key of a slot into one secret, with or without its tag, and leave our notes as they are."""
    current = world.secrets[ref][-1]
    world.by_hand.add(world.keys[slot])
    value = rekey(current.value or Sensitive(""), Sensitive(world.keys[slot]))
    world.write(ref, value, {**current.tags, "active-slot": slot} if tagged else current.tags, current.expires)


def passes(world: World, request: Request | None = None, *, skew: timedelta = timedelta(0)) -> Outcome:
    """Let a worker with a clock of its own make a pass."""
    world.skew = skew
    return asyncio.run(rotate(group(world), request or Request(), world.tools()))


def noted(world: World) -> list[State]:
    """What the two secrets note."""
    return [tags.read(world.tags_of(ref)).state for ref in (KEY, STRING)]


def only(world: World, action: Action, request: Request | None = None) -> Outcome:
    """Let a pass take steps of one kind, and stop before any other."""
    return asyncio.run(rotate(group(world), request or Request(), world.tools(), only=frozenset({action})))


class Broken:
    """A service with a defect, whose exception holds a key."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __getattr__(self, name: str) -> object:
        return getattr(self.world.tools().providers.for_type(""), name)

    async def probe(self, _: Description, key: Sensitive) -> Probe:
        """Fail in a way that nobody foresaw."""
        raise KeyError(key.reveal())

    def for_type(self, _: str) -> "Broken":
        """Be the only kind of service."""
        return self
