"""What one verdict changes: which keys, which values, which notes, and what is told of it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotation import tags
from rotation.errors import ChangedMeanwhile, Forbidden, LeaseLost, NotYetTrue, RotationError, Throttled, Unavailable
from rotation.formats import rekey
from rotation.model import (
    AccountId,
    Action,
    Format,
    ProbeMode,
    Reason,
    Request,
    Role,
    Secret,
    SecretRef,
    Sensitive,
    Slot,
    State,
    Suspect,
    Trigger,
)
from rotation.policy import SETTLING, SKEW
from rotation.ports import Description, Draft, Lease, Probe, Tools
from rotation.report import Step
from rotation.rotate import plan
from tests.properties.world import STRING as CONNECTION
from tests.properties.world import MemoryVault, World
from tests.unit.facts import ACCOUNT, DAY, HOUR, MINUTE, NOW, SECOND, VALIDITY
from tests.unit.passes import (
    FORCE,
    KEY,
    LEAK,
    OPERATOR,
    STRING,
    Broken,
    Doorkeeper,
    NotesOnly,
    group,
    identified,
    joins,
    noted,
    only,
    passes,
    publish_by_hand,
    rotate,
)


def fingerprints(world: World) -> tuple[str, str]:
    """Of the keys that are in the two slots now."""
    first, second = (Sensitive(world.keys[slot]).fingerprint for slot in ("key1", "key2"))
    return first, second


def note(world: World, ref: SecretRef, state: State, active: Slot = "key1") -> None:
    """Let a secret carry a note, and the tag of a slot."""
    current = world.secrets[ref][-1]
    terms = replace(tags.read(current.tags), active=active, state=state)
    world.secrets[ref][-1] = replace(current, tags=tags.write(current.tags, terms))


def spent(world: World, ref: SecretRef) -> None:
    """Let a secret hold a key that has ended."""
    current = world.secrets[ref][-1]
    value = rekey(current.value or Sensitive(""), Sensitive("ended" * 8))
    world.secrets[ref][-1] = replace(current, value=value)


DEAD = "d" * 12
"""The fingerprint of a key that is in no slot."""

BEFORE = State(rotated_at=NOW, id="F-0", trigger=Trigger.OPERATOR, made_key=DEAD, also="F-9")
"""What some pass has noted, which is kept where nothing speaks against it."""


def ending(slot: Slot | None, key: str | None = None) -> State:
    """The same with the end of a slot's key, which is to come."""
    return replace(BEFORE, retire_slot=slot, retire_at=NOW + 9 * DAY, retire_key=key)


@pytest.mark.parametrize(
    ("holds", "before", "after"),
    [
        pytest.param("key2", BEFORE, BEFORE, id="only the tag is wrong"),
        pytest.param(
            "key2",
            replace(BEFORE, staged_slot="key2", staged_at=NOW, staged_grace=HOUR),
            replace(BEFORE, id=None, also=None),
            id="a staged key was published",
        ),
        pytest.param(
            "key2",
            replace(BEFORE, staged_slot="key1", staged_at=NOW),
            replace(BEFORE, staged_slot="key1", staged_at=NOW),
            id="another one is staged",
        ),
        pytest.param(
            "key2",
            ending("key2"),
            replace(BEFORE, id=None, also=None),
            id="it was to be retired",
        ),
        pytest.param("key2", replace(BEFORE, retire_slot="key2"), BEFORE, id="it was retired"),
        pytest.param(
            "key2",
            ending("key1"),
            ending("key1"),
            id="the other one is to be retired",
        ),
        pytest.param(
            "key2",
            ending("key1", DEAD),
            replace(BEFORE, retire_slot="key1", retire_key="the idle key"),
            id="the other one has ended",
        ),
        pytest.param(
            "key2",
            ending(None, DEAD),
            replace(BEFORE, retire_slot="key1", retire_key="the idle key"),
            id="the idle one has ended",
        ),
    ],
)
def test_a_correction_keeps_what_still_holds(world: World, holds: Slot, before: State, after: State) -> None:
    """The value is the truth; of the notes beside it, what it contradicts is dropped."""
    publish_by_hand(world, holds)
    for ref in world.secrets:
        note(world, ref, before)
    if after.retire_key:
        after = replace(after, retire_key=fingerprints(world)[0])

    outcome = only(world, Action.RETAG)

    assert [after, after] == noted(world)
    assert ["key2", "key2"] == [tags.read(world.tags_of(ref)).active for ref in (KEY, STRING)]
    assert [("key2", None, None)] == [(step.slot, step.fingerprint, step.retire_at) for step in outcome.steps]


def test_a_correction_in_a_split_says_nothing_of_the_key_that_is_published(world: World) -> None:
    """The key whose end was noted was in the slot that the other secret publishes by now."""
    note(world, KEY, ending("key1", DEAD))
    current = world.secrets[KEY][-1]
    world.secrets[KEY][-1] = replace(current, value=Sensitive(world.keys["key2"]))
    other = world.secrets[STRING][-1]
    world.write(STRING, other.value or Sensitive(""), other.tags, None)

    only(world, Action.RETAG)

    assert [BEFORE, State()] == noted(world)


@pytest.mark.parametrize(
    ("tagged", "before", "after"),
    [
        pytest.param("key1", BEFORE, BEFORE, id="of the same slot"),
        pytest.param("key2", BEFORE, State(), id="of another slot"),
        pytest.param(
            "key1",
            ending("key2"),
            ending("key2"),
            id="of an end to come",
        ),
        pytest.param(
            "key1",
            ending("key2", DEAD),
            BEFORE,
            id="of an end",
        ),
        pytest.param("key1", replace(BEFORE, staged_grace=HOUR), BEFORE, id="of a grace"),
    ],
)
def test_a_secret_that_is_published_again_keeps_what_still_holds(
    world: World, tagged: Slot, before: State, after: State
) -> None:
    """It holds a key that has ended, while another secret tells which slot is published."""
    spent(world, STRING)
    note(world, STRING, before, tagged)

    outcome = only(world, Action.REPUBLISH)

    assert [State(), replace(after, rotated_at=world.now)] == noted(world)
    assert "key1" == tags.read(world.tags_of(STRING)).active
    assert {world.keys["key1"]} == world.published()
    assert [("key1", fingerprints(world)[0], (STRING,))] == [
        (step.slot, step.fingerprint, step.secrets) for step in outcome.steps
    ]


@pytest.mark.parametrize("id_", ["F-1", None])
def test_a_secret_that_is_published_again_tells_of_the_key_that_waits(world: World, id_: str | None) -> None:
    """Without that, the waiting key would seem to have been overtaken; its grace is noted where the leaked key is."""
    since = world.now - MINUTE
    waits = State(id=id_, made_key=fingerprints(world)[1], staged_slot="key2", staged_at=since, staged_grace=HOUR)
    note(world, KEY, waits)
    spent(world, STRING)
    note(world, STRING, ending("key2"))

    only(world, Action.REPUBLISH)

    expected = replace(
        BEFORE,
        rotated_at=world.now,
        id=id_ or BEFORE.id,
        also=None,
        made_key=waits.made_key,
        staged_slot="key2",
        staged_at=since,
    )
    assert [waits, expected] == noted(world)


def test_a_secret_is_published_again_only_with_a_key_that_is_accepted(world: World) -> None:
    """Somebody has regenerated it, and the service takes its time."""
    world.slow = HOUR
    world.keys["key1"] = world.new_key()
    published = world.published()

    outcome = asyncio.run(rotate(group(world), Request(), world.tools()))

    assert isinstance(outcome.error, NotYetTrue)
    assert "stgorders: the service lists a key of key1 that it does not accept; the next pass asks" == str(
        outcome.error
    )
    assert ((), published) == (outcome.steps, world.published())


def half_done(world: World, request: Request) -> None:
    """Let a new key reach one secret and not the other."""
    world.unwritable = {STRING}
    asyncio.run(rotate(group(world), request, world.tools()))
    world.unwritable = set()


@pytest.mark.parametrize("grace", [None, HOUR], ids=["ordinary", "emergency"])
def test_who_follows_is_told_what_the_first_was_and_has_as_long(world: World, grace: timedelta | None) -> None:
    """Its readers learn of the new key only now, so that the wait for the end of the old one begins anew."""
    began = world.now
    half_done(world, replace(LEAK, grace=grace) if grace else FORCE)
    first, made = fingerprints(world)
    world.now += 10 * MINUTE
    ahead = State(rotated_at=began, id="F-1", trigger=Trigger.OPERATOR, made_key=made)
    if grace:
        ahead = replace(ahead, id="INC-7:active", trigger=Trigger.EMERGENCY, retire_at=began + grace)
        ahead = replace(ahead, retire_slot="key1", retire_key=first)

    outcome = only(world, Action.ALIGN)

    ends = world.now + grace if grace else None
    assert [ahead, replace(ahead, rotated_at=world.now, retire_at=ends)] == noted(world)
    assert "key2" == tags.read(world.tags_of(STRING)).active
    assert [("key2", made, ends or world.now + world.limits.overlap, ends, (STRING,))] == [
        (step.slot, step.fingerprint, step.previous_until, step.retire_at, step.secrets) for step in outcome.steps
    ]


def test_a_secret_that_was_not_reached_says_nothing_of_a_key_that_waits(world: World) -> None:
    """Another one has it already: it does not wait any more."""
    vaults: Any = {**world.tools().vaults, "kv-b": NotesOnly(world, "kv-b")}

    outcome = asyncio.run(rotate(group(world), FORCE, replace(world.tools(), vaults=vaults)))

    assert isinstance(outcome.error, Unavailable)
    assert [(KEY,)] == [step.secrets for step in outcome.steps]
    assert State() == noted(world)[1]


def test_who_is_behind_follows_only_to_a_key_that_is_accepted(world: World) -> None:
    """The service has taken it back for a while."""
    half_done(world, FORCE)
    world.accepted_from[world.keys["key2"]] = world.now + HOUR

    outcome = asyncio.run(rotate(group(world), Request(), world.tools()))

    assert isinstance(outcome.error, NotYetTrue)
    assert "stgorders: the key of key2 in kv-a/key is not accepted yet; the next pass asks again" == str(outcome.error)
    assert ((), set(world.keys.values())) == (outcome.steps, world.published())


def test_a_rotation_is_noted_and_told_in_full(world: World) -> None:
    """Which key came, which one ended and whose promise was broken by that; nobody but the schedule asked first."""
    world.now += 41 * DAY
    passes(world)
    first, second = fingerprints(world)
    scheduled = State(rotated_at=world.now, trigger=Trigger.SCHEDULE, made_key=second)
    assert [scheduled, scheduled] == noted(world)
    promised = world.now + world.limits.overlap + SKEW
    world.given_up = set(world.keys.values())
    world.now += HOUR
    planned = asyncio.run(plan(group(world), FORCE, world.tools()))

    outcome = passes(world, FORCE)

    made, _ = fingerprints(world)
    forced = State(rotated_at=world.now, id="F-1", trigger=Trigger.OPERATOR, made_key=made)
    assert [forced, forced] == noted(world)
    assert planned.verdict
    step = Step(
        action=Action.ROTATE,
        reason=Reason.FORCED,
        because=planned.verdict.because,
        secrets=(KEY, STRING),
        slot="key1",
        fingerprint=made,
        replaced=first,
        previous_until=world.now + world.limits.overlap,
        broken_promise=promised,
    )
    assert (step,) == outcome.steps


def test_a_rotation_without_an_id_leaves_that_of_the_last_request(world: World) -> None:
    """Said again, that one is still found to be done."""
    note(world, KEY, BEFORE)
    note(world, STRING, replace(BEFORE, id="F-2"))
    world.now += 41 * DAY

    passes(world)

    assert ["F-0", "F-2"] == [state.id for state in noted(world)]


def retiring_after(world: World, period: str) -> None:
    """Let both secrets ask for the end of the previous key."""
    for versions in world.secrets.values():
        policy = ";".join(filter(None, (versions[-1].tags.get("rotation-policy"), f"retire-after={period}")))
        versions[-1] = replace(versions[-1], tags={**versions[-1].tags, "rotation-policy": policy})


def test_a_key_that_is_to_end_by_its_tags_is_noted_with_its_fingerprint(due: World) -> None:
    """And is retired then, in nobody's name, which is told with what came in its place."""
    retiring_after(due, "P7D")
    first, _ = fingerprints(due)
    rotated = passes(due, OPERATOR)
    _, second = fingerprints(due)
    ends = due.now + 7 * DAY
    state = State(rotated_at=due.now, id="INC-7", trigger=Trigger.OPERATOR, made_key=second)
    assert [replace(state, retire_at=ends, retire_slot="key1", retire_key=first)] * 2 == noted(due)
    assert [(ends, ends)] == [(step.previous_until, step.retire_at) for step in rotated.steps]
    due.now = ends + HOUR
    planned = asyncio.run(plan(group(due), Request(), due.tools()))

    outcome = passes(due, Request(Trigger.SCHEDULE, "timer"))

    successor, _ = fingerprints(due)
    assert [replace(state, retire_slot="key1", retire_key=successor)] * 2 == noted(due)
    assert planned.verdict
    step = Step(
        action=Action.RETIRE,
        reason=Reason.RETIRE_DUE,
        because=planned.verdict.because,
        secrets=(KEY, STRING),
        slot="key1",
        fingerprint=successor,
        replaced=first,
    )
    assert (step,) == outcome.steps


def test_who_waited_for_a_key_that_was_ended_is_not_told_to_be_done(world: World) -> None:
    """It was declared compromised, and whoever says the first request again is to be given another one."""
    waits = replace(BEFORE, staged_slot="key2", staged_at=NOW)
    for ref in (KEY, STRING):
        note(world, ref, waits)
    world.given_up = set(world.keys.values())
    ended = (Suspect("key2", fingerprints(world)[1], published=False),)

    only(world, Action.RETIRE, Request(Trigger.OPERATOR, "INC-7", compromised=Role.IDLE, suspects=ended))

    assert {("INC-7:idle", None)} == {(state.id, state.also) for state in noted(world)}


def test_who_waited_for_a_key_that_is_replaced_itself_has_no_part_in_its_successor(world: World) -> None:
    """Both keys were declared compromised, the one that waits included."""
    for ref in (KEY, STRING):
        note(world, ref, replace(BEFORE, also=None, staged_slot="key2", staged_at=NOW))
    world.given_up = set(world.keys.values())
    leaked = tuple(
        Suspect(slot, key, slot == "key1") for slot, key in zip(world.keys, fingerprints(world), strict=True)
    )

    only(world, Action.ROTATE, Request(Trigger.OPERATOR, "INC-7", compromised=Role.BOTH, suspects=leaked))

    assert {("INC-7:both", None)} == {(state.id, state.also) for state in noted(world)}


def test_a_rotation_for_which_nobody_asked_keeps_the_marks(world: World) -> None:
    """Whoever says a request again that was carried out before finds it done."""
    for ref in (KEY, STRING):
        note(world, ref, BEFORE)
    world.now += 41 * DAY

    only(world, Action.ROTATE)

    assert {("F-0", "F-9")} == {(state.id, state.also) for state in noted(world)}


@pytest.mark.parametrize("id_", ["INC-7", None])
def test_an_idle_key_that_is_retired_for_a_request_is_noted_with_it(world: World, id_: str | None) -> None:
    """It was promised yet, had waited for its publication, and its end was noted: of that nothing is left."""
    waits = replace(BEFORE, staged_slot="key1", staged_at=NOW, staged_grace=HOUR)
    note(world, KEY, waits)
    note(world, STRING, replace(BEFORE, retire_slot="key1", retire_at=NOW + 9 * DAY, id=None))
    published = max(versions[-1].created for versions in world.secrets.values())
    world.now = published + HOUR
    _, ended = fingerprints(world)

    outcome = passes(world, Request(Trigger.OPERATOR, id_, compromised=Role.IDLE))

    _, successor = fingerprints(world)
    after = replace(BEFORE, retire_slot="key2", retire_key=successor)
    mark = f"{id_}:idle" if id_ else None
    first = replace(after, id=mark, also="F-0") if mark else after
    assert [first, replace(after, id=mark, also=None if mark else "F-9")] == noted(world)
    assert [("key2", ended, successor, published + world.limits.overlap + SKEW)] == [
        (step.slot, step.replaced, step.fingerprint, step.broken_promise) for step in outcome.steps
    ]


@pytest.mark.parametrize(
    ("request_", "id_", "grace", "meanwhile"),
    [
        (FORCE, "F-1", None, "the published key is untouched"),
        (Request(Trigger.OPERATOR, force=True), "F-0", None, "the published key is untouched"),
        (replace(LEAK, grace=HOUR), "INC-7:active", HOUR, "the leaked key works until then"),
    ],
    ids=["forced", "without an id", "emergency"],
)
def test_a_key_that_is_not_accepted_yet_is_noted_and_told_in_full(
    world: World, request_: Request, id_: str, grace: timedelta | None, meanwhile: str
) -> None:
    """Who made it, when, and how long the one before is to live once it is published; nobody was promised anything."""
    world.slow = HOUR
    _, ended = fingerprints(world)
    for ref in (KEY, STRING):
        note(world, ref, BEFORE)

    outcome = passes(world, request_)

    _, made = fingerprints(world)
    since = world.now
    waits = replace(BEFORE, id=id_, also=None, made_key=made, staged_slot="key2", staged_at=since, staged_grace=grace)
    assert [waits, waits] == noted(world)
    assert (
        "stgorders: the service does not accept the new key of key2 yet; it is noted as staged, and the next pass "
        f"publishes it; {meanwhile}"
    ) == str(outcome.error)
    assert [("key2", ended, made, (), None, None)] == [
        (step.slot, step.replaced, step.fingerprint, step.secrets, step.previous_until, step.retire_at)
        for step in outcome.steps
    ]

    world.now += MINUTE
    again = passes(world)

    assert [waits, waits] == noted(world)
    assert () == again.steps
    assert (
        f"stgorders: the service still does not accept the staged key of key2; the next pass asks; {meanwhile}"
    ) == str(again.error)


@pytest.mark.parametrize(
    ("request_", "marks"),
    [
        (Request(Trigger.EVENT, "E-1"), ("F-1", None)),
        (Request(), ("F-1", None)),
        (FORCE, ("F-1", None)),
        (replace(FORCE, id="F-2"), ("F-2", "F-1")),
    ],
    ids=["with an id", "without one", "who insists again", "who insists"],
)
def test_a_staged_key_is_published_in_the_name_of_who_had_it_made(
    world: World, request_: Request, marks: tuple[str, str | None]
) -> None:
    """Also where another secret has joined since, which has no note of that; who insists takes it for his own, too."""
    world.slow = HOUR
    passes(world, FORCE)
    made = fingerprints(world)[1]
    joined = joins(world)
    note(world, joined, BEFORE)
    world.now += 2 * HOUR

    outcome = only(world, Action.PUBLISH, request_)

    identity, also = marks
    state = State(rotated_at=world.now, id=identity, trigger=request_.trigger, made_key=made, also=also)
    assert [state, state] == noted(world)
    assert replace(state, made_key=None) == tags.read(world.tags_of(joined)).state
    assert [(Reason.STAGED, "key2", made, None, world.now + world.limits.overlap, None)] == [
        (step.reason, step.slot, step.fingerprint, step.replaced, step.previous_until, step.retire_at)
        for step in outcome.steps
    ]


@pytest.mark.parametrize(("early", "code"), [(SECOND, "staged"), (timedelta(0), None)], ids=["before", "then"])
def test_a_listing_is_believed_as_soon_as_it_has_settled(world: World, early: timedelta, code: str | None) -> None:
    """Another key is listed than the one that waits, nobody tries it, and who joined notes nothing of it."""
    world.mode = ProbeMode.OFF
    vaults = {name: NotesOnly(world, name) for name in ("kv-a", "kv-b")}
    asyncio.run(rotate(group(world), FORCE, replace(world.tools(), vaults=vaults)))
    since = world.now
    world.keys["key2"] = world.new_key()
    joins(world)
    world.now = since + SETTLING - early

    outcome = passes(world)

    assert code == (outcome.error and outcome.error.code)
    if code:
        assert (
            "stgorders: the new key of key2 is not listed yet, and is not tried; a later pass publishes it; "
            "the published key is untouched"
        ) == str(outcome.error)
    assert {world.keys["key1" if code else "key2"]} == world.published()


@pytest.mark.parametrize("id_", ["INC-8", None])
def test_what_another_pass_has_done_for_an_emergency_is_noted_in_full(world: World, id_: str | None) -> None:
    """With the end of the leaked key, by the clock of who published its successor, which is behind."""
    second = Request(Trigger.OPERATOR, id_, compromised=Role.ACTIVE, grace=HOUR)
    handed_over = asyncio.run(identified(group(world), second, world.tools()))
    leaked, _ = fingerprints(world)
    passes(world, FORCE, skew=-5 * MINUTE)
    published, (_, made) = world.now, fingerprints(world)
    ends = published + HOUR
    world.now += MINUTE

    outcome = passes(world, handed_over)

    state = State(published - 5 * MINUTE, "F-1", Trigger.EMERGENCY, made_key=made)
    state = replace(
        state.marked(f"{id_}:active" if id_ else None),
        retire_at=ends - 5 * MINUTE,
        retire_slot="key1",
        retire_key=leaked,
    )
    assert [state, state] == noted(world)
    assert [("key1", ends, ends, None)] == [
        (step.slot, step.previous_until, step.retire_at, step.fingerprint) for step in outcome.steps
    ]


def test_an_emergency_that_is_noted_half_is_told_with_the_end_of_the_key(world: World) -> None:
    """The pass ends with that, so that nothing comes after it to tell."""
    handed_over = asyncio.run(identified(group(world), LEAK, world.tools()))
    passes(world, FORCE)
    ends = world.now + LEAK.grace
    world.now += MINUTE
    world.unwritable = {KEY}

    outcome = passes(world, handed_over)

    assert isinstance(outcome.error, Unavailable)
    assert [((STRING,), ends, ends)] == [(step.secrets, step.previous_until, step.retire_at) for step in outcome.steps]


def test_a_leaked_key_that_another_pass_has_ended_is_noted_in_few_words(world: World) -> None:
    """There is no end to come."""
    handed_over = asyncio.run(identified(group(world), LEAK, world.tools()))
    world.given_up = set(world.keys.values())
    passes(world, FORCE)
    passes(world, replace(FORCE, id="F-2"))
    before = noted(world)

    outcome = passes(world, handed_over)

    assert [replace(state, id="INC-7:active", also="F-2") for state in before] == noted(world)
    assert [(None, None, None)] == [(step.slot, step.previous_until, step.retire_at) for step in outcome.steps]


class Patient:
    """A data plane that answers in turn, and the times at which it was asked."""

    def __init__(self, world: World, *answers: Probe) -> None:
        self.world, self.answers = world, list(answers)
        self.asked: list[float] = []
        self.began = world.now

    def __getattr__(self, name: str) -> object:
        return getattr(self.world.tools().providers.for_type(""), name)

    async def regenerate(self, account: AccountId, slot: Slot, before: Sensitive, lease: Lease) -> Sensitive:
        """Insist on being told whose key it is, and which."""
        assert (ACCOUNT, self.world.keys[slot]) == (account, before.reveal())
        return await self.world.tools().providers.for_type("").regenerate(account, slot, before, lease)

    def render(self, description: Description, key: Sensitive, form: Format) -> Sensitive:
        """Insist on being told whose value it is."""
        assert ACCOUNT == description.account
        return self.world.tools().providers.for_type("").render(description, key, form)

    async def probe(self, description: Description, _: Sensitive) -> Probe:
        """Answer the next time, and the last answer ever after."""
        assert ACCOUNT == description.account
        self.asked.append((self.world.now - self.began).total_seconds())
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def for_type(self, _: str) -> "Patient":
        """Be the only kind of service."""
        return self

    def tools(self, mode: ProbeMode, seconds: float) -> Tools:
        """The world's, with this service."""
        limits = replace(self.world.limits, probe=mode, probe_timeout=timedelta(seconds=seconds))
        return replace(self.world.tools(), providers=self, limits=limits)  # type: ignore[arg-type]  # it stands in for one


YES, NO, AWAY = Probe.ACCEPTED, Probe.REFUSED, Probe.UNREACHABLE

TO_THE_END = [0, 0.5, 1.5, 3.5, 7.5, 12.5, 17.5, 22.5]


@pytest.mark.parametrize(
    ("mode", "answers", "asked", "result"),
    [
        pytest.param(ProbeMode.TRY, [YES], [0], "published", id="at once"),
        pytest.param(ProbeMode.OFF, [NO], [], "published", id="not asked"),
        pytest.param(ProbeMode.TRY, [NO, NO, YES], [0, 0.5, 1.5], "published", id="later"),
        pytest.param(ProbeMode.TRY, [NO], TO_THE_END, "staged", id="never"),
        pytest.param(ProbeMode.TRY, [AWAY], [0, 0.5, 1.5], "untried", id="out of reach"),
        pytest.param(ProbeMode.TRY, [AWAY, AWAY, YES], [0, 0.5, 1.5], "published", id="out of reach for a while"),
        pytest.param(ProbeMode.TRY, [NO, AWAY], TO_THE_END, "staged", id="refused, then out of reach"),
        pytest.param(ProbeMode.TRY, [AWAY, NO, AWAY], TO_THE_END, "staged", id="refused in between"),
        pytest.param(ProbeMode.REQUIRED, [YES, AWAY], [0, *TO_THE_END], "staged", id="required"),
    ],
)
def test_a_new_key_is_tried_for_as_long_as_is_set(
    world: World, mode: ProbeMode, answers: list[Probe], asked: list[float], result: str
) -> None:
    """Ever less often; what is out of reach all the time is not waited for, unless it must be tried or was refused."""
    service = Patient(world, *answers)

    outcome = asyncio.run(rotate(group(world), FORCE, service.tools(mode, 22.5)))

    assert asked == service.asked
    assert ("staged" if result == "staged" else None) == (outcome.error and outcome.error.code)
    untried = ("the data plane could not be reached, so the key was published without trying it",)
    assert [untried if result == "untried" else ()] == [step.notes for step in outcome.steps]


@pytest.mark.parametrize("mode", [ProbeMode.TRY, ProbeMode.REQUIRED])
def test_a_staged_key_whose_data_plane_is_out_of_reach_waits_until_lists_have_settled(
    world: World, mode: ProbeMode
) -> None:
    """It was refused a moment ago, and later is published without trying where that may be."""
    asyncio.run(rotate(group(world), FORCE, Patient(world, NO).tools(ProbeMode.TRY, 1)))
    required = mode is ProbeMode.REQUIRED
    in_reach = [YES] * required
    world.now += MINUTE
    soon = asyncio.run(rotate(group(world), Request(), Patient(world, *in_reach, AWAY).tools(mode, 2)))
    world.now += SETTLING
    late = asyncio.run(rotate(group(world), Request(), Patient(world, *in_reach, AWAY).tools(mode, 2)))

    assert "staged" == (soon.error and soon.error.code)
    assert ("staged" if required else None) == (late.error and late.error.code)


class Attentive(MemoryVault):
    """A vault that remembers what is sent to it, and in which something happens between two reads."""

    def __init__(self, world: World, name: str, between: Callable[[], None] = lambda: None, reads: int = 1) -> None:
        super().__init__(world, name)
        self.between, self.reads = between, reads
        self.drafts: list[Draft] = []
        self.amended: list[Secret] = []

    async def read(self, name: str) -> Secret:
        """Read, after what happens."""
        if self.reads == 0:
            self.between()
        self.reads -= 1
        return await super().read(name)

    async def publish(self, name: str, draft: Draft, lease: Lease) -> Secret:
        """Write, and remember what."""
        self.drafts.append(draft)
        return await super().publish(name, draft, lease)

    async def amend(self, current: Secret, raw: Mapping[str, str], lease: Lease) -> None:
        """Write, and remember where."""
        self.amended.append(current)
        await super().amend(current, raw, lease)


def attended(world: World, between: Callable[[], None] = lambda: None) -> tuple[Tools, Attentive]:
    """The tools of a world whose first vault is attentive."""
    vault = Attentive(world, "kv-a", between)
    vaults: Any = {**world.tools().vaults, "kv-a": vault}
    return replace(world.tools(), vaults=vaults), vault


def test_a_version_is_written_with_all_that_belongs_to_it(world: World) -> None:
    """The type of its content is a person's, its end is ours, and what it was made from goes with it."""
    world.secrets[KEY][-1] = before = replace(world.secrets[KEY][-1], content_type="text/plain")
    tools, vault = attended(world)

    asyncio.run(rotate(group(world), FORCE, tools))

    (draft,) = vault.drafts
    value, raw = Sensitive(world.keys["key2"]), world.tags_of(KEY)
    assert Draft(value, raw, world.now + VALIDITY, "text/plain", before) == draft
    assert ("team", "key2") == (raw["owner"], raw["active-slot"])


def test_a_note_that_says_nothing_new_is_not_written(world: World) -> None:
    """Nor told: the leaked key has ended, and the request has no id that could be found again."""
    handed_over = asyncio.run(identified(group(world), replace(LEAK, id=None), world.tools()))
    world.given_up = set(world.keys.values())
    passes(world, FORCE)
    passes(world, replace(FORCE, id="F-2"))
    tools, vault = attended(world)

    outcome = asyncio.run(rotate(group(world), handed_over, tools))

    assert (None, (), []) == (outcome.error, outcome.steps, vault.amended)


def test_a_value_is_changed_only_where_the_key_stands(world: World) -> None:
    """What a person has added stays; where a bare key has taken the place of all, it is made anew."""
    texts = []
    for text in ("AccountName=stgorders;AccountKey={};Mine=1", "{}"):
        world.secrets[STRING][-1] = replace(world.secrets[STRING][-1], value=Sensitive(text.format("ended" * 8)))
        asyncio.run(rotate(group(world), Request(), Patient(world, NO, YES).tools(ProbeMode.TRY, 1)))
        texts.append(world.secrets[STRING][-1].value)

    key = world.keys["key1"]
    assert [f"AccountName=stgorders;AccountKey={key};Mine=1", CONNECTION.format(key)] == [
        text.reveal() for text in texts if text
    ]


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        (None, "kv-a/key is gone since it was read; the next pass lists again"),
        ("validity-days=30", "kv-a/key was changed by somebody else during the pass; the next pass looks again"),
        ("validity-days=soon", "kv-a/key was changed by somebody else during the pass; the next pass looks again"),
        ("owner=me", None),
    ],
    ids=["gone", "changed", "unreadable", "not ours"],
)
def test_what_somebody_changes_during_a_pass_is_not_written_over(
    world: World, tag: str | None, message: str | None
) -> None:
    """What is none of our business is kept."""

    def happens() -> None:
        if tag is None:
            del world.secrets[KEY]
            return
        name, value = tag.split("=")
        world.secrets[KEY][-1] = replace(world.secrets[KEY][-1], tags={**world.tags_of(KEY), name: value})

    tools, vault = attended(world, happens)

    outcome = asyncio.run(rotate(group(world), FORCE, tools))

    assert message == (str(outcome.error) if outcome.error else None)
    assert (not message) is bool(vault.drafts)
    if not message:
        assert "me" == world.tags_of(KEY)["owner"]
    else:
        assert isinstance(outcome.error, ChangedMeanwhile)


@pytest.mark.parametrize(
    ("failure", "kept"),
    [
        pytest.param(Unavailable("504"), True, id="it may be done yet"),
        pytest.param(NotYetTrue("it still runs"), False, id="it was awaited for minutes"),
        pytest.param(Throttled("429"), False, id="it was refused"),
        pytest.param(Forbidden("403"), False, id="it was forbidden"),
        pytest.param(LeaseLost("it ran out"), False, id="it was not sent"),
    ],
)
def test_s1_a_regenerate_of_unknown_fate_keeps_others_out(due: World, failure: RotationError, kept: bool) -> None:  # noqa: FBT001  # a table
    """It would end the key that the next pass had made in that slot and published."""

    class Unanswered(Broken):
        async def probe(self, _: Description, key: Sensitive) -> Probe:
            return Probe.ACCEPTED if key.reveal() in due.keys.values() else Probe.REFUSED

        async def regenerate(self, *_: object) -> Sensitive:
            raise failure

    doorkeeper = Doorkeeper()
    tools: Tools = replace(due.tools(), providers=Unanswered(due), leases=doorkeeper)  # type: ignore[arg-type]  # it stands in for one

    outcome = asyncio.run(rotate(group(due), Request(), tools))

    assert outcome.error is failure
    assert kept is doorkeeper.abandoned
