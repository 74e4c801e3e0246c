"""The time that no program could beat, by hand."""

from typing import Any

import pytest

from bench import limit

ARM = "management.azure.com"
ACCOUNT = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Batch/batchAccounts/"


VAULT = "kv-fleet-01.vault.azure.net"
VERSION = "0123456789abcdef0123456789abcdef"


def entry(time: float, latency: float, path: str = f"{ACCOUNT}one", **told: Any) -> dict[str, Any]:
    """One request of a journal."""
    return {"time": time, "latency": latency, "method": "GET", "host": ARM, "path": path, "status": 200, **told}


def test_of_requests_that_do_not_depend_on_each_other_the_slowest_counts() -> None:
    """Account, keys and secret are read at once; a regenerate, a try and a write each wait for what is before."""
    before = [
        entry(0.0, 0.1),
        entry(0.4, 0.3, f"{ACCOUNT}one/listKeys", method="POST"),
        entry(0.5, 0.2, "/secrets/one-0/", host=VAULT),
    ]
    change = [
        entry(1.0, 0.15, f"{ACCOUNT}one/regenerateKeys", method="POST"),
        entry(1.2, 0.02, "/pools", host="one.westeurope.batch.azure.com"),
        entry(1.3, 0.04, "/secrets/one-0/", host=VAULT),
        entry(1.4, 0.05, "/secrets/one-0", host=VAULT, method="PUT"),
    ]
    after = [entry(1.5, 0.1, f"{ACCOUNT}one/listKeys", method="POST"), entry(1.6, 0.03, "/secrets/one-0/", host=VAULT)]

    assert pytest.approx(0.3 + 0.15 + 0.02 + 0.04 + 0.05 + 0.1) == limit.chain([*after, *change, *before])


def test_a_busy_machine_does_not_move_the_limit() -> None:
    """Neither by sending late what it could have sent at once, nor by keeping an answer back."""
    quick = [entry(0.0, 0.1, duration=0.1), entry(0.01, 0.2, f"{ACCOUNT}one/listKeys", method="POST", duration=0.2)]
    slow = [{**request, "time": 5 * number, "duration": 3.0} for number, request in enumerate(quick)]

    assert pytest.approx(0.2) == limit.chain(quick)
    assert pytest.approx(0.2) == limit.chain(slow)


@pytest.mark.parametrize(
    ("host", "path", "name"),
    [
        (ARM, f"{ACCOUNT}one/listKeys", "one"),
        (ARM, "/subscriptions/s/resourceGroups/g/providers/Microsoft.SignalRService/webPubSub/wps-1/listKeys", "wps-1"),
        (VAULT, "/secrets/batchfleet00001-0/", "batchfleet00001"),
        (VAULT, f"/secrets/wps-fleet-00001-0/{VERSION}", "wps-fleet-00001"),
        ("stfleet00001.blob.core.windows.net", "/", "stfleet00001"),
        (VAULT, "/secrets", None),
    ],
)
def test_requests_are_known_by_their_account(host: str, path: str, name: str | None) -> None:
    """By the path, or by the host for the data planes; the listing of a vault is nobody's."""
    assert name == limit.account(entry(0, 1, path, host=host))


def test_a_fleet_takes_as_long_as_its_chains_on_its_places() -> None:
    """Four chains of a second take two seconds on two places and one on eight; a listing comes before."""
    pages = [entry(0.0, 0.25, "/secrets", host="kv-a.vault.azure.net") for _ in range(2)]
    work = [entry(1.0, 1.0, f"{ACCOUNT}n{number}") for number in range(4)]

    assert pytest.approx(0.5 + 2.0) == limit.by_concurrency([*pages, *work], 2)
    assert pytest.approx(0.5 + 1.0) == limit.by_concurrency([*pages, *work], 8)
    assert pytest.approx(0.25 + 1.0) == limit.by_concurrency([*pages, *work], 8, listings=2)


def listed(account: str, times: int, **told: Any) -> list[dict[str, Any]]:
    """Requests for the keys of an account."""
    return [entry(0.0, 0.1, f"{ACCOUNT}{account}/listKeys", method="POST", **told) for _ in range(times)]


def test_a_quota_bounds_what_it_grants_beyond_its_bucket() -> None:
    """Two hundred writes at once, and ten a second from then on, twice as quickly where the quota is doubled."""
    (name, _), seconds = limit.by_quota(listed("one", 300), 1.0)

    assert ("s writes", 10.0) == (name, seconds)
    assert 5.0 == limit.by_quota(listed("one", 300), 2.0)[1]


def test_what_was_asked_again_was_not_needed() -> None:
    """Of two accounts of a service the one that was asked less often says what is needed of each."""
    once, again = listed("batch1", 150), listed("batch2", 450)

    assert 10.0 == limit.by_quota([*once, *again], 1.0)[1]


def test_what_was_refused_is_no_use_of_a_quota() -> None:
    """Of what the bucket had, the part that was granted; of all requests, the part that was refused."""
    share = limit.share_of_quota([*listed("one", 300), *listed("one", 100, status=429)], 1.0, wall=20.0)

    assert ("writes", 0.25, 0.5) == (share["bucket"], share["throttled"], share["useful"])
    assert pytest.approx(300 / 400) == share["used"]


@pytest.mark.parametrize(("method", "kind"), [("GET", "read a secret"), ("PATCH", "amend a secret")])
def test_a_version_of_a_secret_is_read_or_amended(method: str, kind: str) -> None:
    """By its own path."""
    assert kind == limit.kind(entry(0, 1, f"/secrets/one-0/{VERSION}", host=VAULT, method=method))
