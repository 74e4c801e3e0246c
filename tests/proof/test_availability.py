"""S1 and S2 as applications see them: whatever becomes of the rotations, no request fails."""

from collections import Counter

import pytest

from simulator.client import ControlClient
from tests.integration.estates import SERVICES
from tests.proof import weather

SEED = 20261121


@pytest.mark.timeout(3600)
async def test_no_request_fails_while_keys_rotate(
    simulator: ControlClient, azurite: str, tally: Counter[str], *, full: bool
) -> None:
    """Of nine applications, which keep what they read for as long as it is promised to work."""
    rotations = 60 if full else 12

    def too_few(so_far: weather.Tally) -> bool:
        return min(so_far.rotations[service] for service in SERVICES) < rotations

    seen = await weather.Weather(simulator, azurite, SEED).last(too_few)

    assert [] == seen.failures
    assert seen.requests > seen.readings > 9 * rotations
    assert seen.faults > rotations
    tally["requests of applications while keys rotated"] += seen.requests
    tally["rotations under them"] += seen.rotations.total()
    tally["faults under them"] += seen.faults
