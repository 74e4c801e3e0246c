"""Where the stories of every order are played."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.client import ControlClient
    from tests.proof.orders.machine import EveryOrder
    from tests.proof.orders.stage import Stage


@pytest.fixture
def stage(simulator: ControlClient) -> Iterator[Stage]:
    """The simulator, an event loop, and an ear for what is logged."""
    # A conftest may be imported before the simulator runs, and aiohttp reads the trusted certificates on import.
    from tests.proof.orders.stage import Stage  # noqa: PLC0415

    stage = Stage(simulator)
    yield stage
    stage.close()


@pytest.fixture
def state(stage: Stage) -> Iterator[EveryOrder]:
    """A story that is told step by step, by the name it has in what Hypothesis prints; in the end all must be well."""
    from tests.proof.orders.machine import EveryOrder  # noqa: PLC0415

    state = EveryOrder(stage)
    yield state
    state.teardown()
