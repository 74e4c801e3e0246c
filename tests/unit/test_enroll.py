"""What is enrolled in memory, where a service lists keys that are no longer those of the account."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotation.enroll import enroll
from rotation.errors import ChangedMeanwhile, LeaseLost, NotYetTrue, Refused, RotationError, Unavailable
from rotation.fleet import Fleet
from rotation.model import Action, ProbeMode, Request, Role, Secret, SecretRef, Sensitive, Trigger
from rotation.report import Outcome
from tests.properties.world import MemoryVault, World
from tests.unit.facts import ACCOUNT, DAY, MINUTE
from tests.unit.passes import Doorkeeper

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


async def enrolled(world: World, problems: Mapping[str, RotationError] | None = None, **other: Any) -> Outcome:
    """Enroll a secret that is not there yet, perhaps with other tools, or where vaults could not be listed."""
    tools = replace(world.tools(), **other)
    survey = replace(await Fleet(tools).survey(), problems=problems or {})
    return await enroll(NEW, ACCOUNT, tools, survey)


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


def refused(world: World, problems: Mapping[str, RotationError] | None = None, **other: Any) -> str:
    """Why nobody is enrolled, where every request would fail."""
    world.fuse, world.deadly = 1, False
    with pytest.raises(RotationError) as refusal:
        asyncio.run(enrolled(world, problems, **other))
    return str(refusal.value)


def test_s7_an_account_that_is_not_allowed_is_not_asked(world: World) -> None:
    """Whoever enrolls names it, and not the settings."""
    limits = replace(world.limits, accounts=(f"{str(ACCOUNT).partition('/resourceGroups')[0]}/resourceGroups/x",))

    assert "stgorders is outside of ROTATION_ACCOUNTS; add it there first" == refused(world, limits=limits)


def test_s4_nobody_is_enrolled_while_a_vault_is_out_of_sight(world: World) -> None:
    """It may publish the account from the other slot."""
    assert (
        "kv-c could not be listed and may publish this account from another slot; "
        "make every vault of ROTATION_VAULTS readable first"
    ) == refused(world, {"kv-c": Unavailable("503")})


def test_s5_nobody_is_enrolled_while_a_pass_is_at_work(world: World) -> None:
    """It may be about to end the key that would be given out."""
    assert "another pass has it" == refused(world, leases=Doorkeeper(busy=True))


def test_s5_who_has_lost_the_lease_writes_nothing(world: World) -> None:
    """Another pass may have taken the account over."""
    doorkeeper = Doorkeeper(lost=True)
    with pytest.raises(LeaseLost):
        asyncio.run(enrolled(world, leases=doorkeeper))

    assert [ACCOUNT] == doorkeeper.held
    assert NEW not in world.secrets


class Watched(MemoryVault):
    """A vault in which something happens between the two looks at the secret that is enrolled."""

    def __init__(self, world: World, between: Callable[[], object]) -> None:
        super().__init__(world, NEW.vault)
        self.between, self.looks = between, 0

    async def read(self, name: str) -> Secret:
        """Read, after what happens."""
        self.looks += name == NEW.name
        if self.looks == 2:  # the second look
            self.between()
        return await super().read(name)


def test_what_somebody_writes_meanwhile_is_not_written_over(world: World) -> None:
    """What stands there now was looked at by nobody."""
    theirs = Sensitive("somebody else's")
    vault = Watched(world, lambda: world.write(NEW, theirs, {}, None))

    with pytest.raises(
        ChangedMeanwhile, match=f"^{NEW} was changed by somebody else meanwhile; look at it, and enroll"
    ):
        asyncio.run(enrolled(world, vaults={**world.tools().vaults, NEW.vault: vault}))

    assert [theirs] == [version.value for version in world.secrets[NEW]]


def test_s8_a_secret_with_too_many_tags_is_refused_before_it_is_written(world: World) -> None:
    """Key Vault would refuse to publish the next key there."""
    world.write(NEW, Sensitive(world.keys["key1"]), {f"tag-{number}": "x" for number in range(12)}, None)

    with pytest.raises(Refused, match=f"^{NEW}: there would be 16 tags and Key Vault allows 15; remove 1$"):
        asyncio.run(enrolled(world))

    assert 1 == len(world.secrets[NEW])


def test_a_secret_that_joins_again_takes_its_own_place(world: World) -> None:
    """A listing that shows an earlier state of it must not count beside what was written since."""
    survey = asyncio.run(Fleet(world.tools()).survey())
    ref = min(world.secrets)
    newer = replace(world.secrets[ref][-1], created=world.now + DAY)

    (group,) = survey.joined(ACCOUNT, newer).groups

    assert [(ref, newer.created)] == [(secret.ref, secret.created) for secret in group.secrets if secret.ref == ref]
    assert len(world.secrets) == len(group.secrets)
