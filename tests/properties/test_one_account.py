"""The life of one account: passes, people, other tools and accidents in any order, and what is true throughout."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rotation.fleet import Fleet
from rotation.formats import rekey
from rotation.model import Occasion, ProbeMode, Request, Role, SecretRef, Sensitive, Trigger
from rotation.report import Outcome
from tests.properties.world import Died, World

REFS = SecretRef("kv-a", "key"), SecretRef("kv-b", "string")
GRACE = timedelta(minutes=15)
roles = st.sampled_from(Role)
refs = st.sampled_from(REFS)


def run(world: World, request: Request) -> Outcome | None:
    """Let one process do one pass; None when it died."""

    async def work() -> Outcome:
        fleet = Fleet(world.tools())
        survey = await fleet.survey()
        report = await fleet.rotate(survey, survey.groups, request)
        return report.outcomes[0]

    world.dead = False
    try:
        return asyncio.run(work())
    except Died:
        return None
    finally:
        world.dead, world.fuse = False, None


class OneAccount(RuleBasedStateMachine):
    """Anything may happen to an account; S1 and S2 hold, and in the end all is well."""

    @initialize(
        mode=st.sampled_from(ProbeMode),
        slow=st.sampled_from([timedelta(0), timedelta(0), timedelta(seconds=5), timedelta(minutes=7)]),
        lags=st.booleans(),
    )
    def begin(self, mode: ProbeMode, slow: timedelta, lags: bool) -> None:  # noqa: FBT001  # drawn
        """Two secrets publish the first key of an account."""
        self.world = World(mode=mode)
        self.world.slow, self.world.lags = (timedelta(0) if mode is ProbeMode.OFF else slow), lags
        self.waiting: list[Request] = []
        self.refused: list[Request] = []
        self.compromised: set[str] = set()
        self.number = 0

    def attempt(self, request: Request) -> None:
        """Do a pass; what failed is delivered again by a queue, and what was refused is said again by a person."""
        if request.force:
            self.world.given_up |= set(self.world.keys.values())
        if request.compromised:
            # A request that is delivered again means the keys that play the role by then.
            self.world.given_up |= self.meant(request.compromised) | self.meant(Role.IDLE)
        outcome = run(self.world, request)
        if outcome is not None and outcome.status == "refused" and request.compromised:
            self.refused.append(request)
        elif outcome is None or outcome.error or (outcome.exit_code and not outcome.steps):
            self.waiting.append(request)

    def declare(self, request: Request) -> None:
        """Say for the first time, or after a refusal, that the keys in a role leaked."""
        role = request.compromised or Role.ACTIVE
        meant = self.meant(role) - self.compromised
        self.compromised |= meant
        self.attempt(request)
        if request in self.refused:
            self.compromised -= meant

    def try_again(self) -> None:
        """Deliver what waits, and say again what was refused."""
        waiting, self.waiting = self.waiting, []
        refused, self.refused = self.refused, []
        for request in waiting:
            self.attempt(request)
        for request in refused:
            self.declare(replace(request, id=self.next_id()))

    def meant(self, role: Role) -> set[str]:
        """Return the keys that an operator means, seen from the applications."""
        published = self.world.published() & set(self.world.keys.values()) or self.world.tagged()
        idle = set(self.world.keys.values()) - published - self.world.staged()
        return {Role.ACTIVE: published, Role.IDLE: idle, Role.BOTH: published | idle}[role]

    def next_id(self) -> str:
        """Make an id, as whoever accepts a request does."""
        self.number += 1
        return f"INC-{self.number}"

    @rule(hours=st.sampled_from([0.1, 1, 12, 47, 48, 49, 24 * 20, 24 * 40]))
    def time_passes(self, hours: float) -> None:
        """Nothing happens for a while."""
        self.world.now += timedelta(hours=hours)

    @rule()
    def sweep(self) -> None:
        """The timer."""
        self.attempt(Request())

    @rule(ref=refs, back=st.integers(0, 2))
    def near_expiry(self, ref: SecretRef, back: int) -> None:
        """An event, of the current version or late."""
        versions = self.world.secrets[ref]
        self.attempt(
            Request(Trigger.EVENT, occasion=Occasion(ref, versions[max(0, len(versions) - 1 - back)].version or ""))
        )

    @rule(role=roles, grace=st.sampled_from([GRACE, timedelta(0)]))
    def emergency(self, role: Role, grace: timedelta) -> None:
        """An operator declares a key compromised."""
        self.declare(Request(Trigger.EMERGENCY, self.next_id(), compromised=role, grace=grace))

    @rule()
    def force(self) -> None:
        """An operator insists."""
        self.attempt(Request(Trigger.OPERATOR, self.next_id(), force=True))

    @rule()
    def deliver_again(self) -> None:
        """The queue tries what failed, and people what was refused."""
        self.try_again()

    @rule(calls=st.integers(1, 14), deadly=st.booleans())
    def accident_ahead(self, calls: int, deadly: bool) -> None:  # noqa: FBT001  # drawn
        """The next pass is killed, or loses a connection, at some call."""
        self.world.fuse, self.world.deadly = calls, deadly

    @rule(slot=st.sampled_from(["key1", "key2"]))
    def regenerated_elsewhere(self, slot: str) -> None:
        """Somebody regenerates a key in the portal, published or not."""
        self.world.lost.add(self.world.keys[slot])
        self.world.keys[slot] = self.world.new_key()

    @rule(ref=refs, slot=st.sampled_from(["key1", "key2"]), tagged=st.booleans())
    def published_elsewhere(self, ref: SecretRef, slot: str, tagged: bool) -> None:  # noqa: FBT001  # drawn
        """A tool that knows the tags, or a person who leaves them as they are, puts another key into a secret."""
        self.world.now += timedelta(seconds=1)
        current = self.world.secrets[ref][-1]
        value = rekey(current.value or Sensitive(""), Sensitive(self.world.keys[slot]))
        raw = dict(current.tags)
        if tagged:
            # With our notes goes the memory of what was to be retired; there is no other.
            self.compromised.clear()
            raw = {name: text for name, text in raw.items() if name != "rotation-state"} | {"active-slot": slot}
        self.compromised.discard(self.world.keys[slot])
        self.world.by_hand.add(self.world.keys[slot])
        self.world.write(ref, value, raw, current.expires)

    @rule(far=st.booleans())
    def network_changes(self, far: bool) -> None:  # noqa: FBT001  # drawn
        """The data plane comes within reach of the app, or goes out of it."""
        self.world.unreachable = far

    @rule(minutes=st.sampled_from([-6, 0, 6]))
    def another_worker(self, minutes: int) -> None:
        """Another worker is at work from now on, and its clock is apart from the vaults'."""
        self.world.skew = timedelta(minutes=minutes)

    @rule(ref=refs)
    def saved_again(self, ref: SecretRef) -> None:
        """Somebody saves a secret as it is, in a new version, which is the latest one then."""
        self.world.now += timedelta(seconds=1)
        current = self.world.secrets[ref][-1]
        self.world.write(ref, current.value or Sensitive(""), current.tags, current.expires)

    @rule(ref=st.none() | refs)
    def a_vault_refuses(self, ref: SecretRef | None) -> None:
        """A secret cannot be written to for a while."""
        self.world.unwritable = {ref} if ref else set()

    @invariant()
    def published_keys_work(self) -> None:
        """S1 and S2, in every moment so far."""
        if hasattr(self, "world"):
            self.world.check_published()
            assert self.world.violations == []

    def teardown(self) -> None:
        """When accidents stop, everything comes to rest: one slot, right tags, and no compromised key works."""
        if not hasattr(self, "world"):
            return
        self.world.unreachable, self.world.lags, self.world.fuse = False, False, None
        self.world.unwritable.clear()
        rounds = 0
        while rounds < 4 or ((self.waiting or self.refused) and rounds < 60):
            rounds += 1
            self.world.now += timedelta(minutes=20)
            self.try_again()
            self.attempt(Request())
        last = run(self.world, Request())
        self.world.check_published()

        assert self.world.violations == []
        assert last is not None
        assert (last.error, last.status) == (None, "left")
        assert len(self.world.published()) == 1
        assert self.world.published() <= set(self.world.keys.values())
        assert not self.compromised & set(self.world.keys.values())
        assert all(versions[-1].tags["owner"] == "team" for versions in self.world.secrets.values())


TestOneAccount = OneAccount.TestCase
TestOneAccount.settings = settings(max_examples=150, stateful_step_count=20, deadline=None)
