"""What is said of a right that is missing: our own role first, since the broad ones undo least rights."""

import re
from pathlib import Path

import pytest

from rotation.cloud.roles import advice
from rotation.providers.batch import Batch
from rotation.providers.storage import Storage
from rotation.providers.webpubsub import WebPubSub

TEMPLATE = (Path(__file__).parents[2] / "infra/modules/roles.bicep").read_text()
RIGHTS = {
    right: name
    for name, block in re.findall(r"roleName: '([^']+?) \(\$\{token\}\)'(.*?)\n  \}", TEMPLATE, re.DOTALL)
    for right in re.findall(r"'(Microsoft\.[\w./]+)'", block)
}
"""Which role of the templates grants an action."""


def test_the_rights_of_every_service_are_in_a_role_of_the_templates() -> None:
    """So that the table below leaves out none."""
    assert {*Batch.rights, *Storage.rights, *WebPubSub.rights} < RIGHTS.keys()


@pytest.mark.parametrize(("right", "role"), RIGHTS.items())
def test_the_role_of_the_templates_is_named(right: str, role: str) -> None:
    """Azure spells actions as it likes; the built-in role comes after ours."""
    for spelling in (right, right.lower()):
        assert f"such as {role!r} of the templates (`azd provision --no-state` restores the app's)" in advice(spelling)


def test_a_broader_role_is_a_second_choice() -> None:
    """There may be no templates."""
    told = advice("Microsoft.Batch/batchAccounts/regenerateKeys/action")

    assert told.endswith(", or the built-in 'Azure Batch Account Contributor', which grants more")


def test_a_right_that_no_role_of_ours_has_is_not_said_to_be_in_one() -> None:
    """Whoever follows a wrong message is no step further."""
    blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/read"
    for right in ("Microsoft.Web/sites/read", blobs):
        assert "assign a role with it" == advice(right)


def test_several_rights_are_one_piece_of_advice() -> None:
    """One role of ours has them all; of the built-in ones it takes two."""
    told = advice(*Storage.rights)

    assert told.startswith("assign a role with them, such as 'Key rotation of Storage' of the templates")
    assert "the built-in 'Reader' and 'Storage Account Key Operator Service Role', which" in told
