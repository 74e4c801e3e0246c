"""S1 and S2 as applications see them: whatever becomes of the rotations, no request fails."""

import pytest

from simulator.client import ControlClient
from tests.proof.weather import Tally, Weather

ROTATIONS = 6
"""Of each service."""
SEED = 20261121


def too_few(tally: Tally) -> bool:
    """Whether some service was not rotated often enough yet."""
    return len(tally.rotations) < 3 or min(tally.rotations.values()) < ROTATIONS


@pytest.mark.timeout(600)
async def test_no_request_fails_while_keys_rotate(simulator: ControlClient, azurite: str) -> None:
    """Of nine applications, which keep what they read for as long as it is promised to work."""
    tally = await Weather(simulator, azurite, SEED).last(too_few)

    print(tally)  # noqa: T201  what it is for
    assert [] == tally.failures
    assert tally.requests > tally.readings > 3 * ROTATIONS
    assert tally.faults > ROTATIONS
