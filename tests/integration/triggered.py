"""The functions without the runtime in front of them, over the simulator, and what became of them."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from rotation.triggers import Triggers
from simulator.client import ControlClient
from tests.functions.estate import SETTINGS
from tests.functions.instances import instance
from tests.integration.engine import Later
from tests.integration.estates import one_account

ROUTE = {"vault": "kv-one", "secret": "secret-0"}


def app(
    clock: Later | None = None, patience: float = 60, settings: Mapping[str, str] = SETTINGS
) -> AbstractAsyncContextManager[Triggers]:
    """The functions, with settings of their own."""
    return instance(clock, patience, **settings)


def listings(simulator: ControlClient) -> int:
    """How often the first vault was listed."""
    return sum(
        entry["host"].startswith("kv-one") and entry["path"].rstrip("/") == "/secrets" and not entry["sign_in"]
        for entry in simulator.journal()
    )


def over_two_vaults(service: str = "storage") -> dict[str, Any]:
    """One account that is due, in the first of two vaults."""
    estate = one_account(service)
    return {**estate, "vaults": [*estate["vaults"], {"name": "kv-two", "resource_group": "rg-one", "secrets": []}]}
