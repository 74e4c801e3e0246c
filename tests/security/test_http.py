"""The HTTP functions as a stranger with a function key finds them: requests drawn from their description, good and bad.

Every answer is one that is described, nothing fails, nothing changes unless it was asked for, and nobody is contacted
but the vaults and accounts of the estate.
"""

import json
from collections import Counter
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import GenerationMode

from simulator.client import ControlClient
from tests.heard import note
from tests.security.amounts import tries
from tests.security.contacts import strangers
from tests.security.description import checks, operations
from tests.security.served import Served
from tests.seeing import changes, slots

if TYPE_CHECKING:
    from schemathesis import Case

OPERATIONS = operations()
VAULTS = ("kv-orders", "kv-billing")
SECRETS = ("orders-storage-key", "orders-storage-connection", "live-connection", "orders-smtp-password")
CONFORMS = checks(
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)


def cases(function: str, mode: GenerationMode) -> st.SearchStrategy["Case[Any]"]:
    """Requests to one function, half of them about secrets that there are."""
    operation = OPERATIONS[function]
    places = st.fixed_dictionaries({"vault": st.sampled_from(VAULTS), "secret": st.sampled_from(SECRETS)})
    known = places.flatmap(
        lambda place: operation.as_strategy(
            mode,
            **({"path_parameters": place} if function == "rotate_now" else {"query": place}),
        )
    )
    anywhere: st.SearchStrategy[Case[Any]] = operation.as_strategy(mode)
    return anywhere | known


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize(("function", "number"), [("rotate_now", 200), ("status", 150)])
def test_every_answer_is_described_and_nothing_happens_unasked(
    simulator: ControlClient, served: Served, function: str, number: int, *, mode: GenerationMode
) -> None:
    """S7: whatever is sent, the journal shows no change that was not asked for, and no stranger."""
    # What is due is done whoever asks: afterwards only those who insist change anything.
    for secret in SECRETS[:3]:
        requests.post(f"{served.here}/api/rotate/kv-orders/{secret}", timeout=60)
    simulator.clear_journal()
    statuses, changed = Counter[int](), 0

    with requests.Session() as session:

        @tries(number)
        @given(cases(function, mode))
        def ask(case: "Case[Any]") -> None:
            nonlocal changed
            answer = case.call(f"{served.here}/api", session=session, timeout=60)
            note(f"{answer.headers}\n{answer.text}")
            case.validate_response(answer, checks=CONFORMS)
            assert set() == strangers(simulator, VAULTS)
            done = len(changes(simulator))
            assert not done or (insists(case.body) and answer.status_code == HTTPStatus.OK)
            statuses[answer.status_code] += 1
            changed += done
            simulator.clear_journal()

        ask()

    # Otherwise nothing was tried.
    assert {200, 404} <= statuses.keys() if mode is GenerationMode.POSITIVE else 400 in statuses
    if not changed:
        # Chance brought nobody who insists; such a one is heard.
        requests.post(f"{served.here}/api/rotate/kv-orders/{SECRETS[0]}", json={"force": True}, timeout=60)
        assert changes(simulator)
    assert slots(simulator)


def insists(body: Any) -> bool:
    """Whether a body asks for a change although nothing is due."""
    wishes = body if isinstance(body, dict) else {}
    return bool(wishes.get("force") or wishes.get("compromised")) and not wishes.get("dry_run")


HERE = ("kv-orders", "orders-storage-key")
TRICKS = [
    "",
    ".",
    "..",
    "%2e%2e",
    "..%2f..",
    "%2F",
    "%252f",
    "%5c",
    "%00",
    "%0d%0aX-Injected:%201",
    "%1b[2J",
    "@evil.example",
    "evil.example%23",
    "evil.example%3f",
    "kv-orders.evil.example",
    "kv-orders.vault.azure.net",
    "kv-orders:443",
    "kv-orders%40evil.example",
    "kv-orders%2forders-storage-key",
    "kv-orders-",
    "kv-%C3%B6rders",
    "xn--kv-rders-q4a",
    "%EF%BD%8Bv-orders",
    "%E2%84%AAv-orders",
    "kv%E2%80%8B-orders",
    "%FF%FE",
    "{vault}",
    "{0.__class__}",
    "%s%n",
    "a" * 5000,
]
"""What stands in the place of a name to lead elsewhere: out of the path, to another host, to one of the same look."""

good_orders = st.fixed_dictionaries(
    {},
    optional={
        "compromised": st.sampled_from(["active", "idle", "both"]),
        "grace": st.sampled_from(["PT0S", "P1D"]),
        "force": st.booleans(),
        "reason": st.text(max_size=20),
        "request_id": st.sampled_from(["incident-7", "incident-7:active", "a b", "../x"]),
    },
).map(lambda order: json.dumps({**order, "dry_run": True}).encode())
bodies = (
    good_orders
    # An empty body, or object, is a good order, and would be carried out.
    | st.tuples(good_orders, st.integers(1, 100)).map(lambda drawn: drawn[0][: drawn[1]])
    | good_orders.map(lambda body: body.decode().encode("utf-16"))
    | st.binary(max_size=2000).map(lambda raw: b"{," + raw)
    | st.sampled_from([b"[" * 100_000, b'{"a":' * 50_000, b'{"grace": "' + b"x" * 1_000_000 + b'"}', b"1" * 10_000])
    | st.integers(1, 5000).map(lambda number: json.dumps({f"member {n}": n for n in range(number)}).encode())
)


@tries(200)
@given(vault=st.sampled_from([HERE[0], *TRICKS]), secret=st.sampled_from([HERE[1], *TRICKS]), body=bodies)
def test_a_path_leads_nowhere_else(
    simulator: ControlClient, served: Served, vault: str, secret: str, body: bytes
) -> None:
    """S7: sent as they are, names that are none end as 400 or 404, whatever stands in the body, and change nothing."""
    connection = HTTPConnection(urlsplit(served.here).netloc, timeout=60)
    with closing(connection):
        connection.request("POST", f"/api/rotate/{vault}/{secret}", body)
        answer = connection.getresponse()
        said = note(answer.read().decode())

    assert answer.status in ({200, 400} if (vault, secret) == HERE else {400, 404})
    assert "Injected" not in str(answer.headers)
    assert len(said) < 20_000
    assert said.replace("\n", "").isprintable()
    assert set() == strangers(simulator, VAULTS)
    assert [] == changes(simulator)


def test_the_app_has_told_of_no_defect(served: Served) -> None:
    """What all of these requests left in its output."""
    said = served.output.read_text()

    # Of what is no HTTP the server tells with a traceback of its own parser.
    defects = [trace for trace in said.split("Traceback")[1:] if "/rotation/" in trace or "/tests/" in trace]
    assert [] == defects
    assert "please report it" not in said
