"""A sweep lists each vault once, asks for nothing else, and finds what there is to do."""

from typing import Any

import pytest

from rotation.model import Action
from simulator.client import ControlClient
from tests.integration.engine import MINE, Bench, bench
from tests.integration.estates import NAMES, SLOTS, one_account

FRESH = {"created": "P10D", "expires": "P80D"}
VAULTS = 3


def requests(simulator: ControlClient) -> list[tuple[str, str]]:
    """What was asked for, signing in aside."""
    return [(entry["method"], entry["path"]) for entry in simulator.journal() if not entry["sign_in"]]


async def queued(work: Bench) -> list[str]:
    """The names of the accounts that a sweep asks for."""
    return [group.account.name for group in (await work.fleet.sweep()).groups]


async def test_it_is_one_listing_pass_however_little_is_due(simulator: ControlClient) -> None:
    """Three hundred secrets are twelve pages; nothing is asked of one secret, due or not."""
    counts = {"storage": 100, "batch": 100, "webpubsub": 100}
    simulator.reset({"generate": {"accounts": counts, "vaults": VAULTS, "due": 0.1}})
    vaults = [{"name": f"kv-fleet-{number:02}"} for number in range(VAULTS)]
    async with bench({"vaults": vaults}) as work:
        found = await work.fleet.sweep()

    assert (300, 30) == (found.accounts, len(found.groups))
    assert [("GET", "/secrets")] * 12 == requests(simulator)


async def test_what_it_finds_is_what_a_full_survey_finds(simulator: ControlClient) -> None:
    """Keeping less changes nothing about who is asked for."""
    simulator.reset(
        {"generate": {"accounts": {"storage": 40, "batch": 40}, "vaults": 2, "due": 0.3, "publications": 2}}
    )
    async with bench({"vaults": [{"name": "kv-fleet-00"}, {"name": "kv-fleet-01"}]}) as work:
        busy, _ = work.fleet.sift(await work.survey(), MINE)
        found = await work.fleet.sweep()

    assert [group.account for group in busy] == [group.account for group in found.groups]


@pytest.mark.parametrize(
    "told",
    [
        pytest.param({"slot": SLOTS["storage"][1], "tags": {"active-slot": SLOTS["storage"][1]}}, id="split"),
        pytest.param({"created": "P75D", "expires": "P15D"}, id="due"),
        pytest.param({"tags": {"rotation-state": "rotated-at=2026-01-01T00:00:00Z;staged-slot=key2"}}, id="staged"),
        pytest.param({"tags": {"rotation-state": "retire-at=2026-01-01T00:00:00Z"}}, id="to be retired"),
        pytest.param({"tags": {"validity-days": "soon"}}, id="unreadable"),
    ],
)
async def test_one_secret_of_three_is_enough(simulator: ControlClient, told: dict[str, Any]) -> None:
    """The others, in this vault and another, are fresh; which of them is listed first is left to chance."""
    estate = one_account("storage", 3, **FRESH)
    secret = estate["vaults"][1]["secrets"][0]
    secret |= {**told, "tags": {**secret["tags"], **told.get("tags", {})}}
    simulator.reset(estate)
    async with bench(estate) as work:
        assert [NAMES["storage"]] == await queued(work)


async def test_a_fresh_account_is_left_alone(simulator: ControlClient) -> None:
    """It is counted, and that is all."""
    estate = one_account("storage", 3, **FRESH)
    simulator.reset(estate)
    async with bench(estate) as work:
        found = await work.fleet.sweep()

    assert ((), 1) == (found.groups, found.accounts)


async def test_a_paused_account_is_not_asked_for_in_vain(simulator: ControlClient) -> None:
    """One secret is due and another one stops the account: what stops it is remembered."""
    estate = one_account("storage", 2)
    paused = estate["vaults"][0]["secrets"][1]
    paused |= FRESH
    paused["tags"]["rotation-policy"] += ";paused=true"
    simulator.reset(estate)
    async with bench(estate) as work:
        assert [] == await queued(work)


async def test_what_a_sweep_asks_for_is_worked_on_with_all_its_secrets(simulator: ControlClient) -> None:
    """The one that was forgotten, being fresh, gets the new key as well."""
    estate = one_account("storage", 2)
    estate["vaults"][0]["secrets"][1] |= {"created": "P10D", "expires": "P80D"}
    simulator.reset(estate)
    async with bench(estate) as work:
        (found,) = (await work.fleet.sweep()).groups
        (outcome,) = (await work.rotate()).outcomes

    assert 1 == len(found.secrets)
    assert [Action.ROTATE] == [step.action for step in outcome.steps]
    assert 2 == len(outcome.steps[0].secrets)
