"""The time that no program could beat, by hand."""

from typing import Any

import pytest

from bench import limit

ARM = "management.azure.com"
ACCOUNT = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Batch/batchAccounts/"


def entry(time: float, duration: float, path: str = f"{ACCOUNT}one", **told: Any) -> dict[str, Any]:
    """One request of a journal."""
    return {"time": time, "duration": duration, "method": "GET", "host": ARM, "path": path, "status": 200, **told}


def test_of_requests_at_the_same_time_the_slowest_counts() -> None:
    """Three at once, then one, then two at once."""
    together = [entry(0.0, 0.1), entry(0.01, 0.3), entry(0.02, 0.2)]
    after = [entry(0.5, 0.1), entry(0.7, 0.2), entry(0.7, 0.1)]

    assert pytest.approx(0.3 + 0.1 + 0.2) == limit.chain([*after, *together])


@pytest.mark.parametrize(
    ("host", "path", "name"),
    [
        (ARM, f"{ACCOUNT}one/listKeys", "one"),
        (ARM, "/subscriptions/s/resourceGroups/g/providers/Microsoft.SignalRService/webPubSub/wps-1/listKeys", "wps-1"),
        ("kv-fleet-01.vault.azure.net", "/secrets/batchfleet00001-0/", "batchfleet00001"),
        ("stfleet00001.blob.core.windows.net", "/", "stfleet00001"),
        ("kv-fleet-01.vault.azure.net", "/secrets", None),
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


def test_a_quota_bounds_what_it_grants_beyond_its_bucket() -> None:
    """Two hundred writes at once, and ten a second from then on, twice as quickly where the quota is doubled."""
    writes = [entry(0.0, 0.1, f"{ACCOUNT}one/listKeys", method="POST") for _ in range(300)]

    assert ("s writes", 10.0, 10.0) == limit.by_quota(writes, 1.0)
    assert ("s writes", 5.0, 20.0) == limit.by_quota(writes, 2.0)


def test_what_was_refused_is_no_use_of_a_quota() -> None:
    """Of what the bucket had, the part that was granted; of all requests, the part that was refused."""
    granted = [entry(0.0, 0.1, f"{ACCOUNT}one/listKeys", method="POST") for _ in range(300)]
    refused = [entry(0.0, 0.1, f"{ACCOUNT}one/listKeys", method="POST", status=429) for _ in range(100)]
    share = limit.share_of_quota([*granted, *refused], 1.0, wall=20.0)

    assert ("writes", 0.25) == (share["bucket"], share["throttled"])
    assert pytest.approx(300 / 400) == share["used"]
