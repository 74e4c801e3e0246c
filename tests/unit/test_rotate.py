"""One pass over an account in memory: what it does, where it stops, and what it says of itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from rotation import tags
from rotation.errors import Busy, Forbidden, LeaseLost, NotYetTrue, Unavailable, Unexpected
from rotation.fleet import Fleet
from rotation.listings import FRESH
from rotation.model import (
    AccountId,
    Action,
    Group,
    ProbeMode,
    Reason,
    Request,
    Role,
    Secret,
    SecretRef,
    Sensitive,
    Slot,
    Suspect,
    Trigger,
)
from rotation.policy import SKEW
from rotation.ports import Draft, Lease, Tools
from rotation.report import Outcome
from rotation.rotate import MAX_STEPS, REPAIRS, plan
from rotation.rotate import rotate as one_pass
from tests.properties.world import Died, World
from tests.unit.facts import ACCOUNT, DAY, HOUR, MINUTE, SECOND
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
    passes,
    publish_by_hand,
    publish_in,
    rotate,
)


def mistag(world: World) -> None:
    """Let every tag name the slot that is not published."""
    for versions in world.secrets.values():
        versions[-1] = replace(versions[-1], tags={**versions[-1].tags, "active-slot": "key2"})


def test_a_pass_tells_what_it_did_for_whom(due: World) -> None:
    """Everything that a report, a log and a caller are given."""
    due.slow = 5 * SECOND
    began = due.now

    outcome = asyncio.run(rotate(group(due), OPERATOR, due.tools()))

    assert (str(ACCOUNT), tuple(due.secrets)) == (outcome.account, outcome.secrets)
    assert ("INC-7", "operator", False, None) == (
        outcome.request_id,
        outcome.trigger,
        outcome.insisted,
        outcome.error,
    )
    assert [(Action.ROTATE, Reason.DUE, "key2", tuple(due.secrets))] == [
        (step.action, step.reason, step.slot, step.secrets) for step in outcome.steps
    ]
    assert Reason.OVERLAP == (outcome.verdict and outcome.verdict.reason)
    assert [(due.now + due.limits.overlap, None)] == [(step.previous_until, step.retire_at) for step in outcome.steps]
    assert due.now - began == timedelta(seconds=outcome.seconds) > 5 * SECOND
    assert {due.keys["key2"]} == due.published()


def test_a_look_tells_both_keys_and_a_pass_none(due: World) -> None:
    """Who has found a key compares fingerprints; a report of a rotation tells those that it concerns."""
    looked = asyncio.run(plan(group(due), OPERATOR, due.tools()))
    rotated = asyncio.run(rotate(group(due), OPERATOR, due.tools()))

    assert [("key1", Role.ACTIVE), ("key2", Role.IDLE)] == [(key.slot, key.role) for key in looked.keys]
    assert () == rotated.keys


def test_an_emergency_is_told_as_asked_although_it_was_settled(world: World) -> None:
    """The request forgets its id once it was acted on, and the report does not."""
    emergency = Request(Trigger.EMERGENCY, "INC-7", compromised=Role.ACTIVE, grace=timedelta(0))

    outcome = asyncio.run(rotate(group(world), emergency, world.tools()))

    assert ("INC-7", "emergency", True) == (outcome.request_id, outcome.trigger, outcome.insisted)
    assert [Action.ROTATE, Action.RETIRE] == [step.action for step in outcome.steps]


def test_what_is_asked_for_is_done_once(world: World) -> None:
    """A pass goes on looking after it acted, and would find the same request again."""
    outcome = asyncio.run(rotate(group(world), replace(OPERATOR, force=True), world.tools()))

    assert [(Action.ROTATE, Reason.FORCED)] == [(step.action, step.reason) for step in outcome.steps]
    assert outcome.insisted


def test_a_repair_on_the_way_is_not_what_was_asked_for(world: World) -> None:
    """A wrong tag is corrected first, and then the operator gets the rotation."""
    mistag(world)

    outcome = asyncio.run(rotate(group(world), replace(OPERATOR, force=True), world.tools()))

    assert [Action.RETAG, Action.ROTATE] == [step.action for step in outcome.steps]


def test_a_compromised_key_is_replaced_after_it_was_republished(world: World) -> None:
    """Its slot was in the step that mended a drift, and its key is as compromised as before."""
    world.keys["key1"] = world.new_key()
    emergency = Request(Trigger.EMERGENCY, "INC-7", compromised=Role.ACTIVE)

    outcome = asyncio.run(rotate(group(world), emergency, world.tools()))

    assert [Action.REPUBLISH, Action.ROTATE] == [step.action for step in outcome.steps]


def test_a_suspect_outlives_the_repair_of_its_slot(world: World) -> None:
    """It was idle when it was named and is published by now: whoever is named anew would be another key."""
    world.keys["key1"] = leaked = world.new_key()
    suspect = Suspect("key1", Sensitive(leaked).fingerprint, published=False)
    emergency = Request(Trigger.EMERGENCY, "INC-7", compromised=Role.IDLE, suspects=(suspect,))

    outcome = asyncio.run(rotate(group(world), emergency, world.tools()))

    assert [(Action.REPUBLISH, "key1"), (Action.ROTATE, "key2"), (Action.RETIRE, "key1")] == [
        (step.action, step.slot) for step in outcome.steps
    ]
    assert leaked not in world.keys.values()


def listings_counted(world: World) -> tuple[Tools, list[str]]:
    """Tools whose vaults note when they are listed."""
    listed: list[str] = []

    class Noting:
        def __init__(self, name: str) -> None:
            self.vault = world.tools().vaults[name]
            self.name = name

        def __getattr__(self, name: str) -> object:
            return getattr(self.vault, name)

        def list(self) -> AsyncIterator[Secret]:
            listed.append(self.name)
            return self.vault.list()

    vaults: Any = {name: Noting(name) for name in ("kv-a", "kv-b")}
    return replace(world.tools(), vaults=vaults), listed


def test_s1_who_joins_after_the_listing_follows_before_its_key_is_ended(world: World) -> None:
    """An emergency without grace ends the key that was published when the vaults were listed."""
    listed, leaked = group(world), world.keys["key1"]
    joins(world)
    world.given_up.add(leaked)
    emergency = Request(Trigger.OPERATOR, "INC-7", compromised=Role.ACTIVE, grace=timedelta(0))

    outcome = asyncio.run(rotate(listed, emergency, world.tools()))

    world.check_published()
    assert [] == world.violations
    assert [Action.ROTATE, Action.ALIGN, Action.RETIRE] == [step.action for step in outcome.steps]
    assert ({world.keys["key2"]}, tuple(sorted(world.secrets))) == (world.published(), tuple(sorted(outcome.secrets)))
    assert leaked not in world.keys.values()


def test_s1_who_joins_while_a_key_is_staged_is_not_overlooked_by_who_publishes_it(world: World) -> None:
    """The emergency's grace is noted with the key; the pass that publishes it is an ordinary one."""
    emergency = Request(Trigger.OPERATOR, "INC-7", compromised=Role.ACTIVE, grace=timedelta(0))
    world.slow, leaked = timedelta(minutes=30), world.keys["key1"]
    world.given_up.add(leaked)
    asyncio.run(rotate(group(world), emergency, world.tools()))
    listed = group(world)
    joins(world)
    world.now += timedelta(hours=1)

    outcome = asyncio.run(rotate(listed, Request(), world.tools()))

    world.check_published()
    assert [] == world.violations
    assert [Action.PUBLISH, Action.ALIGN, Action.RETIRE] == [step.action for step in outcome.steps]


def test_s1_a_rotation_since_the_listing_may_have_left_somebody_on_the_other_slot(due: World) -> None:
    """Two passes with the same listing: the second one insists, and the idle key is published by who joined."""
    listed = group(due)
    joins(due)
    asyncio.run(rotate(listed, Request(), due.tools()))
    due.given_up |= set(due.keys.values())

    outcome = asyncio.run(rotate(listed, Request(Trigger.OPERATOR, "F-1", force=True), due.tools()))

    due.check_published()
    assert [] == due.violations
    assert [Action.ALIGN, Action.ROTATE] == [step.action for step in outcome.steps]


def test_s1_a_rotation_in_the_second_of_the_listing_may_have_left_somebody_on_the_other_slot(world: World) -> None:
    """A vault dates its versions by the second, so that only the tags tell that there is another one."""
    for ref, versions in list(world.secrets.items()):
        world.write(ref, versions[-1].value or Sensitive(""), versions[-1].tags, None)
    listed = group(world)
    joins(world)
    began, world.given_up = world.now, set(world.keys.values())
    asyncio.run(rotate(listed, Request(Trigger.OPERATOR, "F-1", force=True), world.tools()))
    world.given_up |= set(world.keys.values())

    outcome = asyncio.run(rotate(listed, Request(Trigger.OPERATOR, "F-2", force=True), world.tools()))

    world.check_published()
    assert began == world.now
    assert [] == world.violations
    assert [Action.ALIGN, Action.ROTATE] == [step.action for step in outcome.steps]


def test_s1_who_joins_before_an_ordinary_rotation_keeps_a_key_that_works(due: World) -> None:
    """It publishes what the others do, which is not regenerated; so nothing is listed again for it."""
    listed = group(due)
    joins(due)
    tools, noted = listings_counted(due)

    outcome = asyncio.run(rotate(listed, Request(), tools))

    due.check_published()
    assert ([], []) == (noted, due.violations)
    assert [Action.ROTATE] == [step.action for step in outcome.steps]
    assert set(due.keys.values()) == due.published()


def test_s1_who_joins_before_a_retirement_keeps_a_key_that_works(world: World) -> None:
    """The key that is retired had been left before the vaults were listed, and nobody joins on it."""
    emergency = Request(Trigger.OPERATOR, "INC-7", compromised=Role.ACTIVE, grace=timedelta(minutes=15))
    world.given_up.add(world.keys["key1"])
    asyncio.run(rotate(group(world), emergency, world.tools()))
    world.now += timedelta(minutes=20)
    listed = group(world)
    joins(world, "key2")
    tools, noted = listings_counted(world)

    outcome = asyncio.run(rotate(listed, Request(), tools))

    world.check_published()
    assert ([], []) == (noted, world.violations)
    assert [Action.RETIRE] == [step.action for step in outcome.steps]


@pytest.mark.parametrize("later", [FRESH, -SECOND], ids=["half a minute later", "a clock that was set back"])
def test_s1_an_old_listing_does_not_tell_who_publishes(due: World, later: timedelta) -> None:
    """Who joins by tags of their own may publish the key that is idle, and no secret that is known shows it.

    A command works on hundreds of accounts by the listing that it began with.
    """
    listed = group(due)
    due.now += later
    joins(due, "key2")
    tools, noted = listings_counted(due)

    outcome = asyncio.run(rotate(listed, Request(), tools))

    due.check_published()
    assert ([], ["kv-a", "kv-b"]) == (due.violations, noted)
    assert [Action.ALIGN] == [step.action for step in outcome.steps]


def test_s1_what_is_written_while_the_vaults_are_listed_is_seen(due: World) -> None:
    """A listing may take minutes, and may itself lag behind: who judges by the look before it ends a published key."""
    listed = group(due)
    due.now += FRESH

    async def meanwhile(_: AccountId, since: datetime) -> Group:
        publish_by_hand(due, "key2")
        return replace(listed, listed=since)

    outcome = asyncio.run(one_pass(listed, Request(), due.tools(), meanwhile))

    due.check_published()
    assert ([], None) == (due.violations, outcome.error)
    assert Action.ROTATE not in [step.action for step in outcome.steps]


def test_who_lists_for_ever_is_not_waited_for(due: World) -> None:
    """Each key is ended after one new listing, and the look after it, however old that one is by then."""
    listed, since = group(due), []

    async def slowly(_: AccountId, asked: datetime) -> Group:
        since.append(asked)
        due.now += 2 * FRESH
        return replace(listed, listed=asked)

    due.now += FRESH
    outcome = asyncio.run(one_pass(listed, Request(), due.tools(), slowly))

    assert (1, None, [Action.ROTATE]) == (len(since), outcome.error, [step.action for step in outcome.steps])


def test_s1_who_joins_between_two_keys_that_a_pass_ends_is_seen(world: World) -> None:
    """The first was ended after a new listing, and the second one needs its own."""
    world.given_up = set(world.keys.values())
    listed, write = group(world), world.write
    world.now += FRESH

    def wrote(ref: SecretRef, *told: Any) -> None:
        write(ref, *told)
        if ref == STRING and steered.write is not write:
            steered.write = write
            world.now += SECOND
            joins(world, "key1")
            world.now += SECOND

    steered: Any = world
    steered.write = wrote
    tools = world.tools()
    asyncio.run(one_pass(listed, replace(LEAK, grace=timedelta(0)), tools, Fleet(tools).members))

    world.check_published()
    assert [] == world.violations


def slow_and_joined(world: World) -> Tools:
    """Tools of an account that takes half a minute for each look, and that a secret with a wrong tag has joined."""
    world.given_up = set(world.keys.values())
    joined = joins(world, "key2")
    tagged = {**world.tags_of(joined), "active-slot": "key1"}
    world.secrets[joined][-1] = replace(world.secrets[joined][-1], tags=tagged)
    slow: Any = Slow(world, 31)
    return replace(world.tools(), providers=slow)


@pytest.mark.parametrize("wrong", [True, False], ids=["tags wrong", "tags right"])
def test_both_keys_end_although_much_is_in_the_way(world: World, wrong: bool) -> None:  # noqa: FBT001  # a row
    """Tags and a split are mended first, and each key is ended after a new listing and another look."""
    if wrong:
        mistag(world)
    listed, before = group(world), set(world.keys.values())
    order = replace(LEAK, compromised=Role.BOTH, grace=timedelta(0))

    outcome = asyncio.run(rotate(listed, order, slow_and_joined(world)))

    assert (None, []) == (outcome.error, world.violations)
    assert before.isdisjoint(world.keys.values())


def tagged_by_hand(world: World, slot: Slot) -> None:
    """Let somebody write another slot into the tags."""
    for versions in world.secrets.values():
        versions[-1] = replace(versions[-1], tags={**versions[-1].tags, "active-slot": slot})


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "not ended yet"])
@pytest.mark.parametrize("how", ["tag", "drift"])
def test_s2_what_somebody_undid_does_not_make_another_key_the_leaked_one(world: World, how: str, ended: bool) -> None:  # noqa: FBT001  # a row
    """A wrong tag, or a key that was regenerated elsewhere: the note tells all the same which key leaked."""
    leaked, order = world.keys["key1"], replace(LEAK, grace=HOUR)
    world.given_up = {leaked}
    passes(world, order)
    if ended:
        world.now += 2 * HOUR
        passes(world)
    if how == "tag":
        tagged_by_hand(world, "key1")
    else:
        world.lost.add(world.keys["key2"])
        world.keys["key2"] = world.new_key()

    again = asyncio.run(identified(group(world), order, world.tools()))

    expected = [] if ended else [Sensitive(leaked).fingerprint]
    assert again.suspects is not None
    assert expected == [suspect.fingerprint for suspect in again.suspects]


def test_s2_an_emergency_that_found_its_key_gone_means_no_key_whose_end_was_noted_otherwise(world: World) -> None:
    """An ordinary rotation has replaced it meanwhile, and notes the end of the key before."""
    for versions in world.secrets.values():
        policy = ";".join(filter(None, (versions[-1].tags.get("rotation-policy"), "retire-after=P5D")))
        versions[-1] = replace(versions[-1], tags={**versions[-1].tags, "rotation-policy": policy})
    order = replace(LEAK, compromised=Role.IDLE)
    meant = asyncio.run(identified(group(world), order, world.tools()))
    world.given_up = {world.keys["key2"]}
    passes(world, FORCE)
    passes(world, meant)

    again = asyncio.run(identified(group(world), order, world.tools()))

    assert () == again.suspects


def staged_emergency(world: World) -> Request:
    """An emergency as the queue has it, whose new key the service does not accept at first."""
    world.given_up = set(world.keys.values())
    world.slow = 7 * MINUTE
    meant = asyncio.run(identified(group(world), LEAK, world.tools()))
    passes(world, meant)
    world.now += 20 * MINUTE
    world.slow = timedelta(0)
    return meant


@pytest.mark.parametrize("refused", [set(), {STRING}], ids=["everywhere", "in one vault"])
def test_s2_who_forces_the_key_that_waits_leaves_the_emergency_its_mark(world: World, refused: set[SecretRef]) -> None:
    """Said again it means the leaked key, and not the good one that was just published."""
    leaked = world.keys["key1"]
    staged_emergency(world)
    world.unwritable = refused
    passes(world, FORCE)
    world.unwritable = set()

    meant = asyncio.run(identified(group(world), LEAK, world.tools()))
    passes(world)

    assert [Sensitive(leaked).fingerprint] == [suspect.fingerprint for suspect in meant.suspects or ()]
    assert {world.keys["key2"]} == world.published()


def test_an_outcome_tells_which_keys_an_emergency_means(world: World) -> None:
    """Also once they have ended; where none was declared, or nobody could look, there are none."""
    leaked = Suspect("key1", Sensitive(world.keys["key1"]).fingerprint, published=True)
    world.given_up = set(world.keys.values())

    ordinary, meant = passes(world), passes(world, replace(LEAK, grace=timedelta(0)))
    world.fuse, world.deadly = 1, False
    blind = passes(world, replace(LEAK, id="INC-8"))

    assert ((), (leaked,), ()) == (ordinary.meant, meant.meant, blind.meant)
    assert blind.error


NEXT_LEAK = replace(LEAK, id="INC-8")


@pytest.mark.parametrize("refused", [set(), {STRING}], ids=["everywhere", "in one vault"])
@pytest.mark.parametrize("order", [FORCE, NEXT_LEAK], ids=["forced", "a second emergency"])
def test_s2_who_is_given_the_key_that_waits_is_not_given_another_one(
    world: World, order: Request, refused: set[SecretRef]
) -> None:
    """It was made for an emergency, which is not done twice either; nor is the grace of the leaked key cut short."""
    staged_emergency(world)
    world.unwritable = refused
    passes(world, order)
    world.unwritable, before = set(), dict(world.keys)
    world.now += MINUTE

    for said in (order, LEAK, order):
        again = passes(world, asyncio.run(identified(group(world), said, world.tools())))
        assert Reason.ALREADY_DONE is (again.verdict and again.verdict.reason)

    assert (before, {before["key2"]}) == (world.keys, world.published())
    assert [] == world.violations


@pytest.mark.parametrize("refs", [(KEY, STRING), (KEY,)], ids=["everywhere", "in one secret"])
@pytest.mark.parametrize("tagged", [True, False])
def test_a_leaked_key_ends_although_somebody_publishes_its_successor(
    world: World,
    refs: tuple[SecretRef, ...],
    tagged: bool,  # noqa: FBT001  # a row of the table
) -> None:
    """With the waiting key in the secrets it seems to be done, and nothing has noted when the leaked one ends."""
    leaked = world.keys["key1"]
    message = staged_emergency(world)
    for ref in refs:
        publish_in(world, ref, "key2", tagged=tagged)

    again = asyncio.run(identified(group(world), LEAK, world.tools()))
    passes(world, message)
    world.now += HOUR
    passes(world)

    assert [Sensitive(leaked).fingerprint] == [suspect.fingerprint for suspect in again.suspects or ()]
    assert leaked not in world.keys.values()
    assert [] == world.violations


def test_s2_a_late_message_does_not_take_the_mark_of_the_next_emergency(world: World) -> None:
    """The first one's key has ended, and without its mark the second one would mean a good key."""
    world.given_up = set(world.keys.values())
    first = asyncio.run(identified(group(world), LEAK, world.tools()))
    passes(world, first)
    world.now += 5 * MINUTE
    leaked = world.keys["key2"]
    passes(world, NEXT_LEAK)
    before = dict(world.keys)
    late = passes(world, first)

    again = asyncio.run(identified(group(world), NEXT_LEAK, world.tools()))

    assert ([Action.RETAG], before) == ([step.action for step in late.steps], world.keys)
    assert [Sensitive(leaked).fingerprint] == [suspect.fingerprint for suspect in again.suspects or ()]


def test_a_late_message_does_not_tell_who_still_waits_to_be_done(world: World) -> None:
    """Its key has ended, and what it notes takes the place of what told of the leaked one."""
    world.given_up = set(world.keys.values())
    late = asyncio.run(identified(group(world), replace(LEAK, id="INC-6", compromised=Role.IDLE), world.tools()))
    leaked = world.keys["key1"]
    message = staged_emergency(world)
    for ref in (KEY, STRING):
        publish_in(world, ref, "key2", tagged=True)
    passes(world, late)

    passes(world, message)
    world.now += HOUR
    passes(world)

    assert leaked not in world.keys.values()
    assert {world.keys["key2"]} == world.published()


def test_another_emergency_means_the_key_that_is_published_then(world: World) -> None:
    """What the first one has noted is not its business."""
    world.given_up = {world.keys["key1"]}
    passes(world, replace(LEAK, grace=HOUR))

    other = asyncio.run(identified(group(world), replace(LEAK, id="INC-8"), world.tools()))

    assert (Suspect("key2", Sensitive(world.keys["key2"]).fingerprint, published=True),) == other.suspects


def test_a_leaked_key_that_somebody_publishes_again_ends_when_it_is_said_again(world: World) -> None:
    """With its own tag, and with our note that it is to end."""
    leaked, order = world.keys["key1"], replace(LEAK, grace=HOUR)
    world.given_up = {leaked}
    passes(world, order)
    publish_by_hand(world, "key1")
    tagged_by_hand(world, "key1")
    world.given_up = set(world.keys.values())

    passes(world, order)
    world.now += 2 * HOUR
    passes(world)

    assert leaked not in world.keys.values()
    assert [] == world.violations


def test_s2_an_emergency_that_is_said_again_means_the_key_that_it_has_noted(world: World) -> None:
    """It was published, and its successor, which has its role by now, is good."""
    leaked, order = world.keys["key1"], replace(LEAK, grace=HOUR)
    world.given_up = {leaked}
    asyncio.run(rotate(group(world), order, world.tools()))

    again = asyncio.run(identified(group(world), order, world.tools()))
    world.now += 2 * HOUR
    asyncio.run(rotate(group(world), Request(), world.tools()))
    after = asyncio.run(identified(group(world), order, world.tools()))

    assert (Suspect("key1", Sensitive(leaked).fingerprint, published=True),) == again.suspects
    assert leaked not in world.keys.values()
    assert () == after.suspects


@pytest.mark.parametrize("seconds", [30, 300])
@pytest.mark.parametrize("request_", [Request(), LEAK], ids=["due", "emergency"])
def test_an_account_that_answers_slowly_is_rotated(due: World, seconds: int, request_: Request) -> None:
    """A throttled service may take longer for a look than a listing stays fresh."""
    due.given_up = {due.keys["key1"]} if request_ is LEAK else set()
    slow: Any = Slow(due, seconds)
    tools, noted = listings_counted(due)

    outcome = asyncio.run(rotate(group(due), request_, replace(tools, providers=slow)))

    assert (None, [Action.ROTATE]) == (outcome.error, [step.action for step in outcome.steps])
    assert ["kv-a", "kv-b"] == noted


@pytest.mark.parametrize("mode", [ProbeMode.TRY, ProbeMode.OFF])
def test_s2_what_nobody_can_tell_is_not_told_later(world: World, mode: ProbeMode) -> None:
    """Once the secrets agree, or the key that drifted is published, the idle key is one that was never declared."""
    world.mode = mode
    if mode is ProbeMode.TRY:
        joins(world, "key2")
    else:
        world.given_up = {world.keys["key1"]}
        world.keys["key1"] = world.new_key()
    order, fleet = replace(LEAK, compromised=Role.IDLE), Fleet(world.tools())
    listed = group(world)
    meant = asyncio.run(fleet.identified([listed], order))
    passes(world, Request(Trigger.OPERATOR))
    keys = dict(world.keys)

    report = asyncio.run(fleet.rotate(asyncio.run(fleet.survey()), [listed], order, meant=meant))

    assert keys == world.keys
    assert [()] == [outcome.steps for outcome in report.outcomes]
    assert report.exit_code > 0
    told = [str(outcome.error) for outcome in report.outcomes if outcome.error]
    assert ["audit --repair`" in message for message in told] == [True] * (mode is ProbeMode.OFF)


def test_accounts_that_were_listed_long_ago_share_a_new_listing(due: World) -> None:
    """Each of hundreds would list all vaults for itself."""
    tools, noted = listings_counted(due)
    listed = group(due)
    fleet = Fleet(tools)
    due.now += FRESH
    asyncio.run(fleet.members(ACCOUNT, due.now))
    due.now += FRESH - SECOND

    outcome = asyncio.run(one_pass(listed, Request(), tools, fleet.members))
    assert (None, [Action.ROTATE]) == (outcome.error, [step.action for step in outcome.steps])
    assert ["kv-a", "kv-b"] == noted


def test_a_pass_lists_once_for_what_it_writes_itself(world: World) -> None:
    """A wrong tag is corrected, the leaked key replaced, and ended: nobody joins meanwhile, as the lease is ours."""
    mistag(world)
    world.given_up = {world.keys["key1"]}
    slow: Any = Slow(world, 1)
    tools, noted = listings_counted(world)

    outcome = asyncio.run(rotate(group(world), replace(LEAK, grace=timedelta(0)), replace(tools, providers=slow)))

    assert [Action.RETAG, Action.ROTATE, Action.RETIRE] == [step.action for step in outcome.steps]
    assert ["kv-a", "kv-b"] == noted


def test_who_a_new_listing_hides_is_not_forgotten(due: World) -> None:
    """It may lag behind; whoever is really gone is missed when it is read."""
    listed = group(due)
    due.now += FRESH

    async def half(_: AccountId, since: datetime) -> Group:
        return Group(ACCOUNT, listed.secrets[1:], since)

    outcome = asyncio.run(one_pass(listed, Request(), due.tools(), half))

    assert (None, [Action.ROTATE]) == (outcome.error, [step.action for step in outcome.steps])
    assert {secret.ref for secret in listed.secrets} == set(outcome.secrets)


def test_what_was_written_since_a_shared_listing_is_listed_once_more(world: World) -> None:
    """Half a minute is for those who join by themselves; with another pass whole accounts change their slot."""
    tools, noted = listings_counted(world)
    listed, leaked = group(world), world.keys["key1"]
    fleet = Fleet(tools)
    world.now += FRESH
    asyncio.run(fleet.members(ACCOUNT, world.now))
    world.given_up = {leaked}
    asyncio.run(rotate(group(world), LEAK, world.tools()))
    joined = joins(world, "key2")
    world.now += SECOND
    world.given_up |= set(world.keys.values())

    outcome = asyncio.run(one_pass(listed, Request(Trigger.OPERATOR, "F-1", force=True), tools, fleet.members))

    world.check_published()
    assert outcome.error is None
    assert ([], ["kv-a", "kv-b"] * 2) == (world.violations, noted)
    assert tags.read(world.tags_of(joined)).active == "key1"


def test_s1_a_vault_that_is_out_of_sight_by_then_forbids_to_end_a_key(world: World) -> None:
    """Who joined may publish it there."""
    emergency = Request(Trigger.OPERATOR, "INC-7", compromised=Role.ACTIVE, grace=timedelta(0))
    published = world.keys["key1"]

    async def half(*_: object) -> Group:
        raise Forbidden("cannot list the secrets of kv-away")

    outcome = asyncio.run(one_pass(group(world), emergency, world.tools(), half))

    assert ("forbidden", 3) == (outcome.error and outcome.error.code, outcome.exit_code)
    assert [Action.ROTATE] == [step.action for step in outcome.steps]
    assert published == world.keys["key1"]


def test_a_retired_idle_key_was_all_that_was_asked(world: World) -> None:
    """The key that has just become the idle one is not the one that was meant."""
    before = dict(world.keys)
    emergency = Request(Trigger.EMERGENCY, "INC-7", compromised=Role.IDLE)

    outcome = asyncio.run(rotate(group(world), emergency, world.tools()))

    assert [(Action.RETIRE, "key2")] == [(step.action, step.slot) for step in outcome.steps]
    assert before["key1"] == world.keys["key1"]
    assert before["key2"] != world.keys["key2"]


def test_a_listing_that_lags_does_not_have_a_suspect_regenerated_again(world: World) -> None:
    """The answer to the regeneration is believed, and not the listing that still shows the key that leaked."""
    world.lags = 2
    emergency = Request(Trigger.EMERGENCY, "INC-7", compromised=Role.IDLE)

    outcome = asyncio.run(rotate(group(world), emergency, world.tools()))

    assert [Action.RETIRE] == [step.action for step in outcome.steps]


@pytest.mark.parametrize("role", [Role.ACTIVE, Role.BOTH])
def test_a_leaked_key_that_works_on_is_not_told_as_ended(world: World, role: Role) -> None:
    """It was to end at once, and waits until its successor is listed: somebody has to look again."""
    leaked, world.lags = world.keys["key1"], 2
    world.given_up = {leaked}
    order = replace(LEAK, compromised=role, grace=timedelta(0))

    outcome = passes(world, order)
    still_there = leaked in world.keys.values()
    world.now += 6 * MINUTE
    repeated = passes(world, order)

    assert isinstance(outcome.error, NotYetTrue)
    assert (
        "stgorders: kv-a/key, kv-b/string: the service accepts the published key but does not list it yet; the next "
        "pass looks again; the leaked key works until then"
    ) == str(outcome.error)
    assert ([Action.ROTATE], True) == ([step.action for step in outcome.steps], still_there)
    assert ([Action.RETIRE], None) == ([step.action for step in repeated.steps], repeated.error)
    assert leaked not in world.keys.values()
    assert [] == world.violations


ONCE_MORE = 4
"""Which list of an emergency's pass is the one after the leaked key has ended."""


class Slow:
    """A service that takes its time to list keys."""

    def __init__(self, world: World, seconds: int) -> None:
        self._world, self._seconds = world, seconds

    def __getattr__(self, name: str) -> object:
        return getattr(self._world.tools().providers.for_type(""), name)

    async def list_keys(self, account: AccountId) -> Mapping[Slot, Sensitive]:
        """List them, later."""
        self._world.now += self._seconds * SECOND
        return await self._world.tools().providers.for_type("").list_keys(account)

    def for_type(self, _: str) -> "Slow":
        """Be the only kind of service."""
        return self


class Flapping:
    """A service that shows the keys of an hour ago once, after a leaked one has ended."""

    def __init__(self, world: World) -> None:
        self.world, self.lists = world, 0
        self.before = {slot: Sensitive(key) for slot, key in world.keys.items()}

    def __getattr__(self, name: str) -> object:
        return getattr(self.world.tools().providers.for_type(""), name)

    async def list_keys(self, account: AccountId) -> Mapping[Slot, Sensitive]:
        """List the keys, or those of before."""
        self.lists += 1
        return (
            self.before
            if self.lists == ONCE_MORE
            else await self.world.tools().providers.for_type("").list_keys(account)
        )

    def for_type(self, _: str) -> "Flapping":
        """Be the only kind of service."""
        return self


def test_a_leaked_key_that_has_ended_is_not_told_as_one_that_works(world: World) -> None:
    """Whatever is listed after that."""
    world.given_up = {world.keys["key1"]}
    tools: Tools = replace(world.tools(), providers=Flapping(world))  # type: ignore[arg-type]  # it stands in for one

    outcome = asyncio.run(rotate(group(world), replace(LEAK, grace=timedelta(0)), tools))

    assert [Action.ROTATE, Action.RETIRE] == [step.action for step in outcome.steps]
    assert (None, Reason.KEYS_BEHIND) == (outcome.error, outcome.verdict and outcome.verdict.reason)


def test_a_leaked_key_that_has_its_grace_is_told_as_replaced(world: World) -> None:
    """Its end is to come whatever is listed now."""
    world.lags = 2

    outcome = passes(world, replace(LEAK, grace=HOUR))

    assert (None, Reason.KEYS_BEHIND) == (outcome.error, outcome.verdict and outcome.verdict.reason)


@pytest.mark.parametrize("calls", range(1, 14))
def test_a_grace_that_was_noted_half_ends_all_the_same(due: World, calls: int) -> None:
    """Another pass replaced the leaked key, for a week by its own account; the note of the leak is broken off."""
    for versions in due.secrets.values():
        policy = ";".join(filter(None, (versions[-1].tags.get("rotation-policy"), "retire-after=P7D")))
        versions[-1] = replace(versions[-1], tags={**versions[-1].tags, "rotation-policy": policy})
    leaked = due.keys["key1"]
    due.given_up.add(leaked)
    emergency = Request(Trigger.OPERATOR, "INC-7", compromised=Role.ACTIVE)
    handed_over = asyncio.run(identified(group(due), emergency, due.tools()))
    asyncio.run(rotate(group(due), Request(), due.tools()))

    due.fuse, due.deadly = calls, False
    for _ in range(2):
        asyncio.run(rotate(group(due), handed_over, due.tools()))
    due.now += 14 * MINUTE
    asyncio.run(rotate(group(due), Request(), due.tools()))
    meanwhile = set(due.keys.values())
    due.now += 2 * MINUTE
    asyncio.run(rotate(group(due), Request(), due.tools()))

    assert leaked in meanwhile
    assert leaked not in due.keys.values()
    assert [] == due.violations


@pytest.mark.parametrize(
    ("grace", "reason"), [(15 * MINUTE, Reason.RETIRING), (timedelta(0), Reason.OVERLAP)], ids=["ends", "has ended"]
)
def test_an_emergency_that_another_one_has_carried_out_is_recorded(
    world: World, grace: timedelta, reason: Reason
) -> None:
    """Two people mean the same key; the second, whose clock is behind as well, says it again and means no other key."""
    world.skew = -5 * MINUTE
    world.given_up = set(world.keys.values())
    first = Request(Trigger.OPERATOR, "INC-7", compromised=Role.ACTIVE, grace=grace)
    second = asyncio.run(identified(group(world), replace(first, id="INC-8"), world.tools()))
    asyncio.run(rotate(group(world), first, world.tools()))
    keys = dict(world.keys)
    ends = [tags.read(versions[-1].tags).state.retire_at for versions in world.secrets.values()]

    outcome = asyncio.run(rotate(group(world), second, world.tools()))
    again = asyncio.run(rotate(group(world), replace(first, id="INC-8"), world.tools()))

    assert ([(Action.RETAG, Reason.COMPROMISED)], reason) == (
        [(step.action, step.reason) for step in outcome.steps],
        outcome.verdict and outcome.verdict.reason,
    )
    assert Reason.ALREADY_DONE is (again.verdict and again.verdict.reason)
    assert keys == world.keys
    assert ends == [tags.read(versions[-1].tags).state.retire_at for versions in world.secrets.values()]
    assert [] == world.violations


def test_an_order_to_end_the_idle_key_does_not_end_the_key_that_a_pass_was_making(world: World) -> None:
    """S2: it was declared when the pass had made that key and had not published it."""
    latest = max(versions[-1].created for versions in world.secrets.values())
    world.given_up = set(world.keys.values())
    asyncio.run(rotate(group(world), Request(Trigger.OPERATOR, "F-1", force=True), world.tools()))
    keys = dict(world.keys)
    made = Suspect("key2", Sensitive(keys["key2"]).fingerprint, published=False)
    order = Request(Trigger.OPERATOR, "INC-7", compromised=Role.IDLE, suspects=(made,), as_of=latest)

    outcome = asyncio.run(rotate(group(world), order, world.tools()))

    assert ([Action.RETAG], Reason.OVERLAP) == (
        [step.action for step in outcome.steps],
        outcome.verdict and outcome.verdict.reason,
    )
    assert keys == world.keys


@pytest.mark.parametrize("noted", [False, True], ids=["by a sweep", "by the pass of another emergency"])
def test_an_idle_key_that_leaked_ends_although_a_repair_has_published_it(world: World, noted: bool) -> None:  # noqa: FBT001  # a table
    """S1: while the order waits its slot is tagged, the published key is ended by somebody, and a pass comes by."""
    other = Request(Trigger.OPERATOR, "INC-6", compromised=Role.ACTIVE) if noted else Request(Trigger.SCHEDULE, "timer")
    other = asyncio.run(identified(group(world), other, world.tools()))
    order = Request(Trigger.OPERATOR, "INC-7", compromised=Role.IDLE)
    handed_over = asyncio.run(identified(group(world), order, world.tools()))
    leaked = world.keys["key2"]
    mistag(world)
    world.lost.add(world.keys["key1"])
    world.keys["key1"] = world.new_key()
    repaired = asyncio.run(rotate(group(world), other, world.tools()))

    asyncio.run(rotate(group(world), handed_over, world.tools()))

    assert Action.REPUBLISH is repaired.steps[0].action
    assert leaked not in world.keys.values()


def test_an_idle_key_that_leaked_ends_although_a_version_with_it_was_restored(due: World) -> None:
    """S1: while the order waits somebody brings one secret back as it was before, with its tags."""
    old = due.secrets[min(due.secrets)]
    asyncio.run(rotate(group(due), Request(Trigger.SCHEDULE, "first"), due.tools()))
    before = old[-1]
    due.now += 41 * DAY
    asyncio.run(rotate(group(due), Request(Trigger.SCHEDULE, "second"), due.tools()))
    due.now += 3 * DAY
    order = Request(Trigger.OPERATOR, "INC-7", compromised=Role.IDLE)
    handed_over = asyncio.run(identified(group(due), order, due.tools()))
    leaked = due.keys["key2"]
    due.now += MINUTE
    due.write(before.ref, before.value or Sensitive(""), before.tags, due.now + DAY)

    asyncio.run(rotate(group(due), handed_over, due.tools()))

    assert before.value == Sensitive(leaked)
    assert leaked not in due.keys.values()


def test_a_wrong_tag_does_not_refuse_an_order_to_end_the_idle_key(world: World) -> None:
    """One of two secrets says the other slot: which key is idle is told by their values."""
    ref, *_ = world.secrets
    world.secrets[ref][-1] = replace(
        world.secrets[ref][-1], tags={**world.secrets[ref][-1].tags, "active-slot": "key2"}
    )
    leaked = world.keys["key2"]
    order = Request(Trigger.OPERATOR, "INC-7", compromised=Role.IDLE)

    outcome = asyncio.run(rotate(group(world), order, world.tools()))

    assert [Action.RETAG, Action.RETIRE] == [step.action for step in outcome.steps]
    assert leaked not in world.keys.values()


def test_a_grace_that_was_cut_short_in_one_secret_only_is_cut_short_by_saying_it_again(world: World) -> None:
    """The note in the other secret was broken off; until it is there, too, the leaked key lives on for days."""
    world.given_up = set(world.keys.values())
    leaked = world.keys["key1"]
    first = Request(Trigger.OPERATOR, "INC-7", compromised=Role.ACTIVE, grace=2 * DAY)
    second = replace(first, id="INC-8", grace=HOUR)
    handed_over = asyncio.run(identified(group(world), second, world.tools()))
    asyncio.run(rotate(group(world), first, world.tools()))

    world.unwritable = {max(world.secrets)}
    broken = asyncio.run(rotate(group(world), handed_over, world.tools()))
    world.unwritable = set()
    again = [asyncio.run(rotate(group(world), second, world.tools())) for _ in range(2)]
    world.now += 2 * HOUR
    asyncio.run(rotate(group(world), Request(), world.tools()))

    assert broken.error
    assert [[(Action.RETAG, (max(world.secrets),))], []] == [
        [(step.action, step.secrets) for step in outcome.steps] for outcome in again
    ]
    assert leaked not in world.keys.values()


def test_a_pass_does_not_acquit_the_key_that_it_has_published_itself(world: World) -> None:
    """S1: its slot is tagged and the published key has ended, so that a repair gives the leaked one out."""
    order = Request(Trigger.OPERATOR, "INC-7", compromised=Role.IDLE)
    handed_over = asyncio.run(identified(group(world), order, world.tools()))
    leaked = world.keys["key2"]
    mistag(world)
    world.lost.add(world.keys["key1"])
    world.keys["key1"] = world.new_key()

    outcome = asyncio.run(rotate(group(world), handed_over, world.tools()))

    assert [Action.REPUBLISH, Action.ROTATE, Action.RETIRE] == [step.action for step in outcome.steps]
    assert leaked not in world.keys.values()


def test_who_could_not_look_says_nothing_of_the_leaked_key(world: World) -> None:
    """A listing tells no keys, so that none of them can be known to have ended."""
    emergency = Request(Trigger.OPERATOR, "INC-7", compromised=Role.ACTIVE)
    handed_over = asyncio.run(identified(group(world), emergency, world.tools()))

    outcome = asyncio.run(rotate(group(world), handed_over, replace(world.tools(), leases=Doorkeeper(busy=True))))

    assert "busy" == (outcome.error and outcome.error.code)
    assert Reason.COMPROMISED is not (outcome.verdict and outcome.verdict.reason)


def test_the_end_of_a_leaked_key_is_told_by_the_clock_that_it_ends_by(world: World) -> None:
    """The worker's clock is behind the vault's, from whose date on the grace counts."""
    world.skew = -8 * MINUTE
    world.given_up = set(world.keys.values())
    emergency = Request(Trigger.OPERATOR, "INC-7", compromised=Role.ACTIVE, grace=MINUTE)

    outcome = asyncio.run(rotate(group(world), emergency, world.tools()))

    (step,) = outcome.steps
    assert outcome.verdict
    assert Reason.RETIRING is outcome.verdict.reason
    assert outcome.verdict.until == step.retire_at == step.previous_until
    assert step.retire_at
    assert step.retire_at >= world.now + world.skew + 9 * MINUTE - SECOND


def test_what_was_not_written_is_not_told_as_done(world: World) -> None:
    """Of a split that cannot be mended nothing is told, and of a new key that nobody got only that it was made."""
    mistag(world)
    world.unwritable = set(world.secrets)

    untouched = asyncio.run(rotate(group(world), Request(), world.tools()))
    world.unwritable = set()
    asyncio.run(rotate(group(world), Request(), world.tools()))
    world.unwritable = set(world.secrets)
    made = asyncio.run(rotate(group(world), replace(OPERATOR, force=True), world.tools()))

    assert isinstance(untouched.error, Unavailable)
    assert () == untouched.steps
    assert isinstance(made.error, Unavailable)
    assert [(Action.ROTATE, (), None, None)] == [
        (step.action, step.secrets, step.previous_until, step.retire_at) for step in made.steps
    ]


@pytest.mark.parametrize("asked", [timedelta(0), 5 * MINUTE], ids=["none", "a shorter one"])
def test_of_two_emergencies_about_one_key_the_shorter_grace_holds(world: World, asked: timedelta) -> None:
    """The second one met the pass of the first, whose grace is three days by a slip."""
    leaked = world.keys["key1"]
    world.given_up = set(world.keys.values())
    first = Request(Trigger.OPERATOR, "INC-7", compromised=Role.ACTIVE, grace=3 * DAY)
    second = asyncio.run(identified(group(world), replace(first, id="INC-8", grace=asked), world.tools()))
    asyncio.run(rotate(group(world), first, world.tools()))

    outcome = asyncio.run(rotate(group(world), second, world.tools()))
    (told,) = outcome.steps
    world.now += asked + SECOND
    asyncio.run(rotate(group(world), Request(), world.tools()))

    assert leaked not in world.keys.values()
    assert (Action.RETAG if asked else Action.RETIRE, Reason.COMPROMISED) == (told.action, told.reason)


def test_a_staged_key_is_published_with_the_shorter_grace_of_two_emergencies(world: World) -> None:
    """The first one made it and is to end the leaked key at once, the second one comes to publish it."""
    leaked = world.keys["key1"]
    world.mode, world.slow, world.given_up = ProbeMode.REQUIRED, 7 * MINUTE, set(world.keys.values())
    first = Request(Trigger.OPERATOR, "INC-7", compromised=Role.ACTIVE, grace=timedelta(0))
    staged = asyncio.run(rotate(group(world), first, world.tools()))
    world.now += 8 * MINUTE
    second = Request(Trigger.OPERATOR, "INC-8", compromised=Role.ACTIVE, grace=3 * DAY)
    asyncio.run(rotate(group(world), second, world.tools()))
    world.now += MINUTE
    asyncio.run(rotate(group(world), Request(), world.tools()))

    assert "staged" == (staged.error and staged.error.code)
    assert leaked not in world.keys.values()


def test_the_grace_of_a_key_that_another_pass_replaced_counts_the_clocks_once(due: World) -> None:
    """An ordinary rotation, by a worker whose clock is behind, came before the emergency; readers learnt by it."""
    due.given_up = set(due.keys.values())
    leaked = due.keys["key1"]
    emergency = Request(Trigger.OPERATOR, "INC-7", compromised=Role.ACTIVE)
    handed_over = asyncio.run(identified(group(due), emergency, due.tools()))
    due.skew = -10 * MINUTE
    asyncio.run(rotate(group(due), Request(), due.tools()))
    ends = due.now + 15 * MINUTE
    due.skew = timedelta(0)
    due.now += MINUTE

    outcome = asyncio.run(rotate(group(due), handed_over, due.tools()))

    assert [ends - SECOND < at <= ends for at in (outcome.steps[-1].retire_at,) if at] == [True]
    assert outcome.verdict
    assert outcome.verdict.until == outcome.steps[-1].retire_at
    due.now = ends + SECOND
    asyncio.run(rotate(group(due), Request(), due.tools()))
    assert leaked not in due.keys.values()


def test_a_split_is_not_aligned_on_a_key_that_is_declared_compromised(due: World) -> None:
    """A rotation reached one of two secrets, and the other one, which has the leaked key, was saved again since."""
    emergency = Request(Trigger.OPERATOR, "INC-7", compromised=Role.ACTIVE)
    handed_over = asyncio.run(identified(group(due), emergency, due.tools()))
    behind, _ = due.secrets
    due.unwritable = {behind}
    asyncio.run(rotate(group(due), Request(), due.tools()))
    due.unwritable = set()
    made = due.keys["key2"]
    due.now += SECOND
    saved = due.secrets[behind][-1]
    due.write(behind, saved.value or Sensitive(""), saved.tags, saved.expires)
    due.now += SECOND

    outcome = asyncio.run(rotate(group(due), handed_over, due.tools()))

    assert Action.ALIGN is outcome.steps[0].action
    assert {made} == due.published()
    assert [] == due.violations


@pytest.mark.parametrize(
    "request_",
    [
        Request(),
        Request(Trigger.OPERATOR, "INC-7", compromised=Role.ACTIVE),
        Request(Trigger.OPERATOR, "INC-7", compromised=Role.ACTIVE, grace=timedelta(0)),
    ],
    ids=["ordinary", "emergency", "emergency, at once"],
)
@pytest.mark.parametrize("lags", [0, 9], ids=["listed", "not listed yet"])
def test_s1_a_staged_key_that_nobody_tries_is_published_once_it_is_listed(
    due: World, request_: Request, lags: int
) -> None:
    """The vault refused it a moment ago, so that it waits; the service may still list the key before it."""
    due.mode, due.lags = ProbeMode.OFF, lags
    due.given_up = set(due.keys.values())
    published = due.published()
    vaults = {name: NotesOnly(due, name) for name in ("kv-a", "kv-b")}
    asyncio.run(rotate(group(due), request_, replace(due.tools(), vaults=vaults)))
    due.now += MINUTE

    waiting = asyncio.run(rotate(group(due), Request(), due.tools()))

    due.check_published()
    assert ("staged" if lags else None) == (waiting.error and waiting.error.code)
    assert (published if lags else {due.keys["key2"]}) == due.published()
    due.now += 20 * MINUTE
    asyncio.run(rotate(group(due), Request(), due.tools()))
    assert {due.keys["key2"]} == due.published()
    assert [] == due.violations


def test_s1_a_staged_key_that_somebody_replaced_is_published_in_the_end_although_nobody_tries_it(due: World) -> None:
    """What is listed once lists have settled is the key that there is."""
    due.mode = ProbeMode.OFF
    vaults = {name: NotesOnly(due, name) for name in ("kv-a", "kv-b")}
    asyncio.run(rotate(group(due), Request(), replace(due.tools(), vaults=vaults)))
    due.keys["key2"] = due.new_key()
    due.now += MINUTE
    waiting = asyncio.run(rotate(group(due), Request(), due.tools()))
    due.now += 20 * MINUTE
    asyncio.run(rotate(group(due), Request(), due.tools()))

    assert "staged" == (waiting.error and waiting.error.code)
    assert {due.keys["key2"]} == due.published()
    assert [None, None] == [tags.read(versions[-1].tags).state.made_key for versions in due.secrets.values()]


def test_s1_a_staged_key_waits_although_a_note_in_another_secret_is_of_long_ago(world: World) -> None:
    """That secret was away when its slot was regenerated again, and what is listed is still the key that it notes."""
    world.mode = ProbeMode.OFF
    vaults = {name: NotesOnly(world, name) for name in ("kv-a", "kv-b")}
    tools: Tools = replace(world.tools(), vaults=vaults)
    world.unwritable = {KEY}
    asyncio.run(rotate(group(world), FORCE, tools))
    world.unwritable = set()
    away = world.secrets.pop(STRING)
    world.now += HOUR
    world.lags = 9
    asyncio.run(rotate(group(world), replace(FORCE, id="F-2"), tools))
    world.secrets[STRING] = away
    notes = [tags.read(world.tags_of(ref)).state.staged_at for ref in (STRING, KEY)]
    world.now += MINUTE

    waiting = asyncio.run(rotate(group(world), Request(), world.tools()))

    world.check_published()
    assert [world.now - HOUR - MINUTE, world.now - MINUTE] == notes
    assert "staged" == (waiting.error and waiting.error.code)
    assert [] == world.violations


def test_a_secret_that_was_away_does_not_end_another_key_than_the_one_that_leaked(world: World) -> None:
    """S2: it is recovered with a dead key, and with the note of a leaked key that ended two rotations ago."""
    asyncio.run(rotate(group(world), Request(Trigger.OPERATOR, "INC-7", compromised=Role.ACTIVE), world.tools()))
    ref, *_ = world.secrets
    away = world.secrets.pop(ref)
    for passed in (16 * MINUTE, 41 * DAY, 41 * DAY):
        world.now += passed
        asyncio.run(rotate(group(world), Request(), world.tools()))
    keys = dict(world.keys)
    world.secrets[ref] = away

    outcome = asyncio.run(rotate(group(world), Request(), world.tools()))

    assert [Action.REPUBLISH] == [step.action for step in outcome.steps]
    assert {keys["key2"]} == world.published()
    assert keys == world.keys


def test_a_retired_key_that_was_given_out_by_hand_is_promised_again(world: World) -> None:
    """S2: what was noted of its end ends with the first correction, and does not come back with the second."""
    asyncio.run(rotate(group(world), Request(Trigger.OPERATOR, "INC-7", compromised=Role.IDLE), world.tools()))
    keys = dict(world.keys)
    for slot in ("key2", "key1"):
        publish_by_hand(world, slot)
        outcome = asyncio.run(rotate(group(world), Request(), world.tools()))
        assert ([Action.RETAG], Reason.OVERLAP) == (
            [step.action for step in outcome.steps],
            outcome.verdict and outcome.verdict.reason,
        )
        world.now += DAY

    assert keys == world.keys


def test_a_pass_does_no_more_than_it_may(due: World) -> None:
    """Where only repairs are wanted, a rotation that is due is left to somebody else."""
    outcome = asyncio.run(rotate(group(due), Request(), due.tools(), only=REPAIRS))

    assert ((), Action.ROTATE) == (outcome.steps, outcome.verdict and outcome.verdict.action)
    assert {due.keys["key1"]} == due.published()


def test_a_plan_says_what_would_be_done_and_does_nothing(due: World) -> None:
    """It looks for itself, and holds no lease for that."""
    keys, doorkeeper = dict(due.keys), Doorkeeper(busy=True)

    outcome = asyncio.run(plan(group(due), OPERATOR, replace(due.tools(), leases=doorkeeper)))

    assert (None, (), Action.ROTATE) == (outcome.error, outcome.steps, outcome.verdict and outcome.verdict.action)
    assert ("INC-7", "operator") == (outcome.request_id, outcome.trigger)
    assert keys == due.keys


def test_a_plan_says_which_promise_it_would_break(due: World) -> None:
    """S2: only what regenerates a key breaks one, and only before the overlap has passed."""
    forced = Request(Trigger.OPERATOR, "INC-8", force=True)
    kept = asyncio.run(plan(group(due), forced, due.tools()))
    asyncio.run(rotate(group(due), OPERATOR, due.tools()))
    left, broken = (asyncio.run(plan(group(due), request, due.tools())) for request in (OPERATOR, forced))

    published = max(versions[-1].created for versions in due.secrets.values())
    assert (None, None) == (kept.broken_promise, left.broken_promise)
    assert published + due.limits.overlap + SKEW == broken.broken_promise
    due.now = published + due.limits.overlap + SKEW
    assert None is asyncio.run(plan(group(due), forced, due.tools())).broken_promise


@pytest.mark.parametrize("after", [10 * MINUTE, HOUR])
def test_a_promise_that_an_emergency_has_cut_is_broken_only_as_far_as_it_goes(world: World, after: timedelta) -> None:
    """The leaked key was to work for its grace; that the overlap is cut to that was told before."""
    world.given_up = {world.keys["key1"]}
    passes(world, replace(LEAK, grace=HOUR))
    published = world.now
    world.now += after

    outcome = passes(world, Request(Trigger.OPERATOR, "INC-8", compromised=Role.IDLE))

    ends = {10 * MINUTE: published + HOUR, HOUR: published + world.limits.overlap + SKEW}
    assert [(Action.RETIRE, ends[after])] == [(step.action, step.broken_promise) for step in outcome.steps]


def test_a_plan_sees_more_than_the_listing(world: World) -> None:
    """Drift shows only in a value, which no listing has."""
    world.keys["key1"] = world.new_key()

    outcome = asyncio.run(plan(group(world), Request(), world.tools()))

    assert Action.REPUBLISH == (outcome.verdict and outcome.verdict.action)


@pytest.mark.parametrize("look", [plan, rotate])
def test_a_vault_that_was_not_seen_is_kept_in_mind(
    due: World, look: Callable[..., Coroutine[Any, Any, Outcome]]
) -> None:
    """S1: it may publish the key that would be regenerated."""
    outcome = asyncio.run(look(group(due), Request(), due.tools(), ("kv-away",)))

    assert (None, (), Reason.VAULT_UNSEEN) == (
        outcome.error,
        outcome.steps,
        outcome.verdict and outcome.verdict.reason,
    )


def test_a_role_becomes_slots_and_nothing_is_done(world: World) -> None:
    """Which key leaked is settled when it is said, whatever other passes do before the request's turn comes."""
    keys = dict(world.keys)
    emergency = Request(Trigger.EMERGENCY, "INC-7", compromised=Role.ACTIVE)

    settled = asyncio.run(identified(group(world), emergency, world.tools()))

    suspect = Suspect("key1", Sensitive(keys["key1"]).fingerprint, published=True)
    as_of = max(versions[-1].created for versions in world.secrets.values())
    assert replace(emergency, suspects=(suspect,), as_of=as_of) == settled
    assert keys == world.keys


def test_a_pass_holds_its_account_and_no_other(due: World) -> None:
    """S5: two passes on one account would regenerate twice."""
    doorkeeper = Doorkeeper()

    asyncio.run(rotate(group(due), Request(), replace(due.tools(), leases=doorkeeper)))

    assert [ACCOUNT] == doorkeeper.held


def test_a_pass_that_is_not_let_in_does_nothing(due: World) -> None:
    """What went wrong is a part of the outcome."""
    outcome = asyncio.run(rotate(group(due), Request(), replace(due.tools(), leases=Doorkeeper(busy=True))))

    assert isinstance(outcome.error, Busy)
    assert ((), {due.keys["key1"]}) == (outcome.steps, due.published())


def test_a_pass_that_lost_its_lease_writes_nothing(due: World) -> None:
    """The lease that the pass was given is the one that is asked before each write."""
    keys = dict(due.keys)

    outcome = asyncio.run(rotate(group(due), Request(), replace(due.tools(), leases=Doorkeeper(lost=True))))

    assert isinstance(outcome.error, LeaseLost)
    assert ((), keys) == (outcome.steps, due.keys)


def test_a_secret_that_is_disabled_since_the_listing_sets_its_account_aside(due: World) -> None:
    """As if the listing had shown it: it cannot follow, so nothing moves."""
    listed, keys = group(due), dict(due.keys)
    due.secrets[KEY][-1] = replace(due.secrets[KEY][-1], enabled=False)

    outcome = asyncio.run(rotate(listed, Request(), due.tools()))

    assert (None, Reason.DISABLED) == (outcome.error, outcome.verdict and outcome.verdict.reason)
    assert keys == due.keys


def test_what_the_listing_forbids_contacts_nobody(due: World) -> None:
    """Tags can name any account; one that is not allowed hears nothing of us, and nobody is kept out meanwhile."""
    tools = due.tools()
    elsewhere = replace(tools.limits, accounts=("/subscriptions/11111111-1111-1111-1111-111111111111",))
    due.fuse = 1

    outcome = asyncio.run(rotate(group(due), Request(), replace(tools, limits=elsewhere, leases=Doorkeeper(busy=True))))

    assert (None, Reason.NOT_ALLOWED) == (outcome.error, outcome.verdict and outcome.verdict.reason)
    assert 1 == due.fuse


@pytest.mark.parametrize(("calls", "taken"), [(1, 0), (5, 0), (7, 1)])
def test_a_failure_is_told_with_what_was_done_before_it(due: World, calls: int, taken: int) -> None:
    """The step that failed half way is told when it changed something, and no other."""
    due.fuse, due.deadly = calls, False

    outcome = asyncio.run(rotate(group(due), Request(), due.tools()))

    assert isinstance(outcome.error, Unavailable)
    assert [Action.ROTATE] * taken == [step.action for step in outcome.steps]


class Late:
    """A vault that shows late what is written to it, and in which a write may fail."""

    def __init__(self, world: World, name: str, lag: timedelta, failure: BaseException | None = None) -> None:
        self.world, self.vault = world, world.tools().vaults[name]
        self.lag, self.failure = lag, failure
        self.shown = world.now
        self.before: dict[str, Secret] = {}

    def __getattr__(self, name: str) -> object:
        return getattr(self.vault, name)

    async def read(self, name: str) -> Secret:
        """Read what was there so long ago."""
        current = await self.vault.read(name)
        return current if self.world.now >= self.shown else self.before[name]

    async def publish(self, name: str, draft: Draft, lease: Lease) -> Secret:
        """Write, or fail."""
        if self.failure:
            raise self.failure
        self.before[name] = await self.vault.read(name)
        self.shown = self.world.now + self.lag
        return await self.vault.publish(name, draft, lease)


def with_late_vaults(world: World, lag: timedelta, failure: BaseException) -> tuple[Tools, Doorkeeper, Late]:
    """The first vault lags, and the second one fails."""
    late, doorkeeper = Late(world, "kv-a", lag), Doorkeeper()
    vaults: Any = {"kv-a": late, "kv-b": Late(world, "kv-b", lag, failure)}
    return replace(world.tools(), vaults=vaults, leases=doorkeeper), doorkeeper, late


def test_a_pass_that_ends_well_lets_the_next_one_begin(due: World) -> None:
    """It has seen what it wrote."""
    doorkeeper = Doorkeeper()

    outcome = asyncio.run(rotate(group(due), Request(), replace(due.tools(), leases=doorkeeper)))

    assert [Action.ROTATE] == [step.action for step in outcome.steps]
    assert not doorkeeper.abandoned


def test_s1_a_pass_that_fails_keeps_others_out_until_the_vault_shows_what_it_wrote(due: World) -> None:
    """The next one would find its own rotation missing, and do it again on the slot that is published."""
    tools, doorkeeper, late = with_late_vaults(due, 5 * SECOND, Forbidden("not here"))

    outcome = asyncio.run(rotate(group(due), Request(), tools))

    assert isinstance(outcome.error, Forbidden)
    assert late.before
    assert late.shown <= due.now
    assert not doorkeeper.abandoned


def test_s1_a_vault_that_lags_longer_keeps_others_out_until_the_lease_ends(due: World) -> None:
    """Half a minute is waited; the lease then lasts for as long again at least."""
    tools, doorkeeper, _ = with_late_vaults(due, 10 * MINUTE, Forbidden("not here"))

    outcome = asyncio.run(rotate(group(due), Request(), tools))

    assert isinstance(outcome.error, Forbidden)
    assert doorkeeper.abandoned


def test_a_pass_that_fails_before_it_wrote_keeps_nobody_out(due: World) -> None:
    """There is nothing to wait for."""
    tools, doorkeeper, _ = with_late_vaults(due, 10 * MINUTE, Forbidden("not here"))
    due.fuse, due.deadly = 2, False

    outcome = asyncio.run(rotate(group(due), Request(), tools))

    assert isinstance(outcome.error, Unavailable)
    assert not doorkeeper.abandoned


def test_s1_a_pass_that_is_cancelled_while_it_acts_keeps_others_out(due: World) -> None:
    """What it has sent may take effect or not, and nobody is left to look."""
    tools, doorkeeper, _ = with_late_vaults(due, 5 * SECOND, asyncio.CancelledError())

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(rotate(group(due), Request(), tools))

    assert doorkeeper.abandoned


def test_s1_a_pass_that_is_cancelled_while_it_waits_for_a_vault_keeps_others_out(due: World) -> None:
    """It had failed, and the vault did not show yet what it had written."""
    tools, doorkeeper, late = with_late_vaults(due, 5 * SECOND, Forbidden("not here"))

    class Stopping:
        now = staticmethod(tools.clock.now)

        async def sleep(self, seconds: float) -> None:
            await tools.clock.sleep(seconds)
            if late.before:
                raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(rotate(group(due), Request(), replace(tools, clock=Stopping())))

    assert doorkeeper.abandoned


def test_a_pass_that_is_cancelled_while_it_looks_keeps_nobody_out(world: World) -> None:
    """It has sent nothing."""
    doorkeeper = Doorkeeper()
    world.fuse = 1

    with pytest.raises(Died):
        asyncio.run(rotate(group(world), Request(), replace(world.tools(), leases=doorkeeper)))

    assert not doorkeeper.abandoned


SLOW, FAST = -6 * MINUTE, 6 * MINUTE
"""Clocks of two workers, against the vaults'."""


def test_s2_a_forced_key_is_not_taken_for_the_leaked_one_where_clocks_are_apart(world: World) -> None:
    """It reached one secret, written by a clock that is behind; the other still notes the end of what was there."""
    world.given_up.add(world.keys["key1"])
    passes(world, LEAK, skew=FAST)
    world.now += 5 * MINUTE
    world.unwritable.add(STRING)
    passes(world, FORCE, skew=SLOW)
    world.unwritable.clear()
    world.now += MINUTE
    forced = world.keys["key1"]
    passes(world)
    world.now += 20 * MINUTE
    passes(world)

    assert {forced} == world.published()
    assert [] == world.violations


def test_an_emergency_whose_key_waits_is_not_done_where_clocks_are_apart(due: World) -> None:
    """Its note reached one secret, and the other seems to have been written later."""
    due.mode, due.given_up = ProbeMode.REQUIRED, set(due.keys.values())
    passes(due, skew=FAST)
    due.now += 5 * MINUTE
    leaked = due.keys["key2"]
    due.slow = 7 * MINUTE
    suspect = Suspect("key2", Sensitive(leaked).fingerprint, published=True)
    emergency = replace(LEAK, suspects=(suspect,))
    due.unwritable.add(STRING)
    passes(due, emergency, skew=SLOW)
    due.unwritable.clear()
    for _ in range(6):
        due.now += 8 * MINUTE
        passes(due, emergency, skew=SLOW)

    assert leaked not in due.keys.values()


def test_a_staged_key_that_somebody_published_may_leak_like_any_other(world: World) -> None:
    """One secret has it; the other still notes that it waits."""
    world.mode, world.slow = ProbeMode.REQUIRED, 7 * MINUTE
    passes(world, FORCE)
    world.by_hand.add(world.keys["key2"])
    world.write(KEY, Sensitive(world.keys["key2"]), world.tags_of(KEY), None)
    world.now += 8 * MINUTE
    leaked = world.published()
    world.given_up |= leaked
    passes(world, LEAK)
    for _ in range(3):
        world.now += 10 * MINUTE
        passes(world)

    assert set(world.keys.values()) & leaked == set()


def test_an_emergency_is_noted_instead_of_a_key_that_a_person_has_published(world: World) -> None:
    """It waited, and whoever gave it out with its slot has left the note of that; the leaked key is idle since."""
    world.mode, world.slow = ProbeMode.REQUIRED, 7 * MINUTE
    handed_over = asyncio.run(identified(group(world), LEAK, world.tools()))
    passes(world, FORCE)
    publish_by_hand(world, "key2")
    mistag(world)
    world.now += 8 * MINUTE
    before = [tags.read(world.tags_of(ref)).state for ref in (KEY, STRING)]

    outcome = passes(world, handed_over)

    after = [tags.read(world.tags_of(ref)).state for ref in (KEY, STRING)]
    assert ["key2"] * 2 == [state.staged_slot for state in before]
    assert [(Action.RETAG, Reason.COMPROMISED)] == [(step.action, step.reason) for step in outcome.steps]
    assert ["INC-7:active"] * 2 == [state.id for state in after]
    assert [state.unstaged() for state in after] == after


@pytest.mark.parametrize("between", [timedelta(0), DAY], ids=["after a rotation", "long after it"])
def test_an_idle_key_that_somebody_publishes_is_ended_all_the_same(world: World, between: timedelta) -> None:
    """It was idle when it was declared compromised, and who put it back leaves our notes as they are."""
    leaked = world.keys["key1"]
    passes(world, FORCE)
    world.now += between + MINUTE
    idle = Request(Trigger.OPERATOR, "INC-7", compromised=Role.IDLE, grace=MINUTE)
    waiting = asyncio.run(identified(group(world), idle, world.tools()))
    publish_by_hand(world, "key1")
    world.now += MINUTE
    passes(world, waiting)
    world.now += 12 * MINUTE
    passes(world)

    assert leaked not in world.keys.values()


def test_s2_a_correction_does_not_call_the_key_that_was_replaced_one_that_nobody_was_given(world: World) -> None:
    """During a grace somebody makes the leaked key's successor in its slot, and publishes that."""
    passes(world, LEAK)
    replaced = world.keys["key2"]
    world.now += MINUTE
    world.keys["key1"] = world.new_key()
    publish_by_hand(world, "key1")
    world.now += MINUTE
    passes(world)
    for versions in world.secrets.values():
        versions[-1] = replace(versions[-1], expires=world.now)
    world.now += MINUTE
    passes(world)

    assert replaced in world.keys.values()


def test_an_emergency_is_not_over_with_the_first_of_two_keys(world: World) -> None:
    """Both were published when they were declared; one was to be retired already, and is first."""
    passes(world, replace(LEAK, grace=HOUR))
    leaked = dict(world.keys)
    both = [Suspect(slot, Sensitive(key).fingerprint, published=True) for slot, key in leaked.items()]
    world.now += 2 * HOUR
    passes(world, Request(Trigger.OPERATOR, "INC-8", compromised=Role.BOTH, suspects=tuple(both)))
    world.now += HOUR
    passes(world)

    assert not set(leaked.values()) & set(world.keys.values())


def test_a_key_that_waits_has_taken_the_place_of_one_that_was_to_be_retired(world: World) -> None:
    """The note of that one's end is gone with it: both would not find room in a tag."""
    passes(world, LEAK)
    world.mode, world.slow = ProbeMode.REQUIRED, 7 * MINUTE
    staged = passes(world, FORCE)
    states = [tags.read(world.tags_of(ref)).state for ref in (KEY, STRING)]

    assert "staged" == (staged.error and staged.error.code)
    assert ["key1"] * 2 == [state.staged_slot for state in states]
    assert [state.unretired() for state in states] == states


def test_s2_who_is_aligned_is_not_told_that_its_key_was_never_given_out(world: World) -> None:
    """A leaked key was retired; somebody publishes its successor in a secret, and another one is saved after that."""
    world.given_up.add(world.keys["key1"])
    passes(world, replace(LEAK, grace=timedelta(0)))
    world.now += MINUTE
    successor = world.keys["key1"]
    world.put(SecretRef("kv-b", "joined"), successor)
    world.now += MINUTE
    world.write(KEY, Sensitive(world.keys["key2"]), world.tags_of(KEY), None)
    world.now += MINUTE
    aligned = passes(world)
    for versions in world.secrets.values():
        versions[-1] = replace(versions[-1], expires=world.now)
    world.now += MINUTE
    passes(world)

    assert Action.ALIGN in [step.action for step in aligned.steps]
    assert successor in world.keys.values()


def test_a_defect_is_told_without_what_it_holds(due: World) -> None:
    """S6: an exception that nobody foresaw may hold anything, so that only its type is told."""
    tools: Tools = replace(due.tools(), providers=Broken(due))  # type: ignore[arg-type]  # it stands in for one

    outcome = asyncio.run(rotate(group(due), Request(), tools))

    assert isinstance(outcome.error, Unexpected)
    assert "stgorders: unexpected KeyError; please report it" == str(outcome.error)
    assert isinstance(outcome.error.__cause__, KeyError)
    assert [Action.ROTATE] == [step.action for step in outcome.steps]


class Undone:
    """A vault in which another tool puts every tag back at once."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.vault = world, world.tools().vaults[name]

    def __getattr__(self, name: str) -> object:
        return getattr(self.vault, name)

    async def amend(self, current: Secret, raw: Mapping[str, str], lease: Lease) -> None:
        """Write, and undo it, with a trace."""
        self.world.now += MINUTE
        undone = {"active-slot": "key2", "undone": f"{self.world.now}"}
        await self.vault.amend(current, {**raw, **undone}, lease)


def test_a_pass_ends_when_another_tool_undoes_its_steps(world: World) -> None:
    """Two tools of different minds would write for ever."""
    mistag(world)
    vaults = {name: Undone(world, name) for name in ("kv-a", "kv-b")}
    tools: Tools = replace(world.tools(), vaults=vaults)  # type: ignore[arg-type]  # they stand in for two

    outcome = asyncio.run(rotate(group(world), Request(), tools))

    assert [Action.RETAG] * MAX_STEPS == [step.action for step in outcome.steps]
    assert isinstance(outcome.error, Unexpected)
    assert (
        "stgorders does not come to rest after 12 steps; look for another tool that changes its keys or its secrets"
        == str(outcome.error)
    )
