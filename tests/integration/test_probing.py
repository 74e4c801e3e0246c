"""A new key is tried before it is published: what becomes of a rotation when that cannot be done."""

from datetime import timedelta

import pytest

from rotation.model import Action, Reason, Request, Role, Trigger
from rotation.policy import SETTLING
from rotation.report import Outcome, Report
from simulator.client import ControlClient
from tests.integration.engine import bench
from tests.integration.estates import one_account
from tests.seeing import regenerates, slots

QUICK = "PT2S"
"""For how long a new key is tried."""


def only(report: Report) -> Outcome:
    """The one outcome of a report over one account."""
    (outcome,) = report.outcomes
    return outcome


async def test_where_a_probe_is_required_nothing_is_regenerated_that_cannot_be_tried(
    simulator: ControlClient,
) -> None:
    """The published key is tried first: a network that does not reach the data plane is known before the regenerate."""
    estate = one_account("storage")
    simulator.reset(estate)
    simulator.fault(host="blob", cut=True)
    async with bench(estate, ROTATION_PROBE="required") as work:
        work.clock.pace = 10
        outcome = only(await work.rotate())

    assert outcome.verdict is not None
    assert (Action.REFUSE, Reason.PROBE_IMPOSSIBLE) == (outcome.verdict.action, outcome.verdict.reason)
    assert 0 == regenerates(simulator)
    assert ["key1"] == slots(simulator)


async def test_where_a_probe_is_required_a_key_that_could_not_be_tried_is_staged(simulator: ControlClient) -> None:
    """The data plane was there before the regenerate and is gone after it; the next pass publishes the same key."""
    estate = one_account("storage")
    simulator.reset(estate)
    gone = simulator.fault(host="blob", skip=1, cut=True)
    async with bench(estate, ROTATION_PROBE="required", ROTATION_PROBE_TIMEOUT=QUICK) as work:
        work.clock.pace = 10
        staged = only(await work.rotate())
        assert ["key1"] == slots(simulator)
        simulator.lift(gone)
        published = only(await work.rotate())

    assert "staged" == (staged.error and staged.error.code)
    assert [(Action.PUBLISH, Reason.STAGED)] == [(step.action, step.reason) for step in published.steps]
    assert 1 == regenerates(simulator)
    assert ["key2"] == slots(simulator)


@pytest.mark.parametrize(("later", "code"), [(timedelta(0), "staged"), (SETTLING, None)])
async def test_a_key_that_was_refused_moments_ago_is_not_published_untried(
    simulator: ControlClient, later: timedelta, code: str | None
) -> None:
    """What is listed may still be the key before it; later a data plane out of reach is only that."""
    estate = one_account("storage")
    simulator.reset(estate)
    refusing = simulator.fault(host="blob", status=403, code="AuthenticationFailed")
    async with bench(estate, ROTATION_PROBE_TIMEOUT=QUICK) as work:
        work.clock.pace = 10
        first = only(await work.rotate())
        simulator.lift(refusing)
        gone = simulator.fault(host="blob", cut=True)
        work.clock.ahead += later
        second = only(await work.rotate())
    simulator.lift(gone)

    assert "staged" == (first.error and first.error.code)
    assert code == (second.error and second.error.code)
    assert ["key2" if code is None else "key1"] == slots(simulator)
    assert 1 == regenerates(simulator)


async def test_who_learns_of_a_new_key_late_has_the_whole_grace(simulator: ControlClient) -> None:
    """A pass that published to some only is finished later: the wait for the leaked key's end begins anew."""
    estate = one_account("storage", publications=3)
    simulator.reset(estate)
    broken = simulator.fault(host="kv-two", method="PUT", path="/secrets/", status=403)
    async with bench(estate) as work:
        emergency = Request(Trigger.OPERATOR, "INC-9", compromised=Role.ACTIVE, grace=timedelta(minutes=15))
        half = only(await work.rotate(emergency))
        simulator.lift(broken)
        work.clock.ahead += timedelta(minutes=10)
        aligned = only(await work.rotate())
        at = work.clock.now()

    assert "forbidden" == (half.error and half.error.code)
    assert [(Action.ALIGN, Reason.SPLIT)] == [(step.action, step.reason) for step in aligned.steps]
    retire_at = aligned.steps[0].retire_at
    assert retire_at is not None
    assert timedelta(minutes=14) < retire_at - at <= timedelta(minutes=15)
    assert ["key2"] * 3 == slots(simulator)


async def test_a_live_key_is_tried_before_it_takes_the_place_of_a_lost_one(simulator: ControlClient) -> None:
    """Somebody regenerated the published key, and the service does not accept the new one everywhere yet."""
    estate = one_account("storage")
    simulator.reset(estate)
    simulator.regenerate("stone", "key1")
    refusing = simulator.fault(host="blob", status=403, code="AuthenticationFailed")
    async with bench(estate, ROTATION_PROBE_TIMEOUT=QUICK) as work:
        work.clock.pace = 10
        early = only(await work.rotate())
        simulator.lift(refusing)
        later = only(await work.rotate())

    assert ("not-yet-true", ()) == (early.error and early.error.code, early.steps)
    assert [(Action.REPUBLISH, Reason.DRIFT)] == [(step.action, step.reason) for step in later.steps]
    assert 0 == regenerates(simulator)
    assert ["key1"] == slots(simulator)
