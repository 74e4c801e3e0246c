"""The life of an estate: passes, people, accidents and time in any order, and what is true after each of them.

Production code runs as it is wired for production, over real clients and HTTP.
What may happen is a rule; what was true, also in between, is judged from Azure's own history.
"""

import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from rotation.replies import Reply
from tests.integration.estates import FORMATS, NAMES, SLOTS, publication
from tests.proof.orders import people
from tests.proof.orders.crew import POINTS, Crew, Job, Point
from tests.proof.orders.judge import Deeds, Judge, Ref, Row
from tests.proof.orders.stage import Apart, Leases, Stage, Together, Worker

OVERLAP = timedelta(days=2)
SECRETS: tuple[Ref, ...] = (("kv-one", "secret-0"), ("kv-one", "secret-1"), ("kv-two", "secret-2"))
"""Where the account may be published; how many of them publish it at first is drawn."""
AT_REST = {"fresh", "overlap"}
ROUNDS = 8
"""How many passes an account may need to come to rest once accidents stop."""
A_LEASE = timedelta(minutes=1)
"""After how long a lease that is not renewed is lost."""
A_PERSON = timedelta(minutes=1)
"""How long people take for what they do; a listing is half a minute old at most when it is worked by."""
ACCIDENTS: Mapping[str, Mapping[str, Any]] = {
    "throttled": {"status": 429, "retry_after": 60},
    "failed": {"status": 503},
    "failed for long": {"status": 503, "retry_after": 60},
    "cut": {"cut": True},
}
ORDERS: Mapping[str, Mapping[str, Any]] = {
    "rotate": {},
    "force": {"force": True},
    "active": {"compromised": "active"},
    "active, at once": {"compromised": "active", "grace": "PT0S"},
    "idle": {"compromised": "idle"},
    "both": {"compromised": "both"},
    "both, at once": {"compromised": "both", "grace": "PT0S"},
}

DELICATE = ("regenerating", "trying a key", "publishing", "noting")
"""Where a pass changes something or is about to."""
INSISTING = ("force", "active", "active, at once", "both", "both, at once")
"""Orders that end in a new key as a rule."""

points = st.builds(
    Point,
    # Few passes note anything, so that they are waited for there the more often.
    st.sampled_from([*DELICATE, *POINTS, *DELICATE, *DELICATE, *3 * ["noting"]]),
    st.sampled_from([0, 0, 0, 0, 1, 2]),
    st.sampled_from(["before", "after"]),
)
members = st.integers(0, len(SECRETS) - 1)
slots = st.integers(0, 1)
jobs = st.sampled_from([*INSISTING, "look", "rotate", "enroll", "idle", "idle", *INSISTING])


class EveryOrder(RuleBasedStateMachine):
    """Anything may happen to an estate in any order; S1, S2, S3, S5 and S6 hold, and in the end it comes to rest."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.control = stage.control

    @initialize(
        service=st.sampled_from(sorted(SLOTS)),
        neighbour=st.sampled_from([None, None, *sorted(SLOTS)]),
        publications=st.integers(1, 3),
        fresh=st.booleans(),
        probe=st.sampled_from(["try", "required", "try", "required", "off"]),
        apart=st.sampled_from([0, 6, -6, 0, 1, -1]),
    )
    def begin(  # noqa: PLR0913, PLR0917  # drawn
        self,
        service: str,
        neighbour: str | None,
        publications: int,
        fresh: bool,  # noqa: FBT001  # drawn
        probe: str,
        apart: int = 0,
    ) -> None:
        """An account that is due or fresh, published in one to three secrets; perhaps another one beside it.

        The clock of one worker is some minutes ahead of the other's and of Azure's, or behind.
        """
        self.stage.tally["examples"] += 1
        self.service, self.account, self.probe = service, NAMES[service], probe
        self.control.reset(estate(service, neighbour, publications, fresh=fresh))
        self.control.behave(operation_seconds=0.01)
        self.clock = Together(self.control)
        self.leases = Leases()
        environment = {
            "ROTATION_VAULTS": "kv-one,kv-two",
            "ROTATION_PROBE": probe,
            "ROTATION_OVERLAP": "P2D",
            "ROTATION_SCHEDULE": "0 */15 * * * *",
            "ROTATION_AUDIT_SCHEDULE": "0 17 3 * * *",
            # The app wants to be told a place; the leases here are the story's own.
            "ROTATION_LEASES": "https://nobody.blob.core.windows.net/leases",
        }
        skew = timedelta(minutes=apart)
        clocks = self.clock, Apart(self.clock, skew)
        self.workers = tuple(Worker(environment, clock, self.leases) for clock in clocks)
        self.judge = Judge(self.control, OVERLAP, ahead=max(skew, timedelta()))
        self.crew = Crew(self.stage, self.judge, self.leases, self.workers)
        self.declared: set[str] = set()
        """Compromised keys whose end somebody was promised."""
        self.accidents: list[str] = []
        self.last: Job | None = None
        """The last order, if it was carried out and nothing has happened since."""

    # Time and services.

    @rule(hours=st.sampled_from([0.1, 0.3, 1, 12, 47, 49, 24 * 7, 24 * 20, 24 * 40, 24 * 70]))
    def time_passes(self, hours: float) -> None:
        """Nothing happens for a while, and what was wrong with the services is over."""
        self.step("time_passes")
        self.calm()
        self.clock.passes(timedelta(hours=hours))

    @rule(seconds=st.sampled_from([150, 0, 20, 150]))
    def keys_travel(self, seconds: float) -> None:
        """New keys are accepted at once, within a pass, or after it."""
        # Where nobody tries a key, only one that is accepted at once is promised to work.
        tried = self.probe != "off"
        self.step("keys_travel", happens=tried)
        if tried:
            self.control.behave(propagation_delay=seconds)

    @rule(
        doing=st.sampled_from(sorted(POINTS)),
        accident=st.sampled_from(sorted(ACCIDENTS)),
        when=st.sampled_from(["before", "after"]),
        skip=st.integers(0, 3),
        times=st.sampled_from([1, 1, 2]),
    )
    def accident_ahead(self, doing: str, accident: str, when: str, skip: int, times: int) -> None:
        """Something will go wrong with a request of a kind."""
        # A key that nobody could try is published untried, which is what `try` means.
        untried = doing == "trying a key" and self.probe != "required"
        self.step("accident_ahead", happens=not untried)
        if untried:
            return
        if "retry_after" not in ACCIDENTS[accident]:
            times = 1  # the SDK would wait, in real time, before it repeats a request for the second time
        fault = self.control.fault(skip=skip, times=times, when=when, **POINTS[doing], **ACCIDENTS[accident])
        self.accidents.append(fault)

    # Triggers.

    @rule(worker=slots)
    def sweep(self, worker: int) -> None:
        """The timer."""
        self.step("sweep")
        self.does(self.crew.sweep, worker)

    @rule(worker=slots)
    def audit(self, worker: int) -> None:
        """The daily timer."""
        self.step("audit")
        self.does(self.crew.audit, worker)

    @rule(member=members, back=st.integers(0, 2), number=st.integers(0, 5), at_once=st.booleans())
    def near_expiry(self, member: int, back: int, number: int, at_once: bool) -> None:  # noqa: FBT001  # drawn
        """An event of the current version or a late one, new or repeated; its message may be overtaken."""
        versions = self.judge.versions.get(SECRETS[member])
        self.step("near_expiry", happens=bool(versions))
        if not versions:
            return
        version = versions[max(0, len(versions) - 1 - back)]
        self.does(self.crew.event(SECRETS[member], version, f"event-{number}"))
        if at_once:
            self.does(self.crew.delivery(-1))

    @rule(pick=st.integers(0, 5), worker=slots)
    def delivery(self, pick: int, worker: int) -> None:
        """The queue delivers a message, not always the oldest."""
        self.step("delivery", happens=bool(self.crew.queue))
        self.does(self.crew.delivery(pick), worker)

    @rule(what=st.sampled_from(sorted(ORDERS)), member=members, number=st.integers(1, 3), again=st.booleans())
    def order(self, what: str, member: int, number: int, again: bool) -> None:  # noqa: FBT001  # drawn
        """An operator asks for something, with an id that may have been used before, and perhaps at once again."""
        self.step("order")
        job = self.crew.order(self.managed(member), {**ORDERS[what], "request_id": f"INC-{number}"})
        role = ORDERS[what].get("compromised")
        meant = self.judge.meant(self.account, role) if role else set()
        deeds, reply = self.does(job)
        assert reply is not None
        reasons = [event.get("reason") for event in deeds.attempts(self.account)]
        if reply.status in (200, 202) and "already-done" not in reasons:
            self.declared |= meant
            self.judge.declare(meant, deeds)
            self.stage.tally["declared compromised"] += len(meant)
        if reply.status == 200 and not self.accidents:
            self.last = job
        if reply.status == 200 and role == "idle" and "already-done" not in reasons:
            assert not meant & set(self.judge.live[self.account].values()), "a compromised idle key still works"
        if again and self.last is not None:
            self.says_it_again()

    @precondition(lambda self: self.last is not None)
    @rule()
    def says_it_again(self) -> None:
        """The same order with the same id, because its answer was lost, makes no other key."""
        said = self.last
        self.step("says_it_again")
        assert said is not None
        deeds, _ = self.does(said)
        self.last = said
        assert [] == deeds.posts, "an order was carried out twice"

    # Accidents.

    @rule(what=jobs, member=members, at=points)
    def worker_dies(self, what: str, member: int, at: Point) -> None:
        """A worker is killed in the middle of something."""
        self.step("worker_dies")
        self.stage.run(self.crew.is_killed(self.job(what, member), at))

    @rule(
        what=jobs,
        member=members,
        at=points,
        other=jobs,
        lost=st.booleans(),
        other_at=st.none() | points,
        regenerated=st.sampled_from([None, None, 0, 1]),
    )
    def workers_meet(  # noqa: PLR0913, PLR0917  # drawn
        self,
        what: str,
        member: int,
        at: Point,
        other: str,
        lost: bool,  # noqa: FBT001  # drawn
        other_at: Point | None,
        regenerated: int | None,
    ) -> None:
        """A worker is held up, and another one works on the same account, whose keys people may change meanwhile.

        A write that is held up before it takes effect does so behind the back of whoever holds the lease by then. No
        lease can keep it from that, so whoever loses the lease is held up after a request took effect.
        """
        self.step("workers_meet")
        if lost:
            at = Point(at.doing, at.skip, "after")

        def meanwhile() -> None:
            if lost:
                self.clock.passes(A_LEASE)
            if regenerated is not None:
                self.judge.regenerate(self.account, SLOTS[self.service][regenerated], underway=True)

        job, other_job = self.job(what, member), self.job(other, member)
        self.stage.run(self.crew.is_overtaken(job, at, other_job, lost=lost, other_at=other_at, meanwhile=meanwhile))

    @rule(what=st.sampled_from(INSISTING), member=members)
    def saved_meanwhile(self, what: str, member: int) -> None:
        """Somebody saves a secret while a pass makes its key; what a pass has not read it does not write over."""
        self.step("saved_meanwhile")
        ref = self.managed(member)
        saved: list[str] = []

        def meanwhile() -> None:
            self.control.change_secret(*ref, renewed=True)
            self.judge.people_acted()
            saved.append(self.judge.current[ref]["version"])

        at = Point("regenerating", 0, "after")
        job = self.crew.order(ref, ORDERS[what])
        self.stage.run(self.crew.is_overtaken(job, at, self.crew.nothing, lost=False, meanwhile=meanwhile))
        self.stage.tally["saved while a pass was under way"] += len(saved)
        if saved:
            assert saved == [self.judge.current[ref]["version"]], "a pass wrote over what it had not read"

    @rule(
        what=jobs,
        member=members,
        writing=st.sampled_from(["publishing", "noting"]),
        when=st.sampled_from(["before", "before", "after"]),
        change=st.sampled_from(people.CHANGES),
    )
    def edited_between_attempts(self, what: str, member: int, writing: str, when: str, change: str) -> None:
        """Somebody edits the tags of a secret while a pass waits to write to it once more; the edit stays."""
        ref = self.managed(member)
        self.step("edited_between_attempts", happens=ref in self.judge.publications(self.account))
        if ref not in self.judge.publications(self.account):
            return
        point = {**POINTS[writing], "path": f"^/secrets/{ref[1]}(/|$)", "host": f"^{ref[0]}\\."}
        fault = self.control.fault(status=503, times=1, when=when, **point)
        read = self.judge.current[ref]
        edits: list[tuple[people.Tags, people.Tags]] = []

        def meanwhile() -> None:
            before = self.judge.current[ref]
            self.control.change_secret(*ref, tags=people.edited(before, change, self.service))
            self.judge.people_acted()
            after = self.judge.current[ref]
            # Who corrects the tag has done what the pass was about to do, and who takes back what it has noted makes
            # it look as if that had never arrived.
            corrected = change == people.WRONG_SLOT and people.rightly_tagged(after)
            if writing == "noting" and (corrected or after["tags"] == read["tags"]):
                return
            edits.append((self.edited(before), self.edited(after)))

        self.stage.run(self.crew.is_disturbed(self.job(what, member), self.clock, fault, meanwhile))
        for before, after in edits:
            if before != after:
                self.stage.tally[f"edited between two attempts at {writing}"] += 1
                assert after == self.edited(self.judge.current[ref]), "a pass wrote over what it had not read"

    # People.

    @rule(slot=slots)
    def regenerated_in_the_portal(self, slot: int) -> None:
        """Somebody regenerates a key, published or not."""
        self.step("regenerated_in_the_portal")
        self.clock.passes(A_PERSON)
        self.judge.regenerate(self.account, SLOTS[self.service][slot])
        self.judge.people_acted()

    @rule(member=members, change=st.sampled_from([*people.CHANGES, *3 * [people.WRONG_SLOT]]))
    def tags_edited(self, member: int, change: str) -> None:
        """Somebody edits the tags of a secret, wrongly perhaps."""
        row = self.there(member)
        self.step("tags_edited", happens=row is not None)
        if row:
            self.changes(SECRETS[member], tags=people.edited(row, change, self.service))

    @rule(member=members)
    def saved_again(self, member: int) -> None:
        """Somebody saves a secret as it is, in a new version, which is the latest one then."""
        row = self.there(member)
        self.step("saved_again", happens=row is not None)
        if row:
            self.changes(SECRETS[member], renewed=True)

    @rule(member=members, slot=st.sampled_from(["published", "idle"]))
    def enrolled(self, member: int, slot: str) -> None:
        """Somebody puts another secret under rotation, with the key in use as a rule, or brings a deleted one back."""
        ref = SECRETS[member]
        before = self.judge.current.get(ref)
        self.step("enrolled", happens=before is None or before["deleted"])
        if before:
            if before["deleted"]:
                self.changes(ref, deleted=False)
            return
        self.clock.passes(A_PERSON)
        first, second = SLOTS[self.service]
        published = next(iter(self.judge.published(self.account)), first)
        chosen = published if slot == "published" else second if published == first else first
        form = FORMATS[self.service][member]
        told = publication(self.service, ref[1], form, slot=chosen, created="PT0S", expires="P90D")
        self.control.add_secret(ref[0], **told)
        self.judge.people_acted()
        # Whoever hands out a compromised key, or takes over from a rotation under way, answers for it.
        self.declared.clear()

    @rule(member=members, holds=st.sampled_from([None, 0, 1, "no key", "no key"]), worker=slots)
    def enrolled_by_the_engine(self, member: int, holds: int | str | None, worker: int) -> None:
        """Somebody has a secret put under rotation: a new one, one with a key put there by hand, or in the end any."""
        new = [ref for ref in SECRETS if ref not in self.judge.current]
        ref = (new or SECRETS)[member % len(new or SECRETS)]
        self.step("enrolled_by_the_engine")
        if new and holds is not None:
            self.put_by_hand(ref, holds)
        self.does(self.crew.enrolment(ref, self.account), worker)

    @rule(member=members)
    def mended(self, member: int) -> None:
        """Somebody takes back what keeps rotation from going on."""
        row = self.there(member)
        self.step("mended", happens=row is not None)
        if row:
            self.mends(SECRETS[member], row)

    @rule(member=members, what=st.sampled_from(["deleted", "disabled", "enabled"]))
    def taken_away(self, member: int, what: str) -> None:
        """Somebody deletes, disables or enables a secret."""
        row = self.there(member)
        self.step("taken_away", happens=row is not None)
        if row is None:
            return
        if what == "deleted":
            noted = row["tags"].get("rotation-state", "")
            if "retire-at" in noted or "staged" in noted:
                # What was noted there may be noted nowhere else.
                self.declared.clear()
                self.judge.forget()
            self.changes(SECRETS[member], deleted=True)
        else:
            self.changes(SECRETS[member], enabled=what == "enabled")

    # What has to come of it.

    def teardown(self) -> None:
        """When accidents stop the estate comes to rest, at the latest once people have mended what they did."""
        if sys.exception() is not None or not hasattr(self, "crew"):
            self.leave()
            return
        try:
            self.calm()
            self.control.behave(propagation_delay=0)
            self.comes_to_rest()
            self.people_mend()
            self.comes_to_rest()
            self.all_is_well()
            self.goes_on()
        finally:
            self.leave()

    def comes_to_rest(self) -> None:
        """Passes bring every account to rest, or say what people have to mend."""
        for _ in range(ROUNDS):
            self.clock.passes(timedelta(minutes=20))
            for _ in range(len(self.crew.queue)):
                self.does(self.crew.delivery(0))
            deeds, _ = self.does(self.crew.audit)
            standing = {name: people.standing(self.judge.publications(name).values()) for name in self.judge.live}
            reasons = {name: deeds.attempts(name)[-1].get("reason") for name in self.published()}
            rests = all(reason in (standing[name] or AT_REST) for name, reason in reasons.items())
            ended = standing[self.account] or not self.declared & set(self.judge.live[self.account].values())
            if rests and ended and not self.crew.queue:
                return
        raise AssertionError(f"the estate does not come to rest: {reasons}, compromised keys ended: {ended}")

    def people_mend(self) -> None:
        """Take back what keeps rotation from going on."""
        for ref, row in self.judge.current.items():
            if row["account"] and not row["deleted"]:
                self.mends(ref, row)

    def all_is_well(self) -> None:
        """Every account publishes one slot, rightly tagged, with a key that works."""
        for row in self.control.verdict():
            ref = row["vault"], row["secret"]
            assert row["opens"], ref
            assert people.rightly_tagged(self.judge.current[ref]), ref
        for name in self.published():
            assert len(self.judge.published(name)) == 1, name

    def goes_on(self) -> None:
        """When its time has come each account gets a new key."""
        before = {name: self.keys_of(name) for name in self.published()}
        self.clock.passes(timedelta(days=100))
        for _ in range(2):
            self.does(self.crew.sweep)
        for name, keys in before.items():
            assert not keys & self.keys_of(name), f"{name} was due and is not rotated"
        self.all_is_well()

    # How it is done.

    def step(self, name: str, *, happens: bool = True) -> None:
        """Count a step, and what happens in it; the last order is the last one only as long as nothing follows."""
        self.stage.tally["steps"] += 1
        self.stage.tally[f"rule {name}"] += happens
        self.last = None

    def does(self, job: Job, worker: int = 0) -> tuple[Deeds, Reply | None]:
        """Let a worker do a job."""
        return self.stage.run(self.crew.does(job, worker))

    def job(self, what: str, member: int) -> Job:
        """A full look at the account, or an order that nobody repeats."""
        if what == "look":
            return self.crew.look(self.account)
        if what == "enroll":
            return self.crew.enrolment(SECRETS[member], self.account)
        return self.crew.order(self.managed(member), ORDERS[what])

    def changes(self, ref: Ref, **told: Any) -> None:
        """Somebody changes a secret, which takes a minute."""
        self.clock.passes(A_PERSON)
        self.control.change_secret(*ref, **told)
        self.judge.people_acted()

    def put_by_hand(self, ref: Ref, holds: int | str) -> None:
        """Somebody puts a key, or something else, into a secret that is not under rotation."""
        told = {"name": ref[1], "content_type": "text/x-test", "tags": {"owner": "team-one"}}
        if isinstance(holds, int):
            slot = SLOTS[self.service][holds]
            told |= {"account": self.account, "slot": slot, "format": FORMATS[self.service][SECRETS.index(ref)]}
            self.judge.keep(ref, slot, self.account)
        self.clock.passes(A_PERSON)
        self.control.add_secret(ref[0], **told)
        self.judge.people_acted()

    def managed(self, member: int) -> Ref:
        """One of the secrets that publish the account; where none does any more, one that did."""
        refs = sorted(self.judge.publications(self.account)) or SECRETS
        return refs[member % len(refs)]

    def mends(self, ref: Ref, row: Row) -> None:
        """Somebody gives a secret tags that rotation can work with, and enables it."""
        self.changes(ref, tags={**people.MENDED, **people.policy(row, people.MENDED_POLICY)}, enabled=True)

    @staticmethod
    def edited(row: Row) -> people.Tags:
        """The tags that people edit: a pass that gives up may still note there that its key waits to be published."""
        return {name: text for name, text in row["tags"].items() if name != "rotation-state"}

    def there(self, member: int) -> Row | None:
        """The secret, unless it was deleted or is not enrolled."""
        return self.judge.publications(self.account).get(SECRETS[member])

    def published(self) -> list[str]:
        """The accounts that are published."""
        return [name for name in self.judge.live if self.judge.publications(name)]

    def keys_of(self, name: str) -> set[str]:
        """The keys that publish an account."""
        return {row["key"] for row in self.judge.publications(name).values()}

    def calm(self) -> None:
        """Let all go well again."""
        for fault in self.accidents:
            self.control.lift(fault)
        self.accidents.clear()

    def leave(self) -> None:
        """End the workers."""
        for worker in getattr(self, "workers", ()):
            self.stage.run(worker.kill())


def estate(service: str, neighbour: str | None, publications: int, *, fresh: bool) -> dict[str, Any]:
    """Two vaults that publish an account one to three times, and perhaps another account once."""
    age = {"created": "PT1H", "expires": "P90D"} if fresh else {}
    secrets = {
        ref: publication(service, ref[1], form, **age)
        for ref, form, _ in zip(SECRETS, FORMATS[service], range(publications), strict=False)
    }
    accounts = [service]
    if neighbour not in (None, service):
        accounts.append(neighbour)
        secrets["kv-two", "neighbour"] = publication(neighbour, "neighbour", "key")
    return {
        "accounts": [{"type": kind, "name": NAMES[kind], "resource_group": "rg-one"} for kind in accounts],
        "vaults": [
            {
                "name": name,
                "resource_group": "rg-one",
                "secrets": [secret for (vault, _), secret in secrets.items() if vault == name],
            }
            for name in ("kv-one", "kv-two")
        ],
    }
