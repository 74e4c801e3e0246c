"""Whole passes over the production adapters: what changes, what it costs, and what never happens."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from rotation.enroll import enroll
from rotation.errors import Forbidden
from rotation.model import Action, Reason, Request, Role, SecretRef, Trigger
from rotation.report import Outcome, Report
from simulator.client import ControlClient
from tests.integration.engine import bench
from tests.integration.estates import NAMES, SERVICES, SLOTS, one_account, publication
from tests.seeing import regenerates, slots

EMERGENCY = Request(Trigger.OPERATOR, compromised=Role.ACTIVE, grace=timedelta(0))


def only(report: Report) -> Outcome:
    """The one outcome of a report over one account."""
    (outcome,) = report.outcomes
    assert outcome.error is None, outcome.error
    return outcome


def did(outcome: Outcome) -> list[tuple[Action, Reason]]:
    """What was done, in order, and why."""
    return [(step.action, step.reason) for step in outcome.steps]


def requests(simulator: ControlClient) -> Counter[str]:
    """How many requests there were beyond sign-in, by what they do."""
    return Counter(
        f"{entry['method']} {_kind(entry['host'], entry['path'])}"
        for entry in simulator.journal()
        if not entry["sign_in"]
    )


def _kind(host: str, path: str) -> str:
    if host.startswith("management."):
        last = path.rsplit("/", 1)[-1]
        if "operation" in path.lower():
            return "operation"
        return last if last in ("listKeys", "regenerateKey", "regenerateKeys") else "account"
    if ".vault." in host:
        return "secrets" if path.rstrip("/") == "/secrets" else "secret"
    return "data plane"


HAPPY: dict[str, dict[str, int]] = {
    "storage": {
        "GET secrets": 1,
        "GET account": 1,
        "POST listKeys": 2,
        "GET secret": 3,
        "POST regenerateKey": 1,
        "GET data plane": 1,
        "PUT secret": 1,
    },
    "batch": {
        "GET secrets": 1,
        "GET account": 1,
        "POST listKeys": 2,
        "GET secret": 3,
        "POST regenerateKeys": 1,
        "GET data plane": 1,
        "PUT secret": 1,
    },
    # The regenerate is an operation: it is waited for, and its key is then listed.
    "webpubsub": {
        "GET secrets": 1,
        "GET account": 1,
        "POST listKeys": 3,
        "GET secret": 3,
        "POST regenerateKey": 1,
        "GET operation": 1,
        "HEAD data plane": 1,
        "PUT secret": 1,
    },
}


@pytest.mark.parametrize("service", SERVICES)
async def test_a_rotation_costs_no_more_requests_than_it_must(simulator: ControlClient, service: str) -> None:
    """One due account with one publication: one regenerate, one write, and ten requests in all for storage."""
    estate = one_account(service)
    simulator.reset(estate)
    simulator.behave(operation_seconds=0)
    async with bench(estate) as work:
        outcome = only(await work.rotate())

    assert [(Action.ROTATE, Reason.DUE)] == did(outcome)
    assert HAPPY[service] == dict(requests(simulator))
    assert requests(simulator).total() <= (10 if service != "webpubsub" else 12)


@pytest.mark.parametrize("service", SERVICES)
async def test_three_publications_in_two_vaults_move_together(simulator: ControlClient, service: str) -> None:
    """One regenerate serves them all, each in its own format, and foreign tags and content types survive."""
    estate = one_account(service, publications=3)
    simulator.reset(estate)
    async with bench(estate) as work:
        outcome = only(await work.rotate())
        survey = await work.survey()

    second = SLOTS[service][1]
    assert [(Action.ROTATE, Reason.DUE)] == did(outcome)
    assert [second] * 3 == slots(simulator)
    assert 1 == regenerates(simulator)
    (group,) = survey.groups
    assert {"team-one"} == {secret.tags["owner"] for secret in group.secrets}
    assert {second} == {secret.tags["active-slot"] for secret in group.secrets}
    assert {"text/x-test"} == {secret.content_type for secret in group.secrets}


@pytest.mark.parametrize("service", SERVICES)
async def test_a_second_pass_finds_nothing_to_do(simulator: ControlClient, service: str) -> None:
    """The overlap holds the next rotation back, and nothing is written."""
    estate = one_account(service, publications=3)
    simulator.reset(estate)
    async with bench(estate) as work:
        await work.rotate()
        simulator.clear_journal()
        outcome = only(await work.rotate())

    assert ([], Reason.OVERLAP) == (did(outcome), outcome.verdict and outcome.verdict.reason)
    assert not [entry for entry in simulator.journal() if entry["method"] in ("PUT", "PATCH")]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_key_regenerated_in_the_portal_is_published(simulator: ControlClient, service: str) -> None:
    """Drift is mended by publishing the live key of the same slot; nothing is regenerated."""
    estate = one_account(service, publications=3)
    simulator.reset(estate)
    first = SLOTS[service][0]
    simulator.regenerate(NAMES[service], first)
    assert not any(row["opens"] for row in simulator.verdict())
    async with bench(estate) as work:
        outcome = only(await work.rotate())

    assert [(Action.REPUBLISH, Reason.DRIFT)] == did(outcome)
    assert [first] * 3 == slots(simulator)
    assert 0 == regenerates(simulator)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_wrong_tag_is_corrected_without_a_new_version(simulator: ControlClient, service: str) -> None:
    """The value tells which slot is published; the tag follows."""
    first, second = SLOTS[service]
    estate = one_account(service, created="P5D", expires="P85D", tags={"active-slot": second})
    simulator.reset(estate)
    async with bench(estate) as work:
        before = (await work.survey()).groups[0].secrets[0]
        outcome = only(await work.rotate())
        after = (await work.survey()).groups[0].secrets[0]

    assert [(Action.RETAG, Reason.WRONG_TAG)] == did(outcome)
    assert (first, "team-one") == (after.tags["active-slot"], after.tags["owner"])
    assert before.created == after.created
    assert not [entry for entry in simulator.journal() if entry["method"] == "PUT"]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_split_group_is_aligned_before_anything_is_regenerated(simulator: ControlClient, service: str) -> None:
    """The rest follows the slot that was published last, and the overlap begins anew."""
    first, second = SLOTS[service]
    estate = one_account(service, publications=3)
    estate["vaults"][1]["secrets"][0] |= {"slot": second, "created": "P10D", "expires": "P80D"}
    simulator.reset(estate)
    async with bench(estate) as work:
        outcome = only(await work.rotate())

    assert [(Action.ALIGN, Reason.SPLIT)] == did(outcome)
    assert outcome.verdict is not None
    assert Reason.OVERLAP is outcome.verdict.reason
    assert [second] * 3 == slots(simulator)
    assert 0 == regenerates(simulator)
    assert first != second


@pytest.mark.parametrize("service", SERVICES)
async def test_a_compromised_key_is_replaced_and_retired_at_once(simulator: ControlClient, service: str) -> None:
    """Without a grace period both keys are new in one pass, although the overlap had not passed."""
    estate = one_account(service, publications=3, created="PT1H", expires="P89D")
    simulator.reset(estate)
    before = {row["slot"]: row["fingerprint"] for row in fingerprints(simulator, service)}
    async with bench(estate) as work:
        outcome = only(await work.rotate(EMERGENCY))

    after = {row["slot"]: row["fingerprint"] for row in fingerprints(simulator, service)}
    assert [(Action.ROTATE, Reason.COMPROMISED), (Action.RETIRE, Reason.RETIRE_DUE)] == did(outcome)
    assert not before.items() & after.items()
    assert [SLOTS[service][1]] * 3 == slots(simulator)
    assert all(step.broken_promise for step in outcome.steps)


async def test_a_compromised_key_lives_on_for_its_grace(simulator: ControlClient) -> None:
    """The old key works until the grace is over; an ordinary pass then retires it, and a repeat does nothing."""
    estate = one_account("storage")
    simulator.reset(estate)
    request = Request(Trigger.OPERATOR, id="incident-1", compromised=Role.ACTIVE, grace=timedelta(minutes=15))
    before = {row["slot"]: row["fingerprint"] for row in fingerprints(simulator, "storage")}
    async with bench(estate) as work:
        first = only(await work.rotate(request))
        repeated = only(await work.rotate(request))
        meanwhile = {row["slot"]: row["fingerprint"] for row in fingerprints(simulator, "storage")}
        work.clock.ahead = timedelta(minutes=16)
        swept = only(await work.rotate())

    after = {row["slot"]: row["fingerprint"] for row in fingerprints(simulator, "storage")}
    assert [(Action.ROTATE, Reason.COMPROMISED)] == did(first)
    assert ([], Reason.ALREADY_DONE) == (did(repeated), repeated.verdict and repeated.verdict.reason)
    assert before["key1"] == meanwhile["key1"]
    assert [(Action.RETIRE, Reason.RETIRE_DUE)] == did(swept)
    assert before["key1"] != after["key1"]
    assert meanwhile["key2"] == after["key2"]
    assert ["key2"] == slots(simulator)


async def test_a_tag_edited_during_the_grace_does_not_save_the_leaked_key(simulator: ControlClient) -> None:
    """The slot that is to be retired is noted by name, so that a wrong active slot, once corrected, loses nothing."""
    estate = one_account("storage")
    simulator.reset(estate)
    leaked = fingerprints(simulator, "storage")[0]
    async with bench(estate) as work:
        await work.rotate(Request(Trigger.OPERATOR, compromised=Role.ACTIVE, grace=timedelta(minutes=15)))
        simulator.change_secret("kv-one", "secret-0", tags={"active-slot": "key1"})
        corrected = only(await work.rotate())
        work.clock.ahead = timedelta(minutes=16)
        swept = only(await work.rotate())

    assert [(Action.RETAG, Reason.WRONG_TAG)] == did(corrected)
    assert [(Action.RETIRE, Reason.RETIRE_DUE)] == did(swept)
    assert leaked not in fingerprints(simulator, "storage")
    assert ["key2"] == slots(simulator)


async def test_a_rotation_that_fails_half_way_tells_what_it_changed(simulator: ControlClient) -> None:
    """The idle key is gone and its promise broken, although nothing could be published; the report says both."""
    estate = one_account("storage", publications=3, created="PT1H", expires="P89D")
    simulator.reset(estate)
    idle = fingerprints(simulator, "storage")[1]["fingerprint"]
    simulator.deny("Microsoft.KeyVault/vaults/secrets/setSecret/action", "kv-one")
    async with bench(estate) as work:
        (outcome,) = (await work.rotate(Request(Trigger.OPERATOR, force=True))).outcomes

    assert ("failed", "forbidden", 3) == (outcome.status, outcome.error and outcome.error.code, outcome.exit_code)
    (step,) = outcome.steps
    assert (Action.ROTATE, idle) == (step.action, step.replaced)
    assert ["kv-two/secret-2"] == [str(ref) for ref in step.secrets]
    assert step.broken_promise is not None
    assert {"key1", "key2"} == set(slots(simulator))


@pytest.mark.parametrize("service", SERVICES)
async def test_a_compromised_idle_key_is_replaced_where_it_is(simulator: ControlClient, service: str) -> None:
    """The idle slot is regenerated; what applications hold stays as it is."""
    first, second = SLOTS[service]
    estate = one_account(service, created="PT1H", expires="P89D")
    simulator.reset(estate)
    before = {row["slot"]: row["fingerprint"] for row in fingerprints(simulator, service)}
    async with bench(estate) as work:
        outcome = only(await work.rotate(Request(Trigger.OPERATOR, compromised=Role.IDLE)))

    after = {row["slot"]: row["fingerprint"] for row in fingerprints(simulator, service)}
    assert [(Action.RETIRE, Reason.COMPROMISED)] == did(outcome)
    assert before[first] == after[first]
    assert before[second] != after[second]
    assert [first] == slots(simulator)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_key_that_is_accepted_late_is_published_only_then(simulator: ControlClient, service: str) -> None:
    """The pass tries the new key until the service takes it, and publishes it then."""
    estate = one_account(service)
    simulator.reset(estate)
    simulator.behave(propagation_delay=1.5)
    async with bench(estate) as work:
        outcome = only(await work.rotate())

    assert [(Action.ROTATE, Reason.DUE)] == did(outcome)
    assert [SLOTS[service][1]] == slots(simulator)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_key_that_is_accepted_too_late_is_staged(simulator: ControlClient, service: str) -> None:
    """It is noted, not published, and the next pass publishes it without regenerating again."""
    estate = one_account(service)
    simulator.reset(estate)
    simulator.behave(propagation_delay=4)
    async with bench(estate, ROTATION_PROBE_TIMEOUT="PT1S") as impatient:
        (staged,) = (await impatient.rotate()).outcomes
        published_meanwhile = slots(simulator)
    async with bench(estate) as patient:
        finished = only(await patient.rotate())

    assert ("staged", 1) == (staged.error and staged.error.code, staged.exit_code)
    assert [SLOTS[service][0]] == published_meanwhile
    assert [(Action.PUBLISH, Reason.STAGED)] == did(finished)
    assert [SLOTS[service][1]] == slots(simulator)
    assert 1 == regenerates(simulator)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param({"status": 503, "when": "after"}, None, id="applied but answered 503"),
        pytest.param({"cut": True, "when": "after"}, None, id="applied but the answer was lost"),
        pytest.param({"status": 503, "when": "before"}, "unavailable", id="answered 503"),
        pytest.param({"cut": True, "when": "before"}, "unavailable", id="connection cut"),
        pytest.param({"status": 429, "retry_after": 1, "when": "before"}, "throttled", id="throttled"),
        pytest.param({"status": 500, "retry_after": 1, "when": "after"}, None, id="applied but answered 500"),
    ],
)
@pytest.mark.parametrize("service", SERVICES)
async def test_a_regenerate_is_sent_once_whatever_comes_back(
    simulator: ControlClient, service: str, fault: dict[str, Any], code: str | None
) -> None:
    """A lost answer is settled by listing: what was applied is published, what was not is left to the next pass."""
    estate = one_account(service)
    simulator.reset(estate)
    simulator.fault(method="POST", path="(?i)/regenerate", times=1, **fault)
    async with bench(estate) as work:
        work.clock.pace = 100  # a lost Web PubSub operation is awaited for minutes
        (outcome,) = (await work.rotate()).outcomes

    assert code == (outcome.error and outcome.error.code)
    assert 1 == regenerates(simulator)
    assert [SLOTS[service][0 if code else 1]] == slots(simulator)


async def test_a_listing_that_lags_never_brings_a_dead_key_back(simulator: ControlClient) -> None:
    """The keys that are listed right after a rotation are the old ones; the published one is asked for itself."""
    estate = one_account("storage", created="PT1H", expires="P89D")
    simulator.reset(estate)
    async with bench(estate) as work:
        await work.rotate(Request(Trigger.OPERATOR, force=True))
        simulator.behave(list_delay=30)
        outcome = only(await work.rotate())

    assert [] == did(outcome)
    assert ["key2"] == slots(simulator)


@pytest.mark.parametrize("form", ["connection-string", "json"])
async def test_a_value_of_another_account_is_not_overwritten(simulator: ControlClient, form: str) -> None:
    """Tags copied from another secret look like drift; the value itself says that it is not."""
    estate = one_account("storage")
    stranger = publication("storage", "copied", form, created="P5D", expires="P85D")
    estate["accounts"].append({"type": "storage", "name": "stother", "resource_group": "rg-one"})
    stranger["account"] = "stother"
    stranger["tags"]["resource-id"] = (
        "/subscriptions/0c0ffee0-5d3a-4f43-9a52-6f1d1b7a7e55/resourceGroups/rg-one"
        "/providers/Microsoft.Storage/storageAccounts/stone"
    )
    estate["vaults"][0]["secrets"].append(stranger)
    simulator.reset(estate)
    async with bench(estate) as work:
        (outcome,) = (await work.rotate()).outcomes

    assert (Action.REFUSE, Reason.FOREIGN_VALUE) == (
        outcome.verdict and outcome.verdict.action,
        outcome.verdict and outcome.verdict.reason,
    )
    assert not [entry for entry in simulator.journal() if entry["method"] == "PUT"]


async def test_one_incident_may_name_one_key_after_the_other(simulator: ControlClient) -> None:
    """The same id declares the active and then the idle key compromised; neither is taken for the other."""
    estate = one_account("storage", created="PT1H", expires="P89D")
    simulator.reset(estate)
    before = fingerprints(simulator, "storage")
    async with bench(estate) as work:
        first = only(await work.rotate(Request(Trigger.OPERATOR, id="INC-1", compromised=Role.ACTIVE)))
        second = only(await work.rotate(Request(Trigger.OPERATOR, id="INC-1", compromised=Role.IDLE)))

    assert [(Action.ROTATE, Reason.COMPROMISED)] == did(first)
    assert [(Action.RETIRE, Reason.COMPROMISED)] == did(second)
    assert not [told for told in fingerprints(simulator, "storage") if told in before]


@pytest.mark.parametrize("service", SERVICES)
async def test_s1_who_is_enrolled_after_the_listing_survives_an_emergency(
    simulator: ControlClient, service: str
) -> None:
    """The pass lists once more under its lease before it ends the key that the new secret publishes."""
    estate = one_account(service, created="P5D", expires="P85D")
    simulator.reset(estate)
    async with bench(estate) as work:
        survey = await work.survey()
        account = survey.groups[0].account
        await enroll(SecretRef("kv-one", "joined"), account, work.tools, survey)
        before = requests(simulator)["GET secrets"]
        outcome = only(await work.fleet.rotate(survey, survey.groups, EMERGENCY))

    assert [True, True] == [row["opens"] for row in simulator.verdict()]
    assert [SLOTS[service][1]] * 2 == slots(simulator)
    assert [Action.ROTATE, Action.ALIGN, Action.RETIRE] == [step.action for step in outcome.steps]
    assert before + 1 == requests(simulator)["GET secrets"]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_vault_that_lags_does_not_make_a_pass_rotate_again(simulator: ControlClient, service: str) -> None:
    """A pass knows what it has written, and waits until the vault shows it."""
    estate = one_account(service, publications=3)
    simulator.reset(estate)
    simulator.behave(list_delay=1.5)
    async with bench(estate) as work:
        outcome = only(await work.rotate())

    assert [(Action.ROTATE, Reason.DUE)] == did(outcome)
    assert 1 == regenerates(simulator)
    assert [SLOTS[service][1]] * 3 == slots(simulator)


async def test_s1_a_vault_that_lags_behind_a_pass_that_failed_misleads_nobody(simulator: ControlClient) -> None:
    """One secret has the new key and another one refuses it; the next pass comes at once, in another process."""
    estate = one_account("storage", publications=3)
    simulator.reset(estate)
    simulator.behave(list_delay=1.5)
    simulator.deny("Microsoft.KeyVault/vaults/secrets/setSecret/action", "kv-two")
    async with bench(estate) as work:
        (failed,) = (await work.rotate()).outcomes
    simulator.allow_all()
    async with bench(estate) as work:
        outcome = only(await work.rotate())

    assert isinstance(failed.error, Forbidden)
    assert [(Action.ALIGN, Reason.SPLIT)] == did(outcome)
    assert 1 == regenerates(simulator)
    assert [True] * 3 == [row["opens"] for row in simulator.verdict()]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_listing_that_lags_does_not_make_an_emergency_regenerate_again(
    simulator: ControlClient, service: str
) -> None:
    """The listing still shows the compromised key, and the pass knows better."""
    estate = one_account(service, created="PT1H", expires="P89D")
    simulator.reset(estate)
    simulator.behave(list_delay=2)
    async with bench(estate) as work:
        outcome = only(await work.rotate(Request(Trigger.OPERATOR, id="INC-1", compromised=Role.IDLE)))

    assert [(Action.RETIRE, Reason.COMPROMISED)] == did(outcome)
    assert 1 == regenerates(simulator)


@pytest.mark.parametrize("role", [Role.ACTIVE, Role.BOTH])
async def test_an_emergency_that_failed_half_way_is_finished_by_its_repetition(
    simulator: ControlClient, role: Role
) -> None:
    """The new key is published and the leaked one could not be ended: saying it again ends it."""
    estate = one_account("storage", publications=3)
    simulator.reset(estate)
    leaked = fingerprints(simulator, "storage")[0]
    simulator.fault(method="POST", path="(?i)/regenerate", skip=1, times=1, status=503)
    request = Request(Trigger.OPERATOR, id="INC-1", compromised=role, grace=timedelta(0))
    async with bench(estate) as work:
        (failed,) = (await work.rotate(request)).outcomes
        still_there = leaked in fingerprints(simulator, "storage")
    # In this process the account is left alone for a minute, since the regenerate may take effect yet.
    async with bench(estate) as work:
        repeated = only(await work.rotate(request))

    assert (1, True) == (failed.exit_code, still_there)
    assert [(Action.RETIRE, Reason.RETIRE_DUE)] == did(repeated)
    assert leaked not in fingerprints(simulator, "storage")
    assert ["key2"] * 3 == slots(simulator)


async def test_a_key_that_was_refused_is_not_published_untried(simulator: ControlClient) -> None:
    """The service said no, and then could not be reached: that is not the same as never having been reached."""
    estate = one_account("storage")
    simulator.reset(estate)
    simulator.behave(propagation_delay=60)
    simulator.fault(host="blob", skip=1, cut=True)
    async with bench(estate, ROTATION_PROBE_TIMEOUT="PT4S") as work:
        (outcome,) = (await work.rotate()).outcomes

    assert "staged" == (outcome.error and outcome.error.code)
    assert ["key1"] == slots(simulator)


async def test_a_key_that_cannot_be_published_is_published_by_the_next_pass(simulator: ControlClient) -> None:
    """A vault that refuses to be written does not cost a key for every pass: it is made once and noted."""
    estate = one_account("storage")
    simulator.reset(estate)
    simulator.deny("Microsoft.KeyVault/vaults/secrets/setSecret/action", "kv-one")
    async with bench(estate) as work:
        codes = [outcome.error and outcome.error.code for _ in range(2) for outcome in (await work.rotate()).outcomes]
        simulator.allow_all()
        finished = only(await work.rotate())

    assert ["forbidden", "forbidden"] == codes
    assert [(Action.PUBLISH, Reason.STAGED)] == did(finished)
    assert 1 == regenerates(simulator)
    assert ["key2"] == slots(simulator)


async def test_a_retired_key_is_promised_to_nobody(simulator: ControlClient) -> None:
    """The key that took the place of the leaked one was never given out, so that no promise can be broken by it."""
    estate = one_account("storage", created="PT1H", expires="P89D")
    simulator.reset(estate)
    async with bench(estate) as work:
        emergency = only(await work.rotate(EMERGENCY))
        forced = only(await work.rotate(Request(Trigger.OPERATOR, force=True)))

    assert [True, True] == [step.broken_promise is not None for step in emergency.steps]
    assert emergency.verdict is not None
    assert Reason.FRESH is emergency.verdict.reason
    assert [None] == [step.broken_promise for step in forced.steps]


async def test_tags_changed_while_a_key_is_made_are_respected(simulator: ControlClient) -> None:
    """A secret that was paused, or given to another account, between reading and writing is not written."""
    estate = one_account("webpubsub")
    simulator.reset(estate)
    simulator.behave(operation_seconds=2)
    async with bench(estate) as work:
        vault = work.tools.vaults["kv-one"]
        before = await vault.read("secret-0")
        passing = asyncio.create_task(work.rotate())
        while not regenerates(simulator):  # noqa: ASYNC110  # what is awaited happens in another process
            await asyncio.sleep(0.05)
        paused = {**before.tags, "rotation-policy": f"{before.tags['rotation-policy']};paused=true"}
        simulator.change_secret("kv-one", "secret-0", tags=paused)
        (outcome,) = (await passing).outcomes
        after = await vault.read("secret-0")

    assert "changed-meanwhile" == (outcome.error and outcome.error.code)
    assert (before.version, paused) == (after.version, after.tags)


@pytest.mark.parametrize(("status", "exit_code", "vault"), [(403, 3, "kv-one"), (503, 1, "kv-")])
async def test_a_vault_that_cannot_be_listed_again_is_told_with_who_acts_next(
    simulator: ControlClient, status: int, exit_code: int, vault: str
) -> None:
    """A compromised key is not ended while somebody may have joined on it; what a person has to mend is told first."""
    estate = one_account("storage", publications=3, created="PT1H", expires="P89D")
    simulator.reset(estate)
    simulator.fault(method="GET", host="^kv-one", path="^/secrets/?$", skip=1, status=status)
    simulator.fault(method="GET", host="^kv-two", path="^/secrets/?$", skip=1, status=503)
    request = Request(Trigger.OPERATOR, id="INC-1", compromised=Role.ACTIVE, grace=timedelta(0))
    async with bench(estate) as work:
        report = await work.rotate(request)

    (outcome,) = report.outcomes
    assert [Action.ROTATE] == [step.action for step in outcome.steps]
    assert exit_code == report.exit_code
    assert f"list the secrets of {vault}" in str(outcome.error)
    assert 1 == regenerates(simulator)


async def test_a_vault_that_cannot_be_listed_holds_every_rotation_up(simulator: ControlClient) -> None:
    """It may publish the idle slot of any account; the report names it and a person has to act."""
    estate = one_account("storage", publications=3)
    simulator.reset(estate)
    simulator.deny("Microsoft.KeyVault/vaults/secrets/readMetadata/action", "kv-two")
    async with bench(estate) as work:
        report = await work.rotate()

    (outcome,) = report.outcomes
    assert outcome.verdict is not None
    assert Reason.VAULT_UNSEEN is outcome.verdict.reason
    assert ["kv-two"] == list(report.problems)
    assert 3 == report.exit_code
    assert 0 == regenerates(simulator)


async def test_one_failing_account_does_not_stop_the_others(simulator: ControlClient) -> None:
    """Its failure is one outcome; the others are rotated."""
    estates = [one_account(service) for service in SERVICES]
    estate = {
        "accounts": [account for one in estates for account in one["accounts"]],
        "vaults": [{"name": "kv-one", "secrets": [publication(s, f"{s}-secret", "key") for s in SERVICES]}],
    }
    simulator.reset(estate)
    simulator.change_account(NAMES["batch"], locked=True)
    async with bench(estate) as work:
        report = await work.rotate()

    assert {"changed": 2, "refused": 1} == report.counts()
    refused = next(o for o in report.outcomes if o.status == "refused")
    assert refused.verdict is not None
    assert Reason.READ_ONLY_LOCK is refused.verdict.reason
    assert NAMES["batch"] in refused.account


def fingerprints(simulator: ControlClient, service: str) -> list[dict[str, str]]:
    """Slot and fingerprint of both keys of a service's account."""
    account = simulator.account(NAMES[service])
    return [{"slot": slot, "fingerprint": told["fingerprint"]} for slot, told in account["slots"].items()]
