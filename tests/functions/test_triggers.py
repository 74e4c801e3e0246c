"""Each trigger with what it may hear, good and bad, through the real worker library."""

import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from rotation.clock import SystemClock
from rotation.model import Sensitive
from simulator.client import ControlClient
from tests.functions.estate import estate
from tests.functions.events import EXPIRED, NEAR_EXPIRY, cloud_event, current_version, event_grid, quirky
from tests.functions.harness import App
from tests.functions.instances import instance, invoked
from tests.integration.adapters.hasty import Hasty
from tests.seeing import changes, regenerates, slots, told

pytestmark = pytest.mark.asyncio(loop_scope="session")

ONE = {"vault": "kv-one", "secret": "secret-0"}

Event = dict[str, Any]
MakeEvent = Callable[..., Event]
SCHEMAS = pytest.mark.parametrize("make", [event_grid, cloud_event], ids=["event grid", "cloudevents"])


def message(**told: Any) -> str:
    """A message of the queue for the one secret; it was asked for now, so that no older listing serves it."""
    asked = {
        "trigger": "schedule",
        "id": "request-one",
        "occasion": None,
        "compromised": None,
        "grace": "PT15M",
        "force": False,
    }
    now = SystemClock().now().isoformat()
    whole = {"version": 1, "asked": now, "account": None, "secrets": ["kv-one/secret-0"], "request": asked}
    return json.dumps({**whole, **told})


@pytest.mark.parametrize("past_due", [False, True])
async def test_a_sweep_asks_for_what_is_due_and_reads_no_value(
    app: App, simulator: ControlClient, caplog: pytest.LogCaptureFixture, *, past_due: bool
) -> None:
    """One message with all publications of the account; nothing but listings was asked for."""
    simulator.reset(estate(publications=3))
    done = await app.timer("sweep", past_due=past_due)

    assert done.error is None
    (content,) = map(json.loads, done.messages)
    assert ["kv-one/secret-0", "kv-one/secret-1", "kv-two/secret-2"] == sorted(content["secrets"])
    assert 1 == content["version"]
    assert {"/secrets"} == {entry["path"].rstrip("/") for entry in simulator.journal() if not entry["sign_in"]}
    (event,) = told(caplog, "sweep")
    assert (1, 1, past_due) == (event["accounts"], event["queued"], event["late"])
    assert "unseen" not in event


async def test_a_sweep_tells_what_it_queues(
    app: App, simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """An alert sees what is overdue although no worker ever takes the message."""
    simulator.reset(estate(publications=3))
    await app.timer("sweep")

    (event,) = told(caplog, "queued")
    assert ("sweep", "due", 14) == (event["function"], event["reason"], event["days_left"])
    assert event["account"].endswith("/stone")
    assert (["kv-one", "kv-two"], 3) == (event["vaults"], len(event["secrets"]))
    assert datetime.fromisoformat(event["due"]) < SystemClock().now()
    assert [] == told(caplog, "attempt")


async def test_an_audit_tells_when_a_fresh_account_is_due(
    app: App, simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """So that an alert that was right yesterday ends today."""
    simulator.reset(estate(created="P5D", expires="P85D"))
    await app.timer("audit")

    (event,) = told(caplog, "queued")
    assert ("audit", "fresh") == (event["function"], event["reason"])
    assert datetime.fromisoformat(event["due"]) > SystemClock().now()


async def test_a_sweep_leaves_fresh_accounts_alone(app: App, simulator: ControlClient) -> None:
    """No message, and no error for setting none."""
    simulator.reset(estate(created="P5D", expires="P85D"))
    done = await app.timer("sweep")
    assert (None, []) == (done.error, done.messages)


async def test_an_audit_asks_for_every_account(app: App, simulator: ControlClient) -> None:
    """Fresh ones too."""
    simulator.reset(estate(created="P5D", expires="P85D"))
    done = await app.timer("audit")
    assert (None, 1) == (done.error, len(done.messages))


async def test_a_sweep_over_a_broken_vault_still_sees_the_other(
    app: App, simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The vault that could not be listed is named, and the invocation succeeds."""
    simulator.reset(estate(publications=3))
    simulator.firewall("kv-two", closed=True)
    done = await app.timer("sweep")

    assert done.error is None
    assert ["kv-two"] == [event["vault"] for event in told(caplog, "failed")]
    assert [["kv-two"]] == [event["unseen"] for event in told(caplog, "sweep")]


@SCHEMAS
@pytest.mark.parametrize("kind", [NEAR_EXPIRY, EXPIRED], ids=["near expiry", "expired"])
@pytest.mark.parametrize("sent", [dict, quirky], ids=["tidy", "quirks"])
async def test_an_event_becomes_a_message(
    app: App, simulator: ControlClient, make: MakeEvent, kind: str, sent: Callable[[Event], Event]
) -> None:
    """The message names secret and version, whatever the schema and its quirks; nothing was contacted."""
    done = await app.event("near_expiry", sent(make("kv-one", "secret-0", "0123456789abcdef0123456789abcdef", kind)))

    assert done.error is None
    (content,) = map(json.loads, done.messages)
    occasion = {"secret": "kv-one/secret-0", "version": "0123456789abcdef0123456789abcdef"}
    assert (occasion, ["kv-one/secret-0"]) == (content["request"]["occasion"], content["secrets"])
    assert [] == simulator.journal()


@SCHEMAS
@pytest.mark.parametrize(
    ("kind", "vault", "because"),
    [
        ("Microsoft.KeyVault.CertificateNearExpiry", "kv-one", "not an event of a secret's expiry"),
        ("Microsoft.KeyVault.SecretNewVersionCreated", "kv-one", "not an event of a secret's expiry"),
        ("Microsoft.Storage.BlobCreated", "kv-one", "not an event of a secret's expiry"),
        (NEAR_EXPIRY, "kv-elsewhere", "the vault is not one of ROTATION_VAULTS"),
        (EXPIRED, "kv-one-too", "the vault is not one of ROTATION_VAULTS"),
    ],
    ids=["certificate", "new version", "another service", "another vault", "a vault of a similar name"],
)
async def test_s7_an_event_that_is_not_ours_is_ignored(  # noqa: PLR0913, PLR0917  fixtures and cases
    app: App,
    simulator: ControlClient,
    caplog: pytest.LogCaptureFixture,
    make: MakeEvent,
    kind: str,
    vault: str,
    because: str,
) -> None:
    """It succeeds, so that it is not delivered again, says why in the log, and contacts no vault."""
    done = await app.event("near_expiry", make(vault, "secret-0", "0", kind))

    assert (None, []) == (done.error, done.messages)
    assert [because] == [event["because"] for event in told(caplog, "ignored")]
    assert [] == simulator.journal()


@pytest.mark.parametrize("data", [None, {}, {"VaultName": "kv-one"}, "text"], ids=["none", "empty", "half", "text"])
async def test_an_event_that_cannot_be_read_is_told(
    app: App, simulator: ControlClient, caplog: pytest.LogCaptureFixture, data: object
) -> None:
    """Delivering it again would not help, so it is logged as failed and done with."""
    done = await app.event("near_expiry", {**event_grid("kv-one", "secret-0", "0"), "data": data})

    assert (None, []) == (done.error, done.messages)
    assert ["bad-input"] == [event["error"] for event in told(caplog, "failed")]
    assert [] == simulator.journal()


async def test_an_attempt_tells_how_the_account_stood(
    app: App, simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """An alert sees by it that a new key was due and was not made."""
    simulator.change_account("stone", locked=True)
    await app.message("rotate_account", message())

    (event,) = told(caplog, "attempt")
    published, due = (datetime.fromisoformat(event[name]) for name in ("published", "due"))
    assert ("refused", 14) == (event["status"], event["days_left"])
    assert timedelta(days=60) == due - published


@SCHEMAS
@pytest.mark.parametrize("sent", [dict, quirky], ids=["tidy", "quirks"])
async def test_an_event_in_the_queue_is_carried_out(
    app: App, simulator: ControlClient, make: MakeEvent, sent: Callable[[Event], Event]
) -> None:
    """Where Event Grid cannot reach the app it fills the queue itself, and the account rotates all the same."""
    event = sent(make("kv-one", "secret-0", current_version("kv-one", "secret-0")))
    done = await app.message("rotate_account", json.dumps(event))

    assert done.error is None
    assert ["key2"] == slots(simulator)


async def test_the_same_event_in_the_queue_twice_is_one_request(app: App, simulator: ControlClient) -> None:
    """Event Grid delivers at least once, whichever way."""
    event = json.dumps(event_grid("kv-one", "secret-0", current_version("kv-one", "secret-0")))
    for _ in range(2):
        assert (await app.message("rotate_account", event)).error is None

    assert 1 == regenerates(simulator)


async def test_an_event_in_the_queue_that_is_not_ours_is_ignored(
    app: App, simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """It is no poison, and leads to no vault outside of the list."""
    elsewhere = {"VaultName": "kv-elsewhere", "ObjectName": "secret-0", "Version": "0"}
    done = await app.message("rotate_account", json.dumps(event_grid("kv-one", "secret-0", "0", data=elsewhere)))

    assert done.error is None
    assert ["the vault is not one of ROTATION_VAULTS"] == [event["because"] for event in told(caplog, "ignored")]
    assert [] == simulator.journal()


async def test_an_event_in_the_queue_that_cannot_be_read_is_raised(app: App) -> None:
    """As any other message that cannot be read it ends in the poison queue, where a person finds it."""
    done = await app.message("rotate_account", json.dumps(event_grid("kv-one", "secret-0", "0", data={})))

    assert done.error is not None
    assert "name no secret" in done.error


async def test_rotate_now_answers_with_the_report(app: App, simulator: ControlClient) -> None:
    """200 and the report of the command line; the slot is the other one."""
    answer = await app.post("rotate_now", ONE)

    assert (200, "application/json") == (answer.status, answer.content_type)
    (account,) = answer.json()["accounts"]
    assert ("changed", ["rotate"]) == (account["status"], [step["action"] for step in account["steps"]])
    assert ["key2"] == slots(simulator)


async def test_the_same_request_id_rotates_once(app: App, simulator: ControlClient) -> None:
    """Repeated although it insists, the request finds itself in the tags."""
    order = {"force": True, "request_id": "incident-one"}
    answers = [await app.post("rotate_now", ONE, order) for _ in range(3)]

    assert [200] * 3 == [answer.status for answer in answers]
    assert ["changed", "left", "left"] == [answer.json()["accounts"][0]["status"] for answer in answers]
    assert 1 == regenerates(simulator)
    assert ["key2"] == slots(simulator)


async def test_a_dry_run_changes_nothing(app: App, simulator: ControlClient) -> None:
    """It says what would be done."""
    answer = await app.post("rotate_now", ONE, {"dry_run": True})

    assert (200, "planned") == (answer.status, answer.json()["accounts"][0]["status"])
    assert [] == changes(simulator)


async def test_a_leaked_key_stops_working_at_once(app: App, simulator: ControlClient) -> None:
    """Compromised without grace: both keys are new."""
    before = simulator.account("stone")
    answer = await app.post("rotate_now", ONE, {"compromised": "active", "grace": "PT0S", "reason": "found in a log"})

    assert 200 == answer.status
    actions = [step["action"] for step in answer.json()["accounts"][0]["steps"]]
    assert ["rotate", "retire"] == actions
    assert before != simulator.account("stone")
    assert ["key2"] == slots(simulator)


@pytest.mark.parametrize(
    ("route", "body", "problem"),
    [
        (ONE, b"{", (400, "bad-input")),
        (ONE, b"[]", (400, "bad-input")),
        (ONE, b"\xff\xfe", (400, "bad-input")),
        (ONE, b"[" * 100_000, (400, "bad-input")),
        (ONE, {"compromised": "all"}, (400, "bad-input")),
        (ONE, {"grace": "PT5M"}, (400, "bad-input")),
        (ONE, {"strange": 1}, (400, "bad-input")),
        ({"vault": "kv-one", "secret": "no/secret"}, None, (400, "bad-input")),
        ({"vault": "kv-elsewhere", "secret": "secret-0"}, None, (404, "not-found")),
        ({"vault": "kv-one", "secret": "nothing"}, None, (404, "not-found")),
    ],
    ids=["no json", "list", "no text", "deep", "role", "grace", "member", "name", "vault", "unmanaged"],
)
async def test_a_bad_order_is_refused_and_touches_nothing(
    app: App, simulator: ControlClient, route: dict[str, str], body: Any, problem: tuple[int, str]
) -> None:
    """A problem document with a stable code."""
    answer = await app.post("rotate_now", route, body)

    assert (problem[0], "application/problem+json") == (answer.status, answer.content_type)
    assert problem == (answer.json()["status"], answer.json()["code"])
    assert [] == changes(simulator)


@asynccontextmanager
async def throttled() -> AsyncIterator[None]:
    """Let another instance run what is invoked: waiting takes no time there, and the quota is met by no other test."""
    async with instance(Hasty()) as hasty:
        with invoked(hasty):
            yield


@pytest.mark.parametrize("body", [{"compromised": "active"}, {"force": True}], ids=["emergency", "force"])
@pytest.mark.parametrize("fault", [{"host": "kv-one"}, {"path": "listKeys"}], ids=["listing", "keys"])
async def test_who_insists_is_told_how_to_ask_again(
    app: App, simulator: ControlClient, fault: dict[str, str], body: dict[str, object]
) -> None:
    """Waiting helps and the queue has nothing of it: the id is there, though nobody had given one."""
    simulator.fault(status=429, retry_after=60, **fault)
    async with throttled():
        ordered = await app.ordered("rotate_now", ONE, body)

    answer, problem = ordered.answered(), ordered.answered().json()
    assert (503, "throttled") == (answer.status, problem["code"])
    assert "; it is not in the queue: " in problem["detail"]
    assert f"ask again with request_id {problem['request_id']}" in problem["detail"]
    assert [] == ordered.messages


@pytest.mark.parametrize(
    ("body", "regenerated"), [({"compromised": "both", "grace": "PT0S"}, {1}), ({"force": True}, {0, 1})]
)
async def test_who_insists_is_told_how_to_ask_again_after_a_mend(
    app: App, simulator: ControlClient, body: dict[str, object], regenerated: set[int]
) -> None:
    """A key has been made by then, and the same request does not make another one."""
    denied = simulator.fault(host="kv-one", method="PUT", status=403)
    ordered = await app.ordered("rotate_now", ONE, body)
    problem = ordered.answered().json()
    simulator.lift(denied)

    assert (502, "forbidden") == (ordered.answered().status, problem["code"])
    assert "; it is not in the queue: " in problem["detail"]
    assert f"after putting that right, ask again with request_id {problem['request_id']}" in problem["detail"]
    again = await app.post("rotate_now", ONE, {**body, "request_id": problem["request_id"]})
    assert 200 == again.status
    assert regenerated == {told["regenerated"] for told in simulator.account("stone")["slots"].values()}
    assert all(row["opens"] for row in simulator.verdict())


async def test_what_is_due_need_not_be_asked_for_again(app: App, simulator: ControlClient) -> None:
    """The next sweep goes on with it by itself."""
    simulator.fault(path="listKeys", status=429, retry_after=60)
    async with throttled():
        answer = await app.post("rotate_now", ONE)

    assert (503, False) == (answer.status, "request_id" in answer.json())


async def test_a_bad_order_is_told_every_complaint_at_once(app: App) -> None:
    """One per member that is wrong."""
    body = {"compromised": "all", "grace": "soon", "force": "yes", "request_id": "a b", "reason": 7}
    answer = await app.post("rotate_now", ONE, body)

    assert 400 == answer.status
    assert set(body) == {complaint.partition(":")[0] for complaint in answer.json()["errors"]}


async def test_a_refusal_is_a_conflict(app: App, simulator: ControlClient) -> None:
    """A read-only lock is named before anything is regenerated."""
    simulator.change_account("stone", locked=True)
    answer = await app.post("rotate_now", ONE)

    assert (409, "application/problem+json") == (answer.status, answer.content_type)
    assert [] == changes(simulator)


async def test_status_lists_every_account(app: App, simulator: ControlClient) -> None:
    """Without a full look no value is read."""
    simulator.reset(estate(publications=3))
    answer = await app.get("status")

    assert (200, "application/json") == (answer.status, answer.content_type)
    (account,) = answer.json()["accounts"]
    assert ("key1", "rotate") == (account["active_slot"], account["verdict"]["action"])
    assert {"/secrets"} == {entry["path"].rstrip("/") for entry in simulator.journal() if not entry["sign_in"]}


async def test_a_deep_status_sees_drift(app: App, simulator: ControlClient) -> None:
    """The listing cannot know that the key was regenerated elsewhere; the full look does, and changes nothing."""
    simulator.regenerate("stone", "key1")
    simulator.clear_journal()
    shallow, deep = await app.get("status"), await app.get("status", deep="true")

    assert "rotate" == shallow.json()["accounts"][0]["verdict"]["action"]
    assert "republish" == deep.json()["accounts"][0]["verdict"]["action"]
    assert [] == changes(simulator)


async def test_a_deep_status_tells_both_keys_by_fingerprint(app: App, simulator: ControlClient) -> None:
    """Where a key was found, this says whose it is and which role ends it."""
    (account,) = (await app.get("status", deep="true")).json()["accounts"]

    assert [("key1", "active"), ("key2", "idle")] == [(key["slot"], key["role"]) for key in account["keys"]]
    every_key = simulator.keys()
    assert {key["fingerprint"] for key in account["keys"]} <= {Sensitive(key).fingerprint for key in every_key}


async def test_status_can_be_narrowed(app: App, simulator: ControlClient) -> None:
    """By vault and by secret; the function key in the query is none of our business."""
    simulator.reset(estate(publications=3))
    narrow = {"secret": "secret-2"}
    assert 1 == len((await app.get("status", vault="kv-two", code="x")).json()["accounts"])
    assert 1 == len((await app.get("status", **narrow)).json()["accounts"])
    assert 404 == (await app.get("status", vault="kv-one", **narrow)).status


@pytest.mark.parametrize(
    ("query", "status"), [({"deep": "perhaps"}, 400), ({"colour": "red"}, 400), ({"vault": "kv-elsewhere"}, 404)]
)
async def test_a_bad_question_is_refused(app: App, query: dict[str, str], status: int) -> None:
    """A problem document again."""
    answer = await app.get("status", **query)
    assert (status, "application/problem+json") == (answer.status, answer.content_type)


async def test_a_message_is_carried_out(app: App, simulator: ControlClient, caplog: pytest.LogCaptureFixture) -> None:
    """The event of the attempt has the request's id, the slots, and the fingerprint of the new key."""
    done = await app.message("rotate_account", message())

    assert done.error is None
    (event,) = told(caplog, "attempt")
    assert ("key1", "key2", "request-one", 1) == (event["from"], event["to"], event["request_id"], event["delivery"])
    assert event["fingerprint"] in json.dumps(simulator.account("stone"))
    assert ["key2"] == slots(simulator)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not JSON"),
        ("rotate it", "not JSON"),
        ("[]", "not an object"),
        ("{}", "of version None, and this app reads version 1"),
        (message(version=0), "of version 0, and this app reads version 1"),
        (message(version=2), "of version 2, and this app reads version 1"),
        (message(secrets=["kv-one"]), "'kv-one' is not VAULT/SECRET"),
        (message(asked="yesterday"), "asked: "),
    ],
    ids=["empty", "text", "list", "nothing", "old", "new", "secret", "time"],
)
async def test_a_message_that_cannot_be_read_fails(
    app: App, simulator: ControlClient, caplog: pytest.LogCaptureFixture, text: str, complaint: str
) -> None:
    """It is raised to the queue with its reason, which parks it in the end; nothing was contacted."""
    done = await app.message("rotate_account", text)

    assert done.error is not None
    assert done.error.startswith("BadInput: ")
    (event,) = told(caplog, "failed")
    assert ("rotate_account", "bad-input", 1) == (event["function"], event["error"], event["delivery"])
    assert complaint in event["message"]
    assert [] == simulator.journal()


async def test_a_message_for_a_strange_vault_is_refused_and_done_with(
    app: App, simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The allow-list holds for the queue too."""
    done = await app.message("rotate_account", message(secrets=["kv-elsewhere/secret-0"]))

    assert done.error is None
    assert ["refuse"] == [event["verdict"] for event in told(caplog, "attempt")]
    assert [] == simulator.journal()


async def test_what_a_person_must_mend_is_not_raised_to_the_queue(
    app: App, simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """No retry helps with a lock, so the message ends as an event at the level of an error."""
    simulator.change_account("stone", locked=True)
    done = await app.message("rotate_account", message())

    assert done.error is None
    assert 1 == len(told(caplog, "attempt"))
    assert logging.ERROR in [record.levelno for record in caplog.records if record.name == "rotation"]


async def test_an_event_for_the_version_before_is_left(app: App, simulator: ControlClient) -> None:
    """Event Grid delivers late as well as twice."""
    stale = event_grid("kv-one", "secret-0", current_version("kv-one", "secret-0"))
    await app.post("rotate_now", ONE)
    simulator.clear_journal()
    for text in (await app.event("near_expiry", stale)).messages:
        assert (await app.message("rotate_account", text)).error is None

    assert [] == changes(simulator)
    assert ["key2"] == slots(simulator)
