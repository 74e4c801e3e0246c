"""What is enrolled in memory, where a service lists keys that are no longer those of the account."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from rotation.enroll import enroll
from rotation.errors import NotYetTrue, Refused
from rotation.fleet import Fleet
from rotation.model import Action, ProbeMode, Request, Role, SecretRef, Trigger
from rotation.report import Outcome
from tests.properties.world import World
from tests.unit.facts import ACCOUNT, MINUTE

NEW = SecretRef("kv-b", "joined")


async def passed(world: World, request: Request) -> Outcome:
    """Let a pass come by."""
    fleet = Fleet(world.tools())
    survey = await fleet.survey()
    (outcome,) = (await fleet.rotate(survey, survey.groups, request)).outcomes
    return outcome


async def forced(world: World) -> Outcome:
    """Rotate, whatever is promised."""
    return await passed(world, Request(Trigger.OPERATOR, force=True))


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


@pytest.mark.parametrize(
    ("mode", "unreachable"), [(ProbeMode.OFF, False), (ProbeMode.TRY, True)], ids=["nobody asks", "nobody can ask"]
)
def test_s1_nobody_is_enrolled_beside_a_secret_that_cannot_be_read_with_a_key_that_is_only_listed(
    mode: ProbeMode,
    unreachable: bool,  # noqa: FBT001  # a table
) -> None:
    """It is disabled, so that nothing shows that the list of keys lags behind what it publishes."""
    world = World(mode=mode, unreachable=unreachable, lags=9)
    gone, kept = sorted(world.secrets)
    del world.secrets[gone]
    asyncio.run(forced(world))
    world.now += MINUTE
    world.secrets[kept][-1] = replace(world.secrets[kept][-1], enabled=False)

    with pytest.raises(Refused, match=f"{kept} is disabled, and the key of key2 cannot be tried.*enable it, or remove"):
        asyncio.run(enrolled(world))
    assert NEW not in world.secrets

    world.mode, world.unreachable, world.lags, world.lagging = ProbeMode.TRY, False, 0, {}
    asyncio.run(enrolled(world))
    world.check_published()
    assert [] == world.violations


def test_s2_who_is_enrolled_does_not_bring_the_grace_of_a_key_back_that_is_gone() -> None:
    """The leaked key was regenerated in the portal, too, while its successor waited: what is given out now is good."""
    world = World(mode=ProbeMode.REQUIRED, slow=7 * MINUTE)
    leaked = world.keys["key1"]
    world.given_up.add(leaked)
    emergency = Request(Trigger.OPERATOR, "INC-7", compromised=Role.ACTIVE, grace=timedelta(0))
    asyncio.run(passed(world, emergency))
    world.lost.add(leaked)
    world.keys["key1"] = good = world.new_key()
    world.now += 8 * MINUTE
    asyncio.run(enrolled(world))
    world.now += MINUTE

    outcome = asyncio.run(passed(world, Request()))

    assert [Action.REPUBLISH, Action.PUBLISH] == [step.action for step in outcome.steps]
    assert good in world.keys.values()
    assert [] == world.violations
