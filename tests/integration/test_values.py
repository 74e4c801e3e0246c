"""What stands in a secret is somebody's: nothing of it is lost, and nothing is written that was not meant."""

import json
from datetime import timedelta

import pytest

from rotation.model import Action, Reason, Sensitive
from rotation.policy import SKEW
from rotation.ports import Draft
from rotation.report import Outcome, Report
from simulator.client import ControlClient
from tests.integration.engine import MINE, bench
from tests.integration.estates import one_account
from tests.seeing import changes

STRANGER = (
    "/subscriptions/0c0ffee0-5d3a-4f43-9a52-6f1d1b7a7e55/resourceGroups/rg-one"
    "/providers/Microsoft.Storage/storageAccounts/stother"
)


class Held:
    """A lease that nobody else wants."""

    def ensure(self) -> None:
        """Return."""

    def abandon(self) -> None:
        """Keep nobody out."""


def only(report: Report) -> Outcome:
    """The one outcome of a report over one account."""
    (outcome,) = report.outcomes
    return outcome


async def test_what_an_application_added_to_a_document_survives(simulator: ControlClient) -> None:
    """Only the key in it is replaced."""
    estate = one_account("batch")
    simulator.reset(estate)
    async with bench(estate, ROTATION_OVERLAP="PT0S") as work:
        vault = work.tools.vaults["kv-one"]
        found = await vault.read("secret-0")
        assert found.value is not None
        edited = {**json.loads(found.value.reveal()), "pool": "render", "retries": 3}
        value, soon = Sensitive(json.dumps(edited)), work.clock.now() + timedelta(days=1)
        await vault.publish("secret-0", Draft(value, found.tags, soon, found.content_type, found), Held())
        work.clock.ahead += SKEW  # by whichever clock, what was published just now may be gone
        outcome = only(await work.rotate())
        after = (await vault.read("secret-0")).value

    assert [(Action.ROTATE, Reason.DUE)] == [(step.action, step.reason) for step in outcome.steps]
    assert after is not None
    written = json.loads(after.reveal())
    assert edited.keys() == written.keys()
    assert 1 == sum(written[name] != told for name, told in edited.items())
    assert [] == [row for row in simulator.verdict() if not row["opens"]]


@pytest.mark.parametrize(
    ("tagged", "service"), [("connection-string", "storage"), ("json", "storage"), ("key", "webpubsub")]
)
async def test_a_value_of_another_format_than_its_tags_say_is_refused(
    simulator: ControlClient, tagged: str, service: str
) -> None:
    """The application reads the value as it is; another format would break it."""
    estate = one_account(service)
    estate["vaults"][0]["secrets"][0]["tags"]["rotation-policy"] = f"format={tagged}"
    simulator.reset(estate)
    async with bench(estate) as work:
        outcome = only(await work.rotate())

    assert outcome.verdict is not None
    assert (Action.REFUSE, Reason.FORMAT_MISMATCH) == (outcome.verdict.action, outcome.verdict.reason)
    assert [] == changes(simulator)


async def test_a_secret_that_was_given_to_another_account_since_it_was_listed_is_not_touched(
    simulator: ControlClient,
) -> None:
    """The next pass lists again, and finds it there."""
    estate = one_account("storage")
    estate["accounts"].append({"type": "storage", "name": "stother", "resource_group": "rg-one"})
    simulator.reset(estate)
    async with bench(estate) as work:
        survey = await work.survey()
        simulator.change_secret("kv-one", "secret-0", tags={"resource-id": STRANGER})
        simulator.clear_journal()
        outcome = only(await work.fleet.rotate(survey, survey.groups, MINE))

    assert "changed-meanwhile" == (outcome.error and outcome.error.code)
    assert [] == changes(simulator)
