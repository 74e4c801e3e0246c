"""Runs stories that nobody thought of; one that ends badly is printed step by step, for `test_order_stories`."""

from collections import Counter

import pytest

from tests.proof.orders.stage import Stage
from tests.proof.orders.stories import STEPS, never, tell

EXAMPLES = 225
"""A story may end before its thirtieth step, where nothing that may happen next is left."""
FEWEST = 200
"""So many stories of thirty steps are told at least."""


@pytest.mark.timeout(1800)
def test_in_every_order_all_is_well(stage: Stage, tally: Counter[str]) -> None:
    """Two hundred stories of thirty steps, in which everything that can be done to an account is done.

    They are the same in each run, so that a change is to blame for what they find; `make soak` thinks of others.
    """
    tell(stage, EXAMPLES, derandomize=True)

    tally["stories in every order"] += stage.tally["examples"]
    tally["steps of those stories"] += stage.tally["steps"]
    assert set() == never(stage.tally)
    assert stage.tally["examples"] >= FEWEST
    assert stage.tally["steps"] >= FEWEST * STEPS
