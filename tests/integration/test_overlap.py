"""What does not depend on one another is asked for at the same time."""

from typing import Any

import pytest

from simulator.client import ControlClient
from tests.integration.engine import bench
from tests.integration.estates import SERVICES, one_account

SLOWLY = {"control": 0.2, "vault": 0.2}


def stages(simulator: ControlClient) -> list[list[str]]:
    """The requests after the listing, in groups that were under way at the same time: method and end of the path."""
    found: list[list[str]] = []
    ends = 0.0
    for entry in (entry for entry in simulator.journal() if not entry["sign_in"] and entry["path"] != "/secrets"):
        if entry["time"] >= ends:
            found.append([])
        ends = max(ends, entry["time"] + entry["duration"])
        found[-1].append(_asked(entry))
    return [sorted(stage) for stage in found]


def _asked(entry: dict[str, Any]) -> str:
    if "/secrets/" in entry["path"]:
        return "read" if entry["method"] == "GET" else "set"
    return str(entry["path"].rpartition("/")[2]) if entry["method"] == "POST" else "describe"


@pytest.mark.parametrize("service", SERVICES)
async def test_an_account_is_read_at_once(simulator: ControlClient, service: str) -> None:
    """The account, its keys and all three secrets; publishing and looking again are as wide."""
    estate = one_account(service, 3)
    simulator.reset(estate)
    simulator.behave(latency=SLOWLY, operation_seconds=0)
    async with bench(estate, ROTATION_PROBE="off") as work:
        await work.rotate()

    first, *between, last = stages(simulator)
    # Each secret is set when it has been read again, whether the others have been or not.
    publishing = [stage for stage in between if "read" in stage or "set" in stage]
    assert ["describe", "listKeys", "read", "read", "read"] == first
    assert len(publishing) <= 2
    assert ["read"] * 3 + ["set"] * 3 == sorted(asked for stage in publishing for asked in stage)
    assert ["listKeys", "read", "read", "read"] == last
