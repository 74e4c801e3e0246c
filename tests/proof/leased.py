"""Passes over everything, each under leases on blobs; as a program, one that can be stopped from outside.

python -m tests.proof.leased
"""

import asyncio
import json
import os
from dataclasses import replace

from rotation.clock import SystemClock
from rotation.cloud.connection import connect
from rotation.cloud.lease import BlobLeases
from rotation.fleet import Fleet
from rotation.model import Request, Trigger
from rotation.ports import Clock
from rotation.report import Report
from rotation.settings import Settings
from rotation.wiring import engine

SHORTEST = 15
"""Seconds that a lease lasts at least."""


async def one_pass(clock: Clock, *, seconds: int = 60, pause: float = 15) -> Report:
    """Look at every account once, as a process of its own would: with its own clients, tokens and leases."""
    settings = Settings.from_environment(os.environ)
    async with engine(settings, clock) as world, connect(settings.cloud, settings.client_id, clock) as connection:
        assert settings.leases is not None
        leases = BlobLeases(settings.leases, connection, seconds=seconds, pause=pause)
        fleet = Fleet(replace(world.tools, leases=leases))
        survey = await fleet.survey()
        return await fleet.rotate(survey, survey.groups, Request(Trigger.OPERATOR))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(one_pass(SystemClock(), seconds=SHORTEST, pause=1)).to_json()))  # noqa: T201
