"""One account, two vaults and their readers in memory, which remember what they were promised.

The ports are all there is between this world and the engine, so that the engine's own code is what runs.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rotation import tags
from rotation.errors import NotFound, SecretDisabled, Unavailable
from rotation.formats import recognise
from rotation.model import AccountId, Format, Limits, ProbeMode, Secret, SecretRef, Sensitive, Slot
from rotation.ports import Description, Draft, Lease, Probe, Provider, Tools
from tests.unit.facts import ACCOUNT, NOW, SLOTS, VALIDITY, version

ENDPOINT = "https://stgorders.blob.core.windows.net"
STRING = "AccountName=stgorders;AccountKey={};Note=a person's"


class Died(BaseException):
    """The process was killed: no handler of it may run on."""


@dataclass
class World:
    """What is true, what was promised, and what goes wrong next."""

    mode: ProbeMode = ProbeMode.TRY
    now: datetime = NOW
    keys: dict[Slot, str] = field(default_factory=dict)
    accepted_from: dict[str, datetime] = field(default_factory=dict)
    secrets: dict[SecretRef, list[Secret]] = field(default_factory=dict)
    unreachable: bool = False
    """Whether the data plane is out of reach of the engine; readers reach it."""
    slow: timedelta = timedelta(0)
    """How long a new key waits to be accepted."""
    lags: int = 0
    """How many listings after a regeneration show the key that was there before."""
    lagging: dict[Slot, str] = field(default_factory=dict)
    late: int = 0
    behind_until: datetime = NOW
    skew: timedelta = timedelta(0)
    """How far the clock of the worker that is at work is ahead of the vaults'."""
    unwritable: set[SecretRef] = field(default_factory=set)
    """Secrets that cannot be written to."""
    fuse: int | None = None
    """How many calls are left until something breaks."""
    deadly: bool = True
    dead: bool = False
    left: dict[str, datetime] = field(default_factory=dict)
    """When a key, by its text, stopped being published."""
    lost: set[str] = field(default_factory=set)
    """Keys that somebody else regenerated while they were published."""
    by_hand: set[str] = field(default_factory=set)
    """Keys that somebody else published: they must work, but nobody promised for how long."""
    given_up: set[str] = field(default_factory=set)
    """Keys whose promise an operator took back."""
    violations: list[str] = field(default_factory=list)
    made: int = 0

    def __post_init__(self) -> None:
        for slot in SLOTS:
            self.keys[slot] = self.new_key()
        self.put(SecretRef("kv-a", "key"), self.keys["key1"])
        self.put(SecretRef("kv-b", "string"), STRING.format(self.keys["key1"]), "format=connection-string")
        self.now += timedelta(days=3)

    # What people and other tools do.

    def new_key(self) -> str:
        """Make the next key; its text says nothing."""
        self.made += 1
        key = Sensitive(f"{self.made}").fingerprint * 3
        self.accepted_from[key] = self.now + self.slow
        return key

    def put(self, ref: SecretRef, value: str, policy: str | None = None) -> None:
        """Enroll a secret by hand."""
        raw = {"resource-id": str(ACCOUNT), "active-slot": "key1", "validity-days": str(VALIDITY.days), "owner": "team"}
        self.write(ref, Sensitive(value), raw | ({"rotation-policy": policy} if policy else {}), None)

    def write(self, ref: SecretRef, value: Sensitive, raw: Mapping[str, str], expires: datetime | None) -> Secret:
        """Add a version, and note which key it was that readers stop being given."""
        before = self.published()
        versions = self.secrets.setdefault(ref, [])
        created = self.now.replace(microsecond=0)
        versions.append(
            Secret(ref, created, True, expires, None, dict(raw), version(len(versions) + 1), value)  # noqa: FBT003  # enabled
        )
        for key in before - self.published():
            self.left[key] = self.now
        for key in self.published():
            self.left.pop(key, None)
        return versions[-1]

    def published(self) -> set[str]:
        """Every key that some secret publishes now."""
        return {recognise(versions[-1].value or Sensitive("")).key.reveal() for versions in self.secrets.values()}

    def tags_of(self, ref: SecretRef) -> dict[str, str]:
        """Return the tags of the current version."""
        return dict(self.secrets[ref][-1].tags)

    def tagged(self) -> set[str]:
        """The key of the slot that the youngest secret is tagged with."""
        youngest = max((versions[-1] for versions in self.secrets.values()), key=lambda secret: secret.created)
        return {self.keys[youngest.tags["active-slot"]]}

    def staged(self) -> set[str]:
        """The keys that wait to be published, which nobody has seen yet."""
        noted = {tags.read(versions[-1].tags).state.staged_slot for versions in self.secrets.values()}
        return {self.keys[slot] for slot in noted if slot}

    # S1 and S2, asked of every regeneration and at every moment.

    def check_published(self) -> None:
        """S1: what is published opens the account, unless somebody else has just broken it."""
        dead = self.published() - set(self.keys.values()) - self.lost
        if dead:
            self.violations.append(f"{len(dead)} published keys do not work")

    def check_regeneration(self, slot: Slot) -> None:
        """S1, S2: no key that is published or promised is ended by us."""
        key = self.keys[slot]
        if key in self.published():
            self.violations.append("a published key was regenerated")
        promised = self.left.get(key, datetime.min.replace(tzinfo=NOW.tzinfo)) + self.limits.overlap
        if self.now + timedelta(seconds=1) < promised and key not in self.given_up | self.by_hand:
            self.violations.append("a promised key was regenerated")

    @property
    def limits(self) -> Limits:
        """The settings."""
        return Limits(probe=self.mode, probe_timeout=timedelta(seconds=10))

    def tools(self) -> Tools:
        """Everything the engine works with: this world, seen through its ports."""
        vaults = {name: MemoryVault(self, name) for name in ("kv-a", "kv-b")}
        return Tools(vaults, _Kinds(_Service(self)), _Leases(), _Clock(self), self.limits)

    def meet(self, moment: str) -> None:
        """Let happen what was set up for this call, before or after it takes effect."""
        if self.dead:
            raise Died
        if self.fuse is None:
            return
        self.fuse -= 1
        if self.fuse > 0:
            return
        self.fuse = None
        if self.deadly:
            self.dead = True
            raise Died
        raise Unavailable(f"the connection broke {moment} the call")


@dataclass
class _Clock:
    world: World

    def now(self) -> datetime:
        return self.world.now + self.world.skew

    async def sleep(self, seconds: float) -> None:
        self.world.now += timedelta(seconds=seconds)


class _Leases:
    """Keeps nobody out: the passes of this world follow one another."""

    @asynccontextmanager
    async def hold(self, account: AccountId) -> AsyncIterator["_Leases"]:  # noqa: ARG002  # the port has it
        yield self

    def ensure(self) -> None:
        """Is never lost."""

    def abandon(self) -> None:
        """Keep nobody out."""


@dataclass
class _Kinds:
    service: Provider

    def for_type(self, resource_type: str) -> Provider:  # noqa: ARG002  # the port has it
        return self.service


class _Service:
    resource_type = "Microsoft.Storage/storageAccounts"
    slots = SLOTS
    formats = frozenset({Format.KEY, Format.CONNECTION_STRING})
    rights: tuple[str, ...] = ()

    def __init__(self, world: World) -> None:
        self.world = world

    async def describe(self, account: AccountId) -> Description:
        self.world.meet("before")
        return Description(account, ENDPOINT)

    async def list_keys(self, account: AccountId) -> Mapping[Slot, Sensitive]:  # noqa: ARG002  # the port has it
        """List the keys, or for as often as this lags what they were."""
        self.world.meet("before")
        behind = self.world.lagging if self.world.now < self.world.behind_until else {}
        shown = self.world.keys | behind
        self.world.late -= 1
        if self.world.late <= 0:
            self.world.lagging = {}
        return {slot: Sensitive(key) for slot, key in shown.items()}

    async def regenerate(self, account: AccountId, slot: Slot, before: Sensitive, lease: Lease) -> Sensitive:  # noqa: ARG002  # the same
        """Replace a key; it may be done although the answer is lost."""
        lease.ensure()
        self.world.meet("before")
        self.world.check_regeneration(slot)
        self.world.keys[slot] = self.world.new_key()
        self.world.meet("after")
        if self.world.lags:
            self.world.lagging, self.world.late = {slot: before.reveal()}, self.world.lags
            self.world.behind_until = self.world.now + timedelta(minutes=5)
        return Sensitive(self.world.keys[slot])

    def render(self, description: Description, key: Sensitive, form: Format) -> Sensitive:  # noqa: ARG002  # the same
        return Sensitive(STRING.format(key.reveal())) if form is Format.CONNECTION_STRING else key

    async def probe(self, description: Description, key: Sensitive) -> Probe:  # noqa: ARG002  # the same
        if self.world.unreachable:
            return Probe.UNREACHABLE
        works = key.reveal() in self.world.keys.values() and self.world.accepted_from[key.reveal()] <= self.world.now
        return Probe.ACCEPTED if works else Probe.REFUSED


@dataclass
class MemoryVault:
    """One vault of the world."""

    world: World
    name: str

    async def list(self) -> AsyncIterator[Secret]:
        """List what is here, without versions and values."""
        for ref, versions in list(self.world.secrets.items()):
            if ref.vault == self.name:
                yield replace(versions[-1], version=None, value=None)

    async def read(self, name: str) -> Secret:
        """Read the current version."""
        self.world.meet("before")
        versions = self.world.secrets.get(SecretRef(self.name, name))
        if not versions:
            raise NotFound(name)
        if not versions[-1].enabled:
            raise SecretDisabled(name)
        return versions[-1]

    async def publish(self, name: str, draft: Draft, lease: Lease) -> Secret:
        """Write a version; it may be written although the answer is lost."""
        lease.ensure()
        self._refuse(SecretRef(self.name, name))
        self.world.meet("before")
        key = recognise(draft.value).key.reveal()
        early = self.world.accepted_from[key] > self.world.now and key not in self.world.by_hand
        if early and self.world.mode is ProbeMode.REQUIRED:
            self.world.violations.append("a key was published before the service accepts it")
        written = self.world.write(SecretRef(self.name, name), draft.value, draft.tags, draft.expires)
        self.world.meet("after")
        return written

    async def amend(self, current: Secret, raw: Mapping[str, str], lease: Lease) -> None:
        """Replace the tags of a version; they may be replaced although the answer is lost."""
        lease.ensure()
        self._refuse(current.ref)
        self.world.meet("before")
        versions = self.world.secrets[current.ref]
        index = next(i for i, secret in enumerate(versions) if secret.version == current.version)
        versions[index] = replace(versions[index], tags=dict(raw))
        self.world.meet("after")

    def _refuse(self, ref: SecretRef) -> None:
        if ref in self.world.unwritable:
            raise Unavailable(f"{ref} cannot be written to")
