"""What strangers put into the queue, or send as an event: a clean refusal, or what the functions would do anyway."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import product
from typing import Any, TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rotation.clock import SystemClock
from rotation.errors import BadInput, RotationError, Transient
from rotation.events import NEAR_EXPIRY
from rotation.messages import MAX_SECRETS, MAX_TEXT, Work, read, write
from rotation.model import Request, Role, SecretRef
from simulator.client import ControlClient
from tests.functions.host import queues
from tests.integration.estates import one_account
from tests.integration.triggered import app
from tests.security.amounts import tries
from tests.security.contacts import strangers
from tests.seeing import changes, told

T = TypeVar("T")

GOOD_DATA = {"VaultName": "kv-one", "ObjectName": "secret-0", "Version": "0123456789abcdef"}
NAMES = st.sampled_from(
    [
        "kv-one/secret-0",
        "KV-ONE/SECRET-0",
        "kv-two/secret-0",
        "kv-other/secret-0",
        "kv-one/..",
        "../kv-one/secret-0",
        "kv-one/%2e%2e",
        "kv-one%2fsecret-0",
        "kv-one/secret-0/0123456789abcdef",
        "kv-one/secret-0?api-version=1",
        "kv-one/secret-0#",
        "kv-one@evil.example/secret-0",
        "evil.example#kv-one/secret-0",
        "evil.example:443/secret-0",
        "https://kv-one.vault.azure.net/secrets/secret-0",
        "kv-\u00f6ne/secret-0",
        "xn--kv-ne-jua/secret-0",
        "\u212av-one/secret-0",
        "kv-one/secret-0\n",
        "kv-one/\x1b[2Jsecret-0",
        "kv-one/\u202esecret-0",
        "kv-one/\ud800",
        "kv-one/" + "s" * 100_000,
        "/",
        "",
    ]
)
ACCOUNTS = st.sampled_from(
    [
        None,
        "{id}",
        "{id}/",
        "{id}/blobServices/default",
        "{id}?x=",
        "{id}#",
        "https://evil.example{id}",
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/other",
    ]
)
suspects = st.fixed_dictionaries(
    {
        "slot": st.sampled_from(["key1", "key2", "key3", "", "Key1\n"]),
        "fingerprint": st.sampled_from(["", "0" * 12, "\x1b[2J"]),
        "published": st.booleans(),
    }
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)
RAW = st.sampled_from(
    [
        b"",
        b"null",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"version":' + b"[" * 9_000 + b"]" * 9_000 + b"}",
        b'{"version":' + b"9" * 4_000 + b"}",
        b'{"version": 1e999}',
        b'{"version": NaN}',
        b'{"version": "' + b"x" * 1_000_000 + b'"}',
        b'{"version": 1, "version": 2}',
    ]
)


def good(account: str) -> dict[str, Any]:
    """A message that is carried out, from an operator who insists."""
    request: dict[str, Any] = {
        "trigger": "operator",
        "id": "one",
        "occasion": None,
        "compromised": None,
        "grace": "PT15M",
        "force": True,
        "suspects": [],
    }
    asked = SystemClock().now().isoformat()
    return {"version": 1, "asked": asked, "account": account, "secrets": ["kv-one/secret-0"], "request": request}


def paths(message: Mapping[str, Any], start: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Where something stands in a message."""
    inner = [p for name, value in message.items() if isinstance(value, dict) for p in paths(value, (*start, name))]
    return [*((*start, name) for name in message), *inner]


def replaced(message: Mapping[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    """A message with something else at one place."""
    name, *rest = path
    return {**message, name: replaced(message[name], tuple(rest), value) if rest else value}


@st.composite
def mutations(draw: st.DrawFn, account: str) -> bytes:
    """A good message with something else in one or two places, perhaps cut off."""
    message = good(account)
    fitting = {
        "secrets": st.lists(NAMES, min_size=1, max_size=3),
        "account": ACCOUNTS.map(lambda text: text and text.format(id=account)),
        "asked": st.datetimes().map(datetime.isoformat) | st.just("9999-12-31T23:59:59-23:59"),
        "occasion": st.fixed_dictionaries({"secret": NAMES, "version": st.text(max_size=9)}),
        "id": st.uuids().map(str),
        "compromised": st.sampled_from(Role),
        "suspects": st.lists(suspects, max_size=3),
    }
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(paths(message)))
        fits = fitting.get(path[-1], anything)
        message = replaced(message, path, draw(st.one_of(fits, fits, fits, anything)))
    text = json.dumps(message).encode()
    return text[: draw(st.integers(0, len(text)))] if draw(st.integers(0, 9)) == 0 else text


@tries(1000)
@given(anything.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=100) | RAW)
@example(b'{"version": 1, "asked": "\\ud800"}')
def test_whatever_is_no_message_is_refused(text: bytes) -> None:
    """One kind of error, one printable line, however large the message."""
    with pytest.raises(BadInput) as caught:
        read(text)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 2 * MAX_TEXT


@pytest.mark.usefixtures("host_storage")
async def test_a_mutated_message_is_refused_or_does_what_it_says(
    simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """S1, S7: through the worker, only vaults of the settings and their account are contacted, whatever it says."""
    simulator.reset(one_account("storage", publications=3))
    (account,) = simulator.accounts()
    raised: list[RotationError] = []
    elsewhere = {**good(account["id"]), "account": account["id"].replace("stone", "other")}
    async with app() as triggers:
        for text in [*drawn(mutations(account["id"]), 1000), json.dumps(elsewhere).encode()]:
            try:
                await triggers.rotate_account(text)
            except (BadInput, Transient) as error:
                raised.append(error)
    ended = {error.code for error in raised}

    assert [] == [error for error in raised if error.__cause__ or not error.__suppress_context__]
    assert all(str(error).isprintable() for error in raised)
    assert {"bad-input", "changed-meanwhile"} <= ended
    assert set() == strangers(simulator, ["kv-one", "kv-two"])
    assert [] == [row for row in simulator.verdict() if not row["opens"]]
    assert "unexpected" not in {event["error"] for event in told(caplog, "failed")}
    assert changes(simulator), "some say what a good one says"


@pytest.mark.usefixtures("host_storage")
@pytest.mark.parametrize("role", [None, *Role])
async def test_suspects_of_a_stranger_cost_no_published_key(simulator: ControlClient, role: Role | None) -> None:
    """S1: whichever keys a message calls compromised, and whatever it says of their use."""
    for slot, other, published in product(("key1", "key2"), ("key1", "key2"), (True, False)):
        simulator.reset(one_account("storage", publications=3))
        (account,) = simulator.accounts()
        suspect = {"slot": slot, "fingerprint": account["slots"][other]["fingerprint"], "published": published}
        request = {"compromised": role, "suspects": [suspect, suspect], "grace": "PT0S"}
        message = good(account["id"])
        message["request"] |= {**request, "force": role is None}
        async with app() as triggers:
            await triggers.rotate_account(json.dumps(message).encode())

        assert [True] * 3 == [row["opens"] for row in simulator.verdict()]


WIDE = {"secrets": [f"kv-one/{n:0127}" for n in range(MAX_SECRETS)]}
BULKY: dict[str, dict[str, Any]] = {
    "members that nobody knows": {f"member {n}": "x" * 100 for n in range(500)},
    "a member without end": {"comment": "x" * 60_000},
    "secrets that are not there": WIDE,
    "secrets of other vaults": {"secrets": [ref.replace("kv-one", "kv-other") for ref in WIDE["secrets"]]},
    "secrets that are none": {"secrets": ["x" * 999] * 60},
    "too many secrets": {"secrets": ["kv-one/s"] * 5000},
    "a version without end": {"version": "x" * 60_000},
}


@pytest.mark.usefixtures("host_storage")
@pytest.mark.parametrize("bulk", BULKY.values(), ids=BULKY)
async def test_a_bulky_message_does_not_flood_the_log(
    simulator: ControlClient, caplog: pytest.LogCaptureFixture, bulk: dict[str, Any]
) -> None:
    """A line tells of its secrets once, and of nothing else that somebody made long."""
    simulator.reset(one_account("storage"))
    (account,) = simulator.accounts()
    async with app() as triggers:
        with suppress(BadInput, Transient):
            await triggers.rotate_account(json.dumps({**good(account["id"]), **bulk}).encode())
    lines = [record.getMessage() for record in caplog.records if record.name == "rotation"]

    assert lines
    for line in lines:
        rest = {name: value for name, value in json.loads(line).items() if name != "secrets"}
        assert max(len(json.dumps(value)) for value in rest.values()) < 2 * MAX_TEXT


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """An event, in either schema, with something else in one or two places."""
    vault, _, name = draw(NAMES).partition("/")
    data = {"VaultName": vault, "ObjectName": name, "Version": "0123456789abcdef", "NBF": None, "EXP": "1"}
    kind = draw(st.sampled_from(["eventType", "type", "EventType "]))
    event = {"id": draw(st.text(max_size=60)), kind: NEAR_EXPIRY, "subject": "secret-0", "data": data}
    for _ in range(draw(st.integers(0, 2))):
        path = draw(st.sampled_from(paths(event)))
        event = replaced(event, path, draw(anything | st.just("x" * 100_000)))
    return event


HARD: list[dict[str, Any]] = [
    {"id": "\ud800", "type": NEAR_EXPIRY, "data": GOOD_DATA},
    {"id": "", "type": NEAR_EXPIRY, "data": GOOD_DATA},
    {"id": "1", "type": NEAR_EXPIRY, "data": {**GOOD_DATA, "Version": "v" * 70_000}},
    {"id": "1", "type": "x" * 70_000, "data": GOOD_DATA},
    {"id": "1", "type": [["x"]], "data": GOOD_DATA},
]


@pytest.mark.usefixtures("host_storage")
async def test_an_event_becomes_a_message_for_an_allowed_vault_or_nothing(
    simulator: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """S7: nothing is contacted, what goes to the queue can be read and fits, and what is wrong is told in a line."""
    accepted = 0
    async with app() as triggers:
        for event in [*HARD, *drawn(events() | st.dictionaries(st.text(max_size=9), anything), 800)]:
            message = await triggers.near_expiry(event)
            if message is not None:
                accepted += 1
                work = read(message)
                assert {"kv-one", "kv-two"} >= {ref.vault for ref in work.secrets}
                assert (False, None, None) == (work.request.force, work.request.compromised, work.account)
                assert len(message) < 1000

    assert accepted > len(HARD)
    assert "unexpected" not in {failure["error"] for failure in told(caplog, "failed")}
    assert all(len(record.getMessage()) < 3 * MAX_TEXT and record.getMessage().isascii() for record in caplog.records)
    assert [] == simulator.journal()


@pytest.mark.parametrize("number", [1, MAX_SECRETS + 100])
async def test_no_account_is_too_widely_published_for_the_queue(azurite: str, number: int) -> None:
    """Whoever may write secrets could otherwise stop every sweep, with secrets of long names for one account."""
    refs = tuple(SecretRef("v" * 24, f"{n:0127}") for n in range(number))
    text = write(Work(secrets=refs, request=Request(id="i" * 40), asked=datetime.max.replace(tzinfo=UTC)))
    async with queues(azurite) as found:
        await found.clear()
        await found.put([text])

        assert [text] == await found.waiting()
    assert refs[:MAX_SECRETS] == read(text).secrets


def drawn(strategy: st.SearchStrategy[T], number: int) -> list[T]:
    """So many examples, for what cannot be called by Hypothesis."""
    found: list[T] = []

    @tries(number)
    @given(strategy)
    def draw(example: T) -> None:
        found.append(example)

    draw()
    return found
