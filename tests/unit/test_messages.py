"""Messages survive the queue, and what is no message is named."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from rotation.errors import BadInput
from rotation.messages import MAX_SECRETS, Work, read, write
from rotation.model import AccountId, Occasion, Request, Role, SecretRef, Suspect, Trigger

ACCOUNT = AccountId.parse(
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-one"
    "/providers/Microsoft.Storage/storageAccounts/stone"
)
REF = SecretRef("kv-one", "secret-0")
ASKED = datetime(2031, 5, 1, 12, 30, 15, 999_999, tzinfo=UTC)
PLAIN = Work(account=ACCOUNT, secrets=(REF,), request=Request(id="one"), asked=ASKED)

WORKS = {
    "sweep": PLAIN,
    "several secrets": Work(
        account=ACCOUNT, secrets=(REF, SecretRef("kv-two", "s")), request=Request(id="one"), asked=ASKED
    ),
    "event": Work(secrets=(REF,), request=Request(Trigger.EVENT, "e", Occasion(REF, "v1")), asked=ASKED),
    "force": Work(secrets=(REF,), request=Request(Trigger.OPERATOR, "f", force=True), asked=ASKED),
    "emergency": Work(
        secrets=(REF,),
        request=Request(Trigger.OPERATOR, "c", compromised=Role.BOTH, grace=timedelta(minutes=3)),
        asked=ASKED,
    ),
    "emergency for certain keys": Work(
        account=ACCOUNT,
        secrets=(REF,),
        request=Request(
            Trigger.OPERATOR,
            "c",
            compromised=Role.BOTH,
            suspects=(
                Suspect("key1", "0123456789ab", published=True),
                Suspect("key2", "ba9876543210", published=False),
            ),
            as_of=ASKED,
        ),
        asked=ASKED,
    ),
    "emergency for a key that is gone": Work(
        secrets=(REF,), request=Request(Trigger.OPERATOR, "c", compromised=Role.IDLE, suspects=()), asked=ASKED
    ),
}


def message(**changes: object) -> str:
    """A good message with some fields replaced."""
    return json.dumps({**json.loads(write(PLAIN)), **changes})


def request(**changes: object) -> Mapping[str, object]:
    """The request of a good message with some fields replaced."""
    return {**json.loads(write(PLAIN))["request"], **changes}


@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
def test_what_was_written_is_read(work: Work) -> None:
    """Nothing that is asked for is lost or added on the way, to the microsecond."""
    assert work == read(write(work))
    assert work == read(write(work).encode())


def test_a_message_is_one_message() -> None:
    """The host makes several messages of a text that is a JSON array."""
    assert isinstance(json.loads(write(PLAIN)), dict)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not an object"),
        ("7", "not an object"),
        (message(version=None), "version None"),
        (message(version=0), "version 0"),
        (message(version=2), "version 2"),
        (message(version="1"), "version '1'"),
        (message(version=True), "version True"),
        (message(version=1.0), "version 1.0"),
        (message(account="stone"), "account: not the resource id"),
        (message(account=7), "account: not a text"),
        (message(secrets=[]), "secrets: not a list"),
        (message(secrets="kv-one/secret-0"), "secrets: not a list"),
        (message(secrets=[7]), "secrets: not a text"),
        (message(secrets=["kv-one"]), "secrets: 'kv-one' is not VAULT/SECRET"),
        (message(secrets=None), "no secrets"),
        (message(secrets=["kv-one/secret-0"] * (MAX_SECRETS + 1)), "secrets: more than 250"),
        (message(asked=None), "no asked"),
        (message(asked="yesterday"), "asked: "),
        (message(asked="2031-05-01T12:00:00"), "asked: a time without an offset"),
        (message(request=None), "no request"),
        (message(request="now"), "request: not an object"),
        (message(request=request(trigger="whim")), "trigger: "),
        (message(request=request(id=None)), "no id"),
        (message(request=request(id="a b")), "id: a request id has"),
        (message(request=request(grace="soon")), "grace: "),
        (message(request=request(force=1)), "force: neither true nor false"),
        (message(request=request(compromised="all")), "compromised: "),
        (message(request=request(suspects="key1")), "suspects: not a list"),
        (message(request=request(as_of="today")), "as_of: "),
        (message(request=request(occasion="kv-one/secret-0")), "occasion: not an object"),
        (message(request=request(occasion={"secret": "kv-one/secret-0"})), "occasion: not a text"),
    ],
)
def test_what_is_wrong_is_named(text: str | bytes, named: str) -> None:
    """Whoever finds a message in the poison queue learns from the log what is wrong with it."""
    with pytest.raises(BadInput, match="message") as caught:
        read(text)

    assert named in str(caught.value)
