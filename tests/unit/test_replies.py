"""Which outcome is which status over HTTP."""

import json
from dataclasses import replace

import pytest

from rotation import replies
from rotation.errors import (
    BadInput,
    BadSettings,
    Busy,
    ChangedMeanwhile,
    CredentialUnavailable,
    Forbidden,
    LeaseLost,
    NeedsOperator,
    NotFound,
    NotYetTrue,
    ReadOnlyLock,
    Refused,
    RotationError,
    SecretDeleted,
    SecretDisabled,
    SharedKeyOff,
    Staged,
    Throttled,
    Transient,
    Unavailable,
    Unexpected,
    Untrusted,
)
from rotation.model import Action, Reason, Request, Role, SecretRef, Verdict
from rotation.report import Outcome, Report, Step
from tests.unit.test_errors import NAMED

REF = SecretRef("kv-one", "secret-0")
LEAK = Request(id="incident-7", compromised=Role.ACTIVE)
ERRORS = {
    BadInput: 400,
    NotFound: 409,
    Busy: 423,
    NotYetTrue: 202,
    Staged: 202,
    BadSettings: 503,
    Throttled: 503,
    Unavailable: 503,
    LeaseLost: 503,
    ChangedMeanwhile: 503,
    Forbidden: 502,
    CredentialUnavailable: 502,
    Untrusted: 502,
    ReadOnlyLock: 409,
    SharedKeyOff: 409,
    SecretDisabled: 409,
    SecretDeleted: 409,
    Refused: 409,
    Unexpected: 500,
}


def report(action: Action, reason: Reason, *, steps: tuple[Step, ...] = (), insisted: bool = False) -> Report:
    """A report about one account without an error."""
    verdict = Verdict(action, reason, "because")
    return Report((Outcome("account", (REF,), verdict, steps, insisted=insisted),))


def test_an_account_that_is_gone_is_not_a_secret_that_is_not_there() -> None:
    """404 speaks of the address; a pass over an account was found by it."""
    failed = Report((Outcome("account", (REF,), error=NotFound("the account does not exist")),))

    assert (404, 409) == (replies.problem(NotFound("no such secret")).status, replies.reported(failed, REF).status)


def test_of_a_vault_that_cannot_be_listed_its_own_problem_says_who_acts() -> None:
    """Missing rights do not come back by waiting."""
    unseen = report(Action.REFUSE, Reason.VAULT_UNSEEN)
    statuses = [
        replies.reported(replace(unseen, problems={"kv-two": problem}), REF).status
        for problem in (Unavailable("gone"), Forbidden("no rights"))
    ]

    assert [503, 409] == statuses


def test_every_error_has_its_status() -> None:
    """A new kind of error has to be given one here."""
    assert ERRORS.keys() == {*NAMED} - {Transient, NeedsOperator}


@pytest.mark.parametrize(("kind", "status"), ERRORS.items(), ids=lambda value: getattr(value, "code", value))
def test_an_error_is_told_with_its_status(kind: type[RotationError], status: int) -> None:
    """What is not finished is accepted with the place to look at; all else is a problem document."""
    failed = Report((Outcome("account", (REF,), error=kind("it went wrong")),))
    reply = replies.reported(failed, REF)
    document = json.loads(reply.text)

    assert status == reply.status
    if status == 202:
        assert "/api/status?vault=kv-one&secret=secret-0" == reply.headers["Location"] == document["look"]
        assert kind.code == document["accounts"][0]["error"]["code"]
    else:
        assert "application/problem+json" == reply.content_type
        assert (status, kind.code, "it went wrong") == (document["status"], document["code"], document["detail"])
        assert kind.code == document["report"]["accounts"][0]["error"]["code"]


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (report(Action.LEAVE, Reason.FRESH), 200),
        (report(Action.LEAVE, Reason.OVERLAP, steps=(Step(Action.ROTATE, Reason.DUE, "due"),)), 200),
        (report(Action.ROTATE, Reason.DUE), 200),
        (report(Action.REFUSE, Reason.READ_ONLY_LOCK), 409),
        (report(Action.REFUSE, Reason.VAULT_UNSEEN), 503),
        (report(Action.LEAVE, Reason.PAUSED), 200),
        (report(Action.LEAVE, Reason.PAUSED, insisted=True), 409),
        (report(Action.LEAVE, Reason.KEYS_BEHIND, insisted=True), 503),
    ],
)
def test_an_outcome_is_told_with_its_status(told: Report, status: int) -> None:
    """Leaving alone is fine unless somebody insisted."""
    reply = replies.reported(told, REF)
    document = json.loads(reply.text)

    assert status == reply.status
    assert told.to_json() == (document if status == 200 else document["report"])
    assert ("Retry-After" in reply.headers) is (status == 503)


def test_who_is_asked_to_slow_down_is_told_for_how_long() -> None:
    """What Azure says is passed on, in whole seconds."""
    assert {"Retry-After": "8"} == replies.problem(Throttled("slow down", 7.2)).headers
    assert {"Retry-After": "60"} == replies.problem(Throttled("slow down")).headers
    assert {} == replies.problem(BadSettings("ROTATION_VAULTS: no vault is named")).headers


def test_several_complaints_are_a_list() -> None:
    """A script need not split a text into lines."""
    assert ["one", "two"] == json.loads(replies.problem(BadInput("one\ntwo")).text)["errors"]
    assert "errors" not in replies.problem(BadInput("one")).document


def test_what_nobody_goes_on_with_is_to_be_asked_for_again() -> None:
    """It is not accepted, although the same error is where the queue goes on."""
    failed = Report((Outcome("account", (REF,), error=NotYetTrue("it is not there yet")),))
    reply = replies.to_be_repeated(
        replies.unfinished(NotYetTrue("it is not there yet"), failed), Request(id="incident-7", force=True)
    )

    assert (503, {"Retry-After": "60"}) == (reply.status, reply.headers)
    assert (
        "it is not there yet; it is not in the queue: ask again with request_id incident-7" == reply.document["detail"]
    )
    assert failed.to_json() == reply.document["report"]


@pytest.mark.parametrize(
    "error", [Busy("held"), LeaseLost("it ran out"), Throttled("429")], ids=lambda error: error.code
)
@pytest.mark.parametrize("request_", [LEAK, Request(id="incident-7", force=True)], ids=["emergency", "force"])
def test_who_repeats_an_emergency_compares_fingerprints_first(error: Transient, request_: Request) -> None:
    """Another pass may have replaced the leaked key, and said again the role means the good one."""
    detail = str(replies.to_be_repeated(replies.problem(error), request_).document["detail"])

    assert "ask again with request_id incident-7" in detail
    assert ("only while /api/status?deep=true tells its fingerprint" in detail) is (request_ is LEAK)


def test_what_needs_a_person_first_is_to_be_asked_for_again_then() -> None:
    """The key may be made already, and the request must not make another one."""
    failed = Report((Outcome("account", (REF,), error=Forbidden("no right to write")),))
    reply = replies.to_be_repeated(replies.reported(failed, REF), Request(id="incident-7", force=True))

    assert (502, "incident-7") == (reply.status, reply.document["request_id"])
    assert (
        "no right to write; it is not in the queue: after putting that right, ask again with request_id incident-7"
        == reply.document["detail"]
    )


def test_who_declared_a_key_that_nobody_has_is_told_where_to_look() -> None:
    """The queue finds nothing to end, and a role that is said again would mean another key."""
    reply = replies.queued(replies.accepted({}, REF), replace(LEAK, suspects=()), "message")

    assert (
        "the queue goes on with it; no key is there that was meant and that anybody was given; "
        "`look` tells how the account stands"
    ) == reply.document["next"]
