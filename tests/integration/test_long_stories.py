"""Stories over days, in which secrets come, go and are edited while keys rotate."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import pytest

from rotation.enroll import enroll
from rotation.formats import rekey
from rotation.model import Action, Reason, Request, Role, SecretRef, Sensitive, Slot, Trigger
from rotation.ports import Draft
from simulator.client import ControlClient
from tests.integration.engine import MINE, Bench, bench
from tests.integration.estates import one_account, publication

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def later(work: Bench, simulator: ControlClient, since: timedelta) -> None:
    """Let this much time pass since the beginning, by every clock."""
    work.clock.ahead = since
    simulator.behave(clock_offset=since.total_seconds())


def regenerated(simulator: ControlClient) -> int:
    """How many keys were made."""
    return sum(slot["regenerated"] for slot in simulator.account("stone")["slots"].values())


def published(simulator: ControlClient) -> set[str]:
    """The fingerprints of the keys in the secrets that are there."""
    keys = {told["secret"]: told for told in simulator.history() if "secret" in told}
    return {told["key"] for told in keys.values() if not told["deleted"]}


def live(simulator: ControlClient) -> set[str]:
    """The fingerprints of the keys that work."""
    return {key["fingerprint"] for key in simulator.account("stone")["slots"].values()}


async def keys(work: Bench) -> Mapping[Slot, Sensitive]:
    """The account's keys."""
    account = (await work.survey()).groups[0].account
    return await work.tools.providers.for_type(account.resource_type).list_keys(account)


async def put_by_hand(work: Bench, key: Sensitive, **tags: str) -> None:
    """Let somebody save a key in the first secret, and change some of its tags; `_` stands for `-` in their names."""
    vault, account = work.tools.vaults["kv-one"], (await work.survey()).groups[0].account
    found = await vault.read("secret-0")
    value = rekey(found.value or Sensitive(""), key)
    changed = {**found.tags, **{name.replace("_", "-"): text for name, text in tags.items()}}
    draft = Draft(value, changed, found.expires or work.clock.now(), found.content_type, found)
    async with work.tools.leases.hold(account) as lease:
        await vault.publish("secret-0", draft, lease)


async def test_a_secret_that_was_away_does_not_bring_a_leaked_key_back(simulator: ControlClient) -> None:
    """S2: it carries the note of a key that was staged then, has been published and has leaked since."""
    estate = one_account("storage", 2)
    simulator.reset(estate)
    async with bench(estate, ROTATION_PROBE_TIMEOUT="PT0S") as work:
        refusing = simulator.fault(host="blob", status=403, code="AuthenticationFailed")
        await work.rotate()
        simulator.lift(refusing)
        simulator.change_secret("kv-one", "secret-1", deleted=True)
        later(work, simulator, DAY / 24)
        await work.rotate()
        (leaked,) = published(simulator)

        later(work, simulator, 5 * DAY)
        emergency = Request(Trigger.OPERATOR, id="INC-1", compromised=Role.ACTIVE, grace=timedelta(minutes=15))
        await work.rotate(emergency)
        simulator.change_secret("kv-one", "secret-1", deleted=False)
        later(work, simulator, 5 * DAY + timedelta(minutes=5))
        await work.rotate()
        recovered = published(simulator)
        later(work, simulator, 5 * DAY + timedelta(hours=1))
        await work.rotate()

    assert leaked not in recovered
    assert leaked not in live(simulator)
    assert [] == [row for row in simulator.verdict() if not row["opens"]]


async def test_s2_who_joins_after_a_retirement_has_the_whole_overlap(simulator: ControlClient) -> None:
    """The idle key was retired long ago and nobody had it, until a secret that held it was enrolled."""
    estate = one_account("storage")
    estate["vaults"][0]["secrets"][0]["tags"]["rotation-policy"] = "retire-after=P2D"
    simulator.reset(estate)
    async with bench(estate) as work:
        await work.rotate()
        later(work, simulator, 3 * DAY)
        (retired,) = (await work.rotate()).outcomes
        later(work, simulator, 59.5 * DAY)
        mine = publication("storage", "mine", "key", slot="key1", created="PT0S", expires=None)
        simulator.add_secret("kv-one", **mine)
        simulator.change_secret("kv-one", "mine", tags=dict.fromkeys(mine["tags"]))
        survey = await work.survey()
        await enroll(SecretRef("kv-one", "mine"), survey.groups[0].account, work.tools, survey)
        before = regenerated(simulator)
        later(work, simulator, 60.2 * DAY)
        await work.rotate()
        promised = regenerated(simulator)
        later(work, simulator, 62 * DAY)
        await work.rotate()

    assert [Action.RETIRE] == [step.action for step in retired.steps]
    assert (before, before + 1) == (promised, regenerated(simulator))


async def test_a_leaked_key_ends_although_the_secret_that_noted_it_was_moved(simulator: ControlClient) -> None:
    """During the grace the secret is enrolled under another name, and the one before is deleted."""
    estate = one_account("storage", created="P5D", expires="P85D")
    simulator.reset(estate)
    (leaked,) = published(simulator)
    emergency = Request(Trigger.OPERATOR, id="INC-1", compromised=Role.ACTIVE, grace=timedelta(hours=12))
    async with bench(estate) as work:
        await work.rotate(emergency)
        survey = await work.survey()
        await enroll(SecretRef("kv-one", "moved"), survey.groups[0].account, work.tools, survey)
        simulator.change_secret("kv-one", "secret-0", deleted=True)
        (repeated,) = (await work.rotate(emergency)).outcomes
        later(work, simulator, timedelta(hours=11))
        await work.rotate()
        meanwhile = live(simulator)
        later(work, simulator, timedelta(hours=13))
        await work.rotate()

    assert Reason.ALREADY_DONE == (repeated.verdict and repeated.verdict.reason)
    assert leaked in meanwhile
    assert leaked not in live(simulator)
    assert [] == [row for row in simulator.verdict() if not row["opens"]]


async def test_a_leaked_key_ends_although_an_emergency_reached_one_secret_only(simulator: ControlClient) -> None:
    """A secret joins that is younger than the one with the note; the rest follow it, and the first is deleted."""
    estate = one_account("storage", 3, created="P5D", expires="P85D")
    simulator.reset(estate)
    (leaked,) = published(simulator)
    emergency = Request(Trigger.OPERATOR, id="INC-1", compromised=Role.ACTIVE, grace=timedelta(minutes=15))
    async with bench(estate) as work:
        refused = simulator.fault(method="PUT", path="^/secrets/secret-[12]", status=403)
        await work.rotate(emergency)
        simulator.lift(refused)
        later(work, simulator, timedelta(minutes=5))
        survey = await work.survey()
        await enroll(SecretRef("kv-one", "joined"), survey.groups[0].account, work.tools, survey)
        later(work, simulator, timedelta(minutes=10))
        (aligned,) = (await work.rotate()).outcomes
        for name in ("secret-0", "joined"):
            simulator.change_secret("kv-one", name, deleted=True)
        later(work, simulator, timedelta(minutes=24))
        await work.rotate()
        meanwhile = live(simulator)
        later(work, simulator, timedelta(minutes=26))
        await work.rotate()

    assert [Action.ALIGN] == [step.action for step in aligned.steps]
    assert leaked in meanwhile
    assert leaked not in live(simulator)
    assert [] == [row for row in simulator.verdict() if not row["opens"]]


async def test_a_leaked_key_is_not_published_again_because_it_was_saved_last(simulator: ControlClient) -> None:
    """The emergency reached one secret only, and somebody saved another as a new version of what it was."""
    estate = one_account("storage", 3, created="P5D", expires="P85D")
    simulator.reset(estate)
    (leaked,) = published(simulator)
    emergency = Request(Trigger.OPERATOR, id="INC-1", compromised=Role.ACTIVE, grace=timedelta(minutes=15))
    async with bench(estate) as work:
        refused = simulator.fault(method="PUT", path="^/secrets/secret-[12]", status=403)
        await work.rotate(emergency)
        simulator.lift(refused)
        later(work, simulator, timedelta(minutes=1))
        simulator.change_secret("kv-one", "secret-1", renewed=True)
        later(work, simulator, timedelta(minutes=2))
        (aligned,) = (await work.rotate()).outcomes
        followed = published(simulator)
        later(work, simulator, timedelta(minutes=18))
        await work.rotate()

    assert [(Action.ALIGN, "key2")] == [(step.action, step.slot) for step in aligned.steps]
    assert leaked not in followed
    assert leaked not in live(simulator)
    assert [] == [row for row in simulator.verdict() if not row["opens"]]


async def test_s2_a_key_that_was_forced_during_a_grace_is_not_taken_for_the_leaked_one(
    simulator: ControlClient,
) -> None:
    """It took the leaked one's place and reached one secret only; the other still notes the end of what was there."""
    estate = one_account("storage", 2, created="P5D", expires="P85D")
    simulator.reset(estate)
    emergency = Request(Trigger.OPERATOR, id="INC-1", compromised=Role.ACTIVE, grace=timedelta(minutes=15))
    async with bench(estate) as work:
        await work.rotate(emergency)
        later(work, simulator, timedelta(minutes=5))
        refused = simulator.fault(method="PUT", path="^/secrets/secret-1", status=403)
        await work.rotate(Request(Trigger.OPERATOR, id="F-1", force=True))
        simulator.lift(refused)
        given_out = simulator.account("stone")["slots"]["key1"]["fingerprint"]
        later(work, simulator, timedelta(minutes=10))
        await work.rotate()
        followed = published(simulator)
        later(work, simulator, timedelta(hours=1))
        await work.rotate()

    assert {given_out} == followed == published(simulator)
    assert given_out in live(simulator)


@pytest.mark.parametrize(
    ("passed", "request_", "ended"),
    [
        pytest.param(5 * MINUTE, Request(Trigger.OPERATOR, "INC-2", compromised=Role.ACTIVE), True, id="it leaks"),
        pytest.param(61 * DAY, MINE, False, id="s2: it is due"),
    ],
)
async def test_a_staged_key_that_somebody_published_is_a_key_like_any_other(
    simulator: ControlClient,
    passed: timedelta,
    request_: Request,
    ended: bool,  # noqa: FBT001  # a table
) -> None:
    """The note of it, with the grace of the key before it, is left in the tags."""
    estate = one_account("storage", created="P5D", expires="P85D")
    simulator.reset(estate)
    async with bench(estate, ROTATION_PROBE_TIMEOUT="PT0S") as work:
        refusing = simulator.fault(host="blob", status=403, code="AuthenticationFailed")
        await work.rotate(Request(Trigger.OPERATOR, id="INC-1", compromised=Role.ACTIVE))
        simulator.lift(refusing)
        await put_by_hand(work, (await keys(work))["key2"], active_slot="key2")
        (staged,) = published(simulator)
        later(work, simulator, passed)
        await work.rotate(request_)
        replaced = staged not in published(simulator)
        later(work, simulator, passed + 20 * MINUTE)
        await work.rotate()

    assert replaced
    assert ended is (staged not in live(simulator))


@pytest.mark.parametrize(
    ("passed", "repeated", "kept"),
    [
        pytest.param(5 * MINUTE, Reason.RETIRING, set(), id="before it has ended"),
        pytest.param(20 * MINUTE, Reason.ALREADY_DONE, {"key1"}, id="a new one, after it has ended"),
    ],
)
async def test_an_emergency_is_undone_by_who_puts_the_leaked_key_back(
    simulator: ControlClient, passed: timedelta, repeated: Reason, kept: set[str]
) -> None:
    """Who asks for it again, by the same id, gets it; a key that was made when the leaked one ended is another one."""
    estate = one_account("storage", created="P5D", expires="P85D")
    simulator.reset(estate)
    emergency = Request(Trigger.OPERATOR, id="INC-1", compromised=Role.ACTIVE, grace=15 * MINUTE)
    async with bench(estate) as work:
        await work.rotate(emergency)
        later(work, simulator, passed)
        await work.rotate()
        await put_by_hand(work, (await keys(work))["key1"])
        (put_back,) = published(simulator)
        later(work, simulator, passed + MINUTE)
        (retagged,) = (await work.rotate()).outcomes
        (again,) = (await work.rotate(emergency)).outcomes
        later(work, simulator, passed + 20 * MINUTE)
        await work.rotate()

    assert [Action.RETAG] == [step.action for step in retagged.steps]
    assert repeated == (again.verdict and again.verdict.reason)
    assert kept == {slot for slot, key in simulator.account("stone")["slots"].items() if key["fingerprint"] == put_back}
    assert [] == [row for row in simulator.verdict() if not row["opens"]]


async def test_a_key_that_waits_is_not_overtaken_by_a_repair(simulator: ControlClient) -> None:
    """The note of it reached one secret only, which is gone later; a wrong value in the other one is mended."""
    estate = one_account("storage", 2, created="P5D", expires="P85D")
    simulator.reset(estate)
    (leaked,) = published(simulator)
    emergency = Request(Trigger.OPERATOR, id="INC-1", compromised=Role.ACTIVE, grace=15 * MINUTE)
    async with bench(estate, ROTATION_PROBE_TIMEOUT="PT0S") as work:
        dead = (await keys(work))["key2"]
        refusing = simulator.fault(host="blob", status=403, code="AuthenticationFailed")
        unnoted = simulator.fault(method="PATCH", path="^/secrets/secret-0", status=403)
        await work.rotate(emergency)
        simulator.lift(refusing)
        simulator.lift(unnoted)
        await put_by_hand(work, dead)
        later(work, simulator, 15 * MINUTE)
        (mended,) = (await work.rotate()).outcomes
        simulator.change_secret("kv-one", "secret-1", deleted=True)
        (repeated,) = (await work.rotate(emergency)).outcomes
        later(work, simulator, 31 * MINUTE)
        await work.rotate()

    assert [(Action.REPUBLISH, "key1"), (Action.PUBLISH, "key2")] == [(step.action, step.slot) for step in mended.steps]
    assert Reason.ALREADY_DONE == (repeated.verdict and repeated.verdict.reason)
    assert leaked not in live(simulator)


async def test_s2_a_retired_key_that_was_published_by_hand_has_the_whole_overlap(simulator: ControlClient) -> None:
    """There and back with the right tags, so that nothing is corrected and the note of the retirement stays."""
    estate = one_account("storage")
    estate["vaults"][0]["secrets"][0]["tags"]["rotation-policy"] = "retire-after=P2D"
    simulator.reset(estate)
    async with bench(estate) as work:
        await work.rotate()
        later(work, simulator, 3 * DAY)
        await work.rotate()
        for slot, passed in (("key1", 59.8 * DAY), ("key2", 59.9 * DAY)):
            later(work, simulator, passed)
            await put_by_hand(work, (await keys(work))[slot], active_slot=slot)
        before = regenerated(simulator)
        later(work, simulator, 61 * DAY)
        await work.rotate()
        promised = regenerated(simulator)
        later(work, simulator, 62 * DAY)
        await work.rotate()

    assert (before, before + 1) == (promised, regenerated(simulator))


async def test_s2_a_secret_that_was_away_does_not_end_what_was_given_out_since(simulator: ControlClient) -> None:
    """It was deleted during the grace and notes the end of the leaked key; the slot has another one by now."""
    estate = one_account("storage", 2, created="P5D", expires="P85D")
    simulator.reset(estate)
    emergency = Request(Trigger.OPERATOR, id="INC-1", compromised=Role.ACTIVE, grace=15 * MINUTE)
    async with bench(estate) as work:
        await work.rotate(emergency)
        simulator.change_secret("kv-one", "secret-1", deleted=True)
        later(work, simulator, 20 * MINUTE)
        await work.rotate()
        later(work, simulator, 3 * DAY)
        mine = publication("storage", "mine", "key", slot="key1", created="PT0S", expires=None)
        simulator.add_secret("kv-one", **mine)
        simulator.change_secret("kv-one", "mine", tags=dict.fromkeys(mine["tags"]))
        survey = await work.survey()
        await enroll(SecretRef("kv-one", "mine"), survey.groups[0].account, work.tools, survey)
        promised = live(simulator)
        simulator.change_secret("kv-one", "secret-1", deleted=False)
        later(work, simulator, 3 * DAY + 60 * MINUTE)
        (outcome,) = (await work.rotate()).outcomes

    assert [(Action.RETAG, Reason.RETIRE_DUE)] == [(step.action, step.reason) for step in outcome.steps]
    assert Reason.OVERLAP == (outcome.verdict and outcome.verdict.reason)
    assert promised == live(simulator)


async def test_a_key_is_retired_once_although_not_every_secret_could_be_told(simulator: ControlClient) -> None:
    """The next pass notes it on the rest."""
    estate = one_account("storage", 3, created="P5D", expires="P85D")
    simulator.reset(estate)
    async with bench(estate) as work:
        await work.rotate(Request(Trigger.OPERATOR, id="INC-1", compromised=Role.ACTIVE, grace=15 * MINUTE))
        later(work, simulator, 20 * MINUTE)
        refused = simulator.fault(method="PATCH", path="^/secrets/secret-[12]", status=403)
        await work.rotate()
        simulator.lift(refused)
        before = live(simulator)
        steps = [step for _ in range(2) for outcome in (await work.rotate()).outcomes for step in outcome.steps]

    assert [(Action.RETAG, ["secret-1", "secret-2"])] == [
        (step.action, [ref.name for ref in step.secrets]) for step in steps
    ]
    assert before == live(simulator)


async def test_s3_what_somebody_tags_between_two_attempts_stays(simulator: ControlClient) -> None:
    """The second attempt would write the tags that were read before the first."""
    estate = one_account("storage")
    simulator.reset(estate)
    async with bench(estate) as work:
        refused = simulator.fault(method="PUT", path="^/secrets/.", status=429, retry_after=2, times=1)
        rotating = asyncio.create_task(work.rotate())
        assert await asyncio.to_thread(simulator.hits, refused, 20)
        simulator.change_secret("kv-one", "secret-0", tags={"owner": "team-two", "rotation-policy": "paused=true"})
        (outcome,) = (await rotating).outcomes

    assert "changed-meanwhile" == (outcome.error and outcome.error.code)
    *_, last = [told for told in simulator.history() if "secret" in told]
    assert ("team-two", "paused=true") == (last["tags"]["owner"], last["tags"]["rotation-policy"])
    assert [("key1", True)] == [(row["slot"], row["opens"]) for row in simulator.verdict()]
