"""A fleet that asks for more than the quotas allow is slowed down by them, and by nothing worse."""

from rotation.errors import Transient
from rotation.triggers import DELIVERIES
from simulator.client import ControlClient
from tests.integration.engine import MINE, bench

ACCOUNTS = 40
ALLOWED = 0.5
"""Times what Azure allows: ten keys of storage accounts are regenerated at once, and five a second from then on."""


async def test_a_throttled_fleet_is_rotated_and_does_not_storm(simulator: ControlClient) -> None:
    """What the queue delivers again is done in the end, each key is regenerated once, and few requests are refused."""
    simulator.reset({"generate": {"accounts": {"storage": ACCOUNTS}, "vaults": 2, "due": 1.0}})
    simulator.behave(quotas=ALLOWED)
    async with bench({"vaults": [{"name": "kv-fleet-00"}, {"name": "kv-fleet-01"}]}) as work:
        survey = await work.survey()
        waiting = {str(group.account): group for group in survey.groups}
        for _ in range(DELIVERIES):
            report = await work.fleet.rotate(survey, tuple(waiting.values()), MINE)
            assert all(outcome.error is None or isinstance(outcome.error, Transient) for outcome in report.outcomes)
            waiting = {outcome.account: waiting[outcome.account] for outcome in report.outcomes if outcome.error}

    statuses = [entry["status"] for entry in simulator.journal() if not entry["sign_in"]]
    assert {} == waiting
    regenerated = [slot["regenerated"] for told in simulator.accounts() for slot in told["slots"].values()]
    assert [0, 1] * ACCOUNTS == regenerated
    assert 0 < statuses.count(429) < 0.05 * len(statuses)
