"""How often the clients send a request that fails: the table of facts that retries are designed by."""

from typing import Any

import pytest
from azure.core.exceptions import AzureError, HttpResponseError, ServiceRequestError

from simulator.client import ControlClient
from tests.conformance.simulator.clients import aio_clients, sync_clients

FAST = {"retry_backoff_factor": 0}
STORAGE = ("rg-orders", "stcontosoorders", {"keyName": "key2"})
REGENERATE = "/regenerateKey$"
RETRIED = "^/secrets/retried$"


def attempts(simulator: ControlClient, method: str) -> int:
    """The requests of this method beyond sign-in, all of one client request."""
    sent = [entry for entry in simulator.journal() if entry["method"] == method and not entry["sign_in"]]
    assert len({entry["client_request_id"] for entry in sent}) == 1
    return len(sent)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"status": 500}, 4),
        ({"status": 503}, 4),
        ({"status": 504}, 4),
        ({"status": 502}, 1),
        ({"status": 429}, 1),
        ({"status": 429, "retry_after": 0}, 4),
        ({"status": 409}, 1),
        ({"status": 409, "retry_after": 0}, 4),
        ({"cut": True}, 1),
    ],
    ids=str,
)
async def test_a_failed_regenerate_is_sent_again(
    simulator: ControlClient, fault: dict[str, Any], expected: int
) -> None:
    """A POST is repeated after some failures, by both clients alike."""
    simulator.fault(path=REGENERATE, **fault)
    with sync_clients(**FAST) as clients, pytest.raises(AzureError):
        clients.storage.storage_accounts.regenerate_key(*STORAGE)
    assert attempts(simulator, "POST") == expected

    simulator.clear_journal()
    async with aio_clients(**FAST) as clients:
        with pytest.raises(AzureError):
            await clients.storage.storage_accounts.regenerate_key(*STORAGE)
    assert attempts(simulator, "POST") == expected


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429, "retry_after": 0}, {"cut": True}], ids=str)
def test_without_retries_a_regenerate_is_sent_once(simulator: ControlClient, fault: dict[str, Any]) -> None:
    """`retry_total=0` is what keeps a rotation from regenerating four times."""
    simulator.fault(path=REGENERATE, when="after", **fault)
    with sync_clients() as clients, pytest.raises(AzureError):
        clients.storage.storage_accounts.regenerate_key(*STORAGE, retry_total=0)

    assert attempts(simulator, "POST") == 1
    assert simulator.account("stcontosoorders")["slots"]["key2"]["regenerated"] == 1


def test_a_regenerate_that_took_effect_is_repeated_by_default(simulator: ControlClient) -> None:
    """Four answers of 503 after the effect are four regenerates."""
    simulator.fault(path=REGENERATE, when="after", status=503)
    with sync_clients(**FAST) as clients, pytest.raises(HttpResponseError):
        clients.storage.storage_accounts.regenerate_key(*STORAGE)

    assert simulator.account("stcontosoorders")["slots"]["key2"]["regenerated"] == 4


async def test_a_lost_answer_is_called_a_request_that_was_not_sent(simulator: ControlClient) -> None:
    """Behind a proxy both clients say "request error" after a cut, and both requests had their effect."""
    simulator.fault(path=REGENERATE, when="after", cut=True)
    with sync_clients() as clients, pytest.raises(ServiceRequestError):
        clients.storage.storage_accounts.regenerate_key(*STORAGE)
    async with aio_clients() as clients:
        with pytest.raises(ServiceRequestError):
            await clients.storage.storage_accounts.regenerate_key(*STORAGE)

    assert simulator.account("stcontosoorders")["slots"]["key2"]["regenerated"] == 2


@pytest.mark.parametrize(
    ("fault", "sync_expected", "aio_expected"),
    [({"status": 503}, 4, 4), ({"status": 429}, 4, 4), ({"status": 409}, 1, 1), ({"cut": True}, 4, 8)],
    ids=str,
)
async def test_a_failed_set_is_sent_again(
    simulator: ControlClient, fault: dict[str, Any], sync_expected: int, aio_expected: int
) -> None:
    """A PUT is idempotent for the clients, though each one makes a version; aiohttp doubles it after a cut."""
    simulator.fault(path=RETRIED, method="PUT", **fault)
    with sync_clients(**FAST) as clients, pytest.raises(AzureError):
        clients.vault.set_secret("retried", "x")
    assert attempts(simulator, "PUT") == sync_expected

    simulator.clear_journal()
    async with aio_clients(**FAST) as clients:
        with pytest.raises(AzureError):
            await clients.vault.set_secret("retried", "x")
    assert attempts(simulator, "PUT") == aio_expected
