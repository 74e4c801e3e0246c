"""S7: a vault that is not in the settings is nobody's business, whoever names it."""

import pytest

from simulator.client import ControlClient
from tests.integration.triggered import app


@pytest.mark.usefixtures("host_storage")
async def test_an_order_for_another_vault_contacts_nobody(simulator: ControlClient) -> None:
    """It is answered from the settings alone, and says where vaults are allowed."""
    async with app() as triggers:
        reply = await triggers.rotate_now({"vault": "kv-other", "secret": "secret-0"}, {}, b"")

    assert 404 == reply.status
    assert "kv-other is not one of the vaults in ROTATION_VAULTS; add it there, or check the name" in reply.text
    assert [] == simulator.journal()
