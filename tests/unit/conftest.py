"""An account in memory, which all tests of passes share."""

import pytest

from tests.properties.world import World
from tests.unit.facts import DAY, NOW


@pytest.fixture
def world() -> World:
    """An account that two secrets publish, three days old."""
    return World()


@pytest.fixture
def due(world: World) -> World:
    """The same when a new key is due."""
    world.now = NOW + 41 * DAY
    return world
