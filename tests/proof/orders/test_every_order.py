"""Runs stories that nobody thought of; one that ends badly is printed step by step, for `test_order_stories`."""

import pytest

from tests.proof.orders.stage import Stage
from tests.proof.orders.stories import never, tell

EXAMPLES = 200


@pytest.mark.timeout(1800)
def test_in_every_order_all_is_well(stage: Stage) -> None:
    """Two hundred stories of thirty steps, in which everything that can be done to an account is done.

    They are the same in each run, so that a change is to blame for what they find; `make soak` thinks of others.
    """
    tell(stage, EXAMPLES, derandomize=True)

    assert set() == never(stage.tally)
