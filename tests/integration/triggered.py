"""The functions without the runtime in front of them, over the simulator, and what became of them."""

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rotation import telemetry
from rotation.replies import Reply
from rotation.triggers import Triggers
from simulator.client import ControlClient
from tests.heard import note
from tests.integration.engine import Later
from tests.integration.estates import one_account

ROUTE = {"vault": "kv-one", "secret": "secret-0"}
SETTINGS = {
    "ROTATION_VAULTS": "kv-one,kv-two",
    "ROTATION_SCHEDULE": "0 */15 * * * *",
    "ROTATION_AUDIT_SCHEDULE": "0 17 3 * * *",
}


class _Heard(Triggers):
    """The functions, whose answers and messages are searched for keys in the end."""

    async def sweep(self, *, late: bool = False) -> list[str]:
        messages: list[str] = note(await super().sweep(late=late))
        return messages

    async def audit(self, *, late: bool = False) -> list[str]:
        messages: list[str] = note(await super().audit(late=late))
        return messages

    async def near_expiry(self, event: Mapping[str, object]) -> str | None:
        message: str | None = note(await super().near_expiry(event))
        return message

    async def rotate_now(self, route: Mapping[str, str], query: Mapping[str, str], body: bytes) -> Reply:
        reply: Reply = note(await super().rotate_now(route, query, body))
        return reply

    async def status(self, query: Mapping[str, str]) -> Reply:
        reply: Reply = note(await super().status(query))
        return reply


@asynccontextmanager
async def app(
    clock: Later | None = None, patience: float = 60, settings: Mapping[str, str] = SETTINGS
) -> AsyncIterator[Triggers]:
    """The functions, with settings of their own."""
    telemetry.configure()
    triggers = _Heard({**os.environ, **settings}, clock, patience=patience)
    try:
        yield triggers
    finally:
        await triggers.close()


def listings(simulator: ControlClient) -> int:
    """How often the first vault was listed."""
    return sum(
        entry["host"].startswith("kv-one") and entry["path"].rstrip("/") == "/secrets" and not entry["sign_in"]
        for entry in simulator.journal()
    )


def regenerations(simulator: ControlClient) -> int:
    """How many keys were regenerated."""
    return sum("/regenerate" in entry["path"].lower() for entry in simulator.journal())


def events(caplog: pytest.LogCaptureFixture, name: str) -> list[Mapping[str, Any]]:
    """What was told under a name."""
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "rotation"]
    return [line for line in lines if line["event"] == f"rotation.{name}"]


def over_two_vaults(service: str = "storage") -> dict[str, Any]:
    """One account that is due, in the first of two vaults."""
    estate = one_account(service)
    return {**estate, "vaults": [*estate["vaults"], {"name": "kv-two", "resource_group": "rg-one", "secrets": []}]}
