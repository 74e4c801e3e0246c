"""The engine as it is wired for production, over the vaults of an estate."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rotation.clock import SystemClock
from rotation.fleet import Fleet, Survey
from rotation.model import Request, Trigger
from rotation.ports import Tools
from rotation.report import Report
from rotation.settings import Settings
from rotation.wiring import engine
from tests.heard import note

MINE = Request(Trigger.OPERATOR)


class Later:
    """The real clock, set forward by as much as a test says, on which waiting takes `pace` times less than it says."""

    def __init__(self) -> None:
        self._real = SystemClock()
        self.ahead = timedelta()
        self.pace = 1.0

    def now(self) -> datetime:
        """Return the time of the test."""
        return self._real.now() + self.ahead

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._real.sleep(seconds / self.pace)
        self.ahead += timedelta(seconds=seconds - seconds / self.pace)


@dataclass(frozen=True, slots=True)
class Bench:
    """A fleet, what it works with, and its clock."""

    fleet: Fleet
    tools: Tools
    clock: Later

    async def rotate(self, request: Request = MINE) -> Report:
        """One pass over every account, whether it is due or not."""
        survey = await self.survey()
        return _noted(await self.fleet.rotate(survey, survey.groups, request))

    async def plan(self, request: Request = MINE) -> Report:
        """What a pass over every account would do."""
        survey = await self.survey()
        return _noted(await self.fleet.plan(survey, survey.groups, request))

    async def survey(self) -> Survey:
        """List the vaults."""
        return await self.fleet.survey()


def _noted(report: Report) -> Report:
    note(json.dumps(report.to_json()))
    note(report)
    return report


@asynccontextmanager
async def bench(estate: dict[str, Any], **environment: str) -> AsyncIterator[Bench]:
    """Wire the engine for the vaults of an estate; `environment` has further settings."""
    vaults = ",".join(vault["name"] for vault in estate["vaults"])
    settings = Settings.from_environment({**os.environ, "ROTATION_VAULTS": vaults, **environment})
    clock = Later()
    async with engine(settings, clock) as world:
        yield Bench(Fleet(world.tools, settings.concurrency), world.tools, clock)
