"""Function keys and bearer tokens that callers put into odd places are not logged, sent on, or answered back."""

import secrets
from typing import Any
from urllib.parse import quote

import pytest
import requests

from simulator.client import ControlClient
from tests.security.contacts import strangers
from tests.security.served import Served

ROTATE = "/api/rotate/kv-orders/live-connection"
STATUS = "/api/status"


def function_key() -> str:
    """A key such as the platform makes: 40 bytes in base64 for addresses."""
    return f"{secrets.token_urlsafe(40)}=="


def bearer() -> str:
    """Something like a token for somebody else."""
    return ".".join(("eyJhbGciOiJSUzI1NiJ9", secrets.token_urlsafe(200), secrets.token_urlsafe(200)))


PLACES: dict[str, dict[str, Any]] = {
    "the query": {"params": {"code": "{}"}},
    "the query, in capitals": {"params": {"CODE": "{}"}},
    "the query, twice": {"params": [("code", "{}"), ("code", "{}")]},
    "the query, under another name": {"params": {"x-functions-key": "{}", "access_token": "{}", "sig": "{}"}},
    "the query, as a flag": {"params": {"deep": "{}"}},
    "a header": {"headers": {"x-functions-key": "{}"}},
    "the authorization": {"headers": {"Authorization": "Bearer {}", "Proxy-Authorization": "Bearer {}"}},
    "a cookie": {"headers": {"Cookie": "ARRAffinity={}; token={}"}},
    "where one came from": {"headers": {"Referer": "https://portal.example/?code={}", "User-Agent": "{}"}},
    "a trace": {"headers": {"traceparent": "{}", "tracestate": "key={}", "x-ms-client-request-id": "{}"}},
    "a method": {"headers": {"X-HTTP-Method-Override": "{}", "X-Original-URL": "/api/rotate?code={}"}},
    "a form": {"data": {"code": "{}"}},
    "the body, as a member": {"json": {"code": "{}", "authorization": "{}"}},
    "the body, as a flag": {"json": {"force": "{}"}},
    "the body, as a role": {"json": {"compromised": "{}"}},
    "the body, as an id": {"json": {"request_id": "{}", "dry_run": True}},
    "the body, all of it": {"data": "{}"},
}


@pytest.mark.parametrize("credential", [function_key, bearer])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_credential_in_an_odd_place_goes_nowhere(
    simulator: ControlClient, served: Served, place: dict[str, Any], credential: Any
) -> None:
    """Not into the answer, not into the log, not into the queue or to Azure."""
    secret = credential()
    before = served.output.stat().st_size
    answers = [
        requests.request(method, served.here + path, timeout=60, **filled(place, secret))
        for method, path in (("POST", ROTATE), ("GET", STATUS))
    ]

    answered = "".join(f"{answer.headers}{answer.text}" for answer in answers)
    logged = served.output.read_text()[before:]
    journal = str(simulator.journal())
    for part in (secret[:16], secret[-16:], quote(secret, "")[:16]):
        assert part not in answered
        assert part not in logged
        assert part not in journal
    assert all(answer.status_code in (200, 400) for answer in answers)
    assert set() == strangers(simulator, ["kv-orders", "kv-billing"])


@pytest.mark.parametrize(
    "path", ["/api/rotate/{}/live-connection", "/api/rotate/kv-orders/{}", "/api/status?secret={}"]
)
def test_a_credential_in_the_place_of_a_name_is_not_logged(simulator: ControlClient, served: Served, path: str) -> None:
    """Whoever sent it is told what is wrong with it, and nobody else."""
    secret = function_key()
    before = served.output.stat().st_size
    method = "POST" if "rotate" in path else "GET"
    answer = requests.request(method, served.here + path.format(quote(secret, "")), timeout=60)

    assert 400 == answer.status_code
    assert secret[:16] not in served.output.read_text()[before:]
    assert [] == simulator.journal()


def filled(place: Any, secret: str) -> Any:
    """A place with the credential in it."""
    if isinstance(place, dict):
        return {name: filled(value, secret) for name, value in place.items()}
    if isinstance(place, (list, tuple)):
        return [tuple(part.replace("{}", secret) for part in pair) for pair in place]
    return place.replace("{}", secret) if isinstance(place, str) else place
