"""What is enrolled in memory, where a service lists keys that are no longer those of the account."""

import asyncio

import pytest

from rotation.enroll import enroll
from rotation.errors import NotYetTrue
from rotation.fleet import Fleet
from rotation.model import ProbeMode, Request, SecretRef, Trigger
from rotation.report import Outcome
from tests.properties.world import World
from tests.unit.facts import ACCOUNT, MINUTE

NEW = SecretRef("kv-b", "joined")


async def forced(world: World) -> Outcome:
    """Rotate, whatever is promised."""
    fleet = Fleet(world.tools())
    survey = await fleet.survey()
    (outcome,) = (await fleet.rotate(survey, survey.groups, Request(Trigger.OPERATOR, force=True))).outcomes
    return outcome


async def enrolled(world: World) -> Outcome:
    """Enroll a secret that is not there yet."""
    tools = world.tools()
    return await enroll(NEW, ACCOUNT, tools, await Fleet(tools).survey())


@pytest.mark.parametrize(
    ("mode", "unreachable"), [(ProbeMode.OFF, False), (ProbeMode.TRY, True)], ids=["nobody asks", "nobody can ask"]
)
def test_s1_nobody_is_enrolled_with_a_key_that_is_only_listed(mode: ProbeMode, unreachable: bool) -> None:  # noqa: FBT001  # a table
    """The list of keys lags behind a rotation, and nothing tells the key that was replaced from one that works."""
    world = World(mode=mode, unreachable=unreachable, lags=9)
    asyncio.run(forced(world))
    world.now += MINUTE

    with pytest.raises(NotYetTrue, match=r"kv-./.* holds a key that stgorders does not list; enroll kv-b/joined again"):
        asyncio.run(enrolled(world))
    assert NEW not in world.secrets

    world.now += 10 * MINUTE
    asyncio.run(enrolled(world))
    world.check_published()
    assert [] == world.violations
