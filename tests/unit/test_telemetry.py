"""The events that queries and alerts rely on."""

import json
import logging
from datetime import UTC, datetime

import pytest

from rotation import telemetry
from rotation.errors import BadSettings, Busy, Refused, RotationError, Staged, Throttled
from rotation.model import Action, Reason, SecretRef, Verdict
from rotation.report import Outcome, Step

REF = SecretRef("kv-one", "secret-0")
THEN = datetime(2031, 5, 1, tzinfo=UTC)
DONE = Step(
    Action.ROTATE,
    Reason.DUE,
    "due",
    (REF,),
    "key2",
    fingerprint="0123456789ab",
    replaced="ba9876543210",
    previous_until=THEN,
)
REST = Verdict(Action.LEAVE, Reason.OVERLAP, "promised")


def told(caplog: pytest.LogCaptureFixture) -> tuple[dict[str, object], int]:
    """The one event, and how loud it was."""
    (record,) = caplog.records
    return json.loads(record.getMessage()), record.levelno


def test_an_attempt_is_told_with_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    """The names are part of the interface; docs/functions.md explains them."""
    telemetry.configure()
    outcome = Outcome("/account", (REF,), REST, (DONE,), request_id="one", trigger="schedule", seconds=1.23456)
    telemetry.attempt("rotate_account", outcome, calls=9, days_left=30, delivery=1)

    assert told(caplog) == (
        {
            "event": "rotation.attempt",
            "function": "rotate_account",
            "account": "/account",
            "vaults": ["kv-one"],
            "secrets": ["kv-one/secret-0"],
            "status": "changed",
            "verdict": "leave",
            "reason": "overlap",
            "because": "promised",
            "steps": ["rotate: due"],
            "to": "key2",
            "fingerprint": "0123456789ab",
            "replaced": ["ba9876543210"],
            "previous_key_until": "2031-05-01T00:00:00Z",
            "request_id": "one",
            "trigger": "schedule",
            "seconds": 1.235,
            "calls": 9,
            "days_left": 30,
            "delivery": 1,
        },
        logging.INFO,
    )


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (Busy("another pass"), logging.INFO),
        (Staged("not accepted yet"), logging.INFO),
        (Throttled("slow down"), logging.WARNING),
        (Refused("no"), logging.ERROR),
    ],
    ids=lambda value: getattr(value, "code", value),
)
def test_an_alert_need_look_at_the_level_only(
    caplog: pytest.LogCaptureFixture, error: RotationError, level: int
) -> None:
    """An error is for a person, a warning for the next pass, and what is usual is neither."""
    telemetry.configure()
    telemetry.attempt("rotate_account", Outcome("/account", (REF,), error=error))
    event, loud = told(caplog)

    assert (error.code, str(error), level) == (event["error"], event["message"], loud)


def test_a_refusal_is_for_a_person(caplog: pytest.LogCaptureFixture) -> None:
    """It stops the rotation of an account until somebody does something."""
    telemetry.configure()
    telemetry.attempt("sweep", Outcome("", (REF,), Verdict(Action.REFUSE, Reason.TAGS_UNREADABLE, "tags")))

    assert logging.ERROR == told(caplog)[1]


def test_what_went_wrong_as_a_whole_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """With every complaint, in one line of log."""
    telemetry.configure()
    telemetry.failed("sweep", BadSettings("one\ntwo"))

    assert "\n" not in caplog.records[0].getMessage()
    assert told(caplog) == (
        {"event": "rotation.failed", "function": "sweep", "error": "bad-settings", "message": "one\ntwo"},
        logging.ERROR,
    )


def test_the_sdks_are_quiet(caplog: pytest.LogCaptureFixture) -> None:
    """They would log every request with its headers."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("azure").setLevel(logging.NOTSET)
    telemetry.configure()
    logging.getLogger("azure.core.pipeline.policies.http_logging_policy").info("Request URL: …")
    logging.getLogger("azure.identity.aio._credentials.chained").warning("Content: …")

    assert [] == caplog.records
