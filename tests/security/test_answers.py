"""Every status that is described is given over real HTTP, in the form that is described."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from rotation.orders import MAX_BODY
from simulator.client import ControlClient
from tests.heard import note
from tests.security.description import PLATFORM, checks, operations
from tests.security.served import Served

OPERATIONS = operations()
STORAGE = "stcontosoorders"
PLACE = {"vault": "kv-orders", "secret": "orders-storage-key"}
FORMS = checks(
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


def asked(served: Served, function: str, *, query: Any = None, place: Any = PLACE, body: Any = None) -> int:
    """Ask, check the form of the answer, and return its status."""
    told = {"path_parameters": place, "body": body} if function == "rotate_now" else {"query": query}
    case = OPERATIONS[function].Case(**{name: value for name, value in told.items() if value is not None})
    answer = case.call(f"{served.here}/api", timeout=60)
    note(f"{answer.headers}\n{answer.text}")
    case.validate_response(answer, checks=FORMS)
    return int(answer.status_code)


Prepared = Callable[[ControlClient], object]
ANSWERS: dict[str, tuple[int, Prepared, dict[str, Any]]] = {
    "done": (200, lambda _: None, {}),
    "planned": (200, lambda _: None, {"body": {"dry_run": True}}),
    "an emergency": (200, lambda _: None, {"body": {"compromised": "both", "grace": "PT0S"}}),
    "repaired": (200, lambda azure: azure.regenerate(STORAGE, "key1"), {}),
    "misunderstood": (400, lambda _: None, {"body": {"grace": "soon", "colour": "red"}}),
    "unmanaged": (404, lambda _: None, {"place": {**PLACE, "secret": "orders-smtp-password"}}),
    "another vault": (404, lambda _: None, {"place": {**PLACE, "vault": "kv-other"}}),
    "locked": (409, lambda azure: azure.change_account(STORAGE, locked=True), {}),
    "incomprehensible": (500, lambda azure: azure.fault(path="listKeys", status=200, body="["), {}),
    "denied": (502, lambda azure: azure.deny("Microsoft.Storage/storageAccounts/listkeys/action"), {}),
    "gone": (409, lambda azure: azure.fault(path=f"{STORAGE}/listKeys$", status=404), {}),
    "unseen": (409, lambda azure: azure.firewall("kv-billing", closed=True), {}),
}
LATER: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "throttled": ({"path": "listKeys"}, {}),
    "an emergency to be repeated": ({"host": "kv-orders"}, {"body": {"compromised": "active"}}),
    "unseen for now": ({"host": "kv-billing"}, {}),
}
"""What is refused for a quota, to which orders."""
QUESTIONS: dict[str, tuple[int, Prepared, dict[str, str]]] = {
    "everything": (200, lambda _: None, {}),
    "deeply": (200, lambda _: None, {"deep": "true"}),
    "one": (200, lambda _: None, {"vault": "kv-orders", "secret": "live-connection"}),
    "without keys": (200, lambda azure: azure.change_account(STORAGE, shared_keys=False), {"deep": "TRUE"}),
    "half seen": (200, lambda azure: azure.firewall("kv-billing", closed=True), {}),
    "strays": (200, lambda azure: azure.add_secret("kv-orders", name="stray", tags={"resource-id": "x"}), {}),
    "misunderstood": (400, lambda _: None, {"deep": "1", "colour": "red"}),
    "unmanaged": (404, lambda _: None, {"secret": "nothing"}),
}


@pytest.mark.parametrize(("status", "prepare", "told"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_of_a_rotation_is_as_described(
    simulator: ControlClient, served: Served, status: int, prepare: Prepared, told: dict[str, Any]
) -> None:
    """Good ones and bad ones."""
    prepare(simulator)

    assert status == asked(served, "rotate_now", **told)


@pytest.mark.parametrize(("fault", "told"), LATER.values(), ids=LATER)
def test_an_answer_that_says_to_come_again_is_as_described(
    simulator: ControlClient, served_alone: Served, fault: dict[str, str], told: dict[str, Any]
) -> None:
    """By an app of its own, since one that was refused for a quota waits before it asks for anything again."""
    simulator.fault(**fault, status=429, retry_after=60)

    assert 503 == asked(served_alone, "rotate_now", **told)


@pytest.mark.parametrize(("status", "prepare", "query"), QUESTIONS.values(), ids=QUESTIONS)
def test_an_answer_of_the_status_is_as_described(
    simulator: ControlClient, served: Served, status: int, prepare: Prepared, query: dict[str, str]
) -> None:
    """With what is known, what is not, and what cannot be seen."""
    prepare(simulator)

    assert status == asked(served, "status", query=query)


@contextmanager
def rotating(simulator: ControlClient, served: Served) -> Iterator[None]:
    """A pass that is at work on the account."""
    fault = simulator.fault(path=f"{STORAGE}/regenerateKey$", stall=True, times=1)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(asked, served, "rotate_now")
        try:
            assert 1 == simulator.hits(fault, wait=30)
            yield
        finally:
            simulator.lift(fault)
        assert 200 == first.result()


def test_who_comes_second_is_told_as_described(simulator: ControlClient, served: Served) -> None:
    """423 while another pass holds the account."""
    with rotating(simulator, served):
        assert 423 == asked(served, "rotate_now")


def test_who_comes_second_in_an_emergency_is_told_as_described(simulator: ControlClient, served_alone: Served) -> None:
    """202, as the queue sees to it."""
    with rotating(simulator, served_alone):
        assert 202 == asked(served_alone, "rotate_now", body={"compromised": "idle"})


def test_who_has_to_wait_is_told_as_described(simulator: ControlClient, served_alone: Served) -> None:
    """202 while a new key is not accepted."""
    simulator.behave(propagation_delay=30)

    assert 202 == asked(served_alone, "rotate_now")


@pytest.mark.parametrize("query", [{"dry_run": "true"}, {"CODE": "x"}, {"vault": "kv-orders"}])
def test_a_query_is_refused_as_described(simulator: ControlClient, served: Served, query: dict[str, str]) -> None:
    """Who says dry_run there is not taken for somebody who does not say it; the function key is the host's."""
    case = OPERATIONS["rotate_now"].Case(path_parameters=PLACE, query=query)
    answer = case.call(f"{served.here}/api", timeout=60)
    case.validate_response(answer, checks=FORMS)

    assert 400 == answer.status_code
    assert [] == simulator.journal()


def test_a_body_that_is_too_long_is_refused_as_described(simulator: ControlClient, served: Served) -> None:
    """With a clear 400, and before anything is read."""
    address = f"{served.here}/api/rotate/kv-orders/orders-storage-key"
    answer = requests.post(address, b'{"dry_run": true}'.ljust(MAX_BODY + 1), timeout=60)

    assert (400, "the body has more than 64 KiB") == (answer.status_code, answer.json()["detail"])
    assert [] == simulator.journal()


def test_no_status_is_left_out() -> None:
    """What is described and not tried could be anything."""
    tried = {str(status) for status, *_ in ANSWERS.values()} | {"202", "423", "503"}

    assert tried | PLATFORM == OPERATIONS["rotate_now"].definition.raw["responses"].keys()


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_not_ours(simulator: ControlClient, served: Served, method: str) -> None:
    """A link that is followed, or prefetched, rotates nothing."""
    answer = requests.request(method, f"{served.here}/api/rotate/kv-orders/orders-storage-key", timeout=60)

    assert answer.status_code in (404, 405)
    assert [] == simulator.journal()
