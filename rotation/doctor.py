"""Looks whether everything that a rotation needs is there, before one is due; changes nothing."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from rotation import policy
from rotation.cloud.roles import advice
from rotation.concurrency import all_tried
from rotation.console import Answer, Listing
from rotation.durations import format_duration
from rotation.errors import Busy, RotationError, Transient
from rotation.fleet import Fleet, Survey
from rotation.formats import recognise
from rotation.model import AccountId, Action, Group, ProbeMode, Reason, Request
from rotation.observe import glance
from rotation.ports import Probe, Provider
from rotation.report import Json
from rotation.settings import Settings

if TYPE_CHECKING:
    # The Azure SDKs come with it, and `--help` does not wait for those.
    from rotation.wiring import World

NOBODY = AccountId.parse(
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/doctor"
    "/providers/Microsoft.Storage/storageAccounts/doctor"
)
"""Holds the lease that is tried, so that no pass on a real account is kept waiting."""


Steps: TypeAlias = dict[str, Callable[[], Awaitable[str]]]
"""Checks by name; each returns what it found, or raises what is wrong."""


class Result(StrEnum):
    """What came of a check."""

    FINE = "fine"
    WRONG = "wrong"
    UNKNOWN = "unknown"


SIGNS = {Result.FINE: "✓", Result.WRONG: "✗", Result.UNKNOWN: "?"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; what is wrong says what to do about it."""

    subject: str
    what: str
    result: Result
    finding: str
    exit_code: int = 0
    obstructed: bool = False
    """Whether the thing itself forbids to go on, as opposed to a look at it that failed."""

    def to_json(self) -> Json:
        """Return the check with the names that scripts rely on."""
        return {"subject": self.subject, "check": self.what, "result": self.result, "finding": self.finding}


class _CannotTellError(Exception):
    """Whether a thing is fine cannot be seen from here."""


async def examine(world: "World") -> Answer:
    """Check the settings, the sign-in, every vault, the lease and every account, in this order.

    Without a sign-in nothing else can be looked at.
    """
    checks = [_settings(world.settings), *await _sign_in(world)]
    if all(check.result is Result.FINE for check in checks):
        survey = await Fleet(world.tools).survey()
        checks += chain(
            *await all_tried(*(_vault(world, survey, vault) for vault in sorted(world.tools.vaults))),
            [await _lease(world)],
            [Check(str(s.secrets[0]), "tags", Result.WRONG, s.verdict.because, 3) for s in survey.strays if s.verdict],
            *await _accounts(world, survey.groups),
        )
    exit_code = max(check.exit_code for check in checks)
    parts: list[Listing | str] = [Listing(("", "Subject", "Checked", "Found"), _rows(checks)), _summary(checks)]
    return Answer({"checks": [check.to_json() for check in checks]}, parts, exit_code)


def _settings(settings: Settings) -> Check:
    vaults = "1 vault" if len(settings.vaults) == 1 else f"{len(settings.vaults)} vaults"
    limits = settings.limits
    promises = f"overlap {format_duration(limits.overlap)}; grace {format_duration(settings.grace)}"
    found = f"{vaults}; {_scope(limits.accounts)}; {promises}; probe {limits.probe}; {settings.cloud.name}"
    return Check("settings", "read", Result.FINE, found)


def _scope(allowed: Sequence[str]) -> str:
    if not allowed:
        return "any account"
    return f"accounts only of {'1 scope' if len(allowed) == 1 else f'{len(allowed)} scopes'} in ROTATION_ACCOUNTS"


async def _sign_in(world: "World") -> Sequence[Check]:
    from rotation.cloud.connection import connect  # noqa: PLC0415  # `--help` does not wait for the Azure SDKs
    from rotation.cloud.translate import translated  # noqa: PLC0415  # the same

    cloud = world.settings.cloud
    scopes = {"Azure Resource Manager": cloud.arm_scope, "Key Vault": f"https://{cloud.vault_suffix}/.default"}
    async with connect(cloud, world.settings.client_id, world.tools.clock) as connection:

        async def token(service: str) -> str:
            with translated(f"sign in to {service}"):
                return _bearer((await connection.credential.get_token(scopes[service])).token)

        return [await _check("sign-in", service, token(service)) for service in scopes]


def _bearer(token: str) -> str:
    """Say whom a token is for, as it says itself; only the service can check that, and to us it may be opaque."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(f"{payload}{'=' * (-len(payload) % 4)}"))
        who = claims.get("upn") or claims.get("preferred_username")
        app = claims.get("appid") or claims.get("azp")
        name = who or (f"app {app}" if app else f"object {claims['oid']}")
        return f"as {name} in tenant {claims['tid']}"
    except (AttributeError, LookupError, TypeError, ValueError):
        return "there is a token"


async def _vault(world: "World", survey: Survey, name: str) -> Sequence[Check]:
    vault = world.tools.vaults[name]
    managed = [s for group in survey.groups for s in group.secrets if s.ref.vault == name]

    async def listed() -> str:
        if name in survey.problems:
            raise survey.problems[name]
        return "1 managed secret" if len(managed) == 1 else f"{len(managed)} managed secrets"

    async def read() -> str:
        readable = next((secret for secret in managed if secret.enabled), None)
        if readable is None:
            raise _CannotTellError("no managed secret is there to read")
        await vault.read(readable.ref.name)
        return f"{readable.ref.name} can be read"

    async def write() -> str:
        raise _CannotTellError(
            "whether we may write shows only by writing; 'Key rotation of secrets' of the templates allows it"
        )

    steps: Steps = {"list": listed}
    if name not in survey.problems:
        steps |= {"read": read, "write": write}
    return await _checks(name, steps)


async def _lease(world: "World") -> Check:
    async def held() -> str:
        if world.settings.leases is None:
            raise _CannotTellError(
                "ROTATION_LEASES is not set, so passes in other processes are not kept apart; "
                "set it to the URL of a blob container, the app's own if there is an app"
            )
        try:
            async with world.tools.leases.hold(NOBODY):
                return "a lease can be taken"
        except Busy:
            return "a lease can be taken; another doctor has it"

    return await _check("leases", "take", held())


async def _accounts(world: "World", groups: Iterable[Group]) -> Sequence[Sequence[Check]]:
    places = asyncio.Semaphore(world.settings.concurrency)

    async def one(group: Group) -> Sequence[Check]:
        async with places:
            return await _account(world, group)

    return await all_tried(*(one(group) for group in groups))


async def _account(world: "World", group: Group) -> Sequence[Check]:
    account, tools = group.account, world.tools
    verdict = policy.judge(glance(group, Request(), tools), tools.clock.now())
    refused = verdict.action is Action.REFUSE
    if refused or verdict.reason is Reason.UNKNOWN_TYPE:
        result, exit_code = (Result.WRONG, 3) if refused else (Result.FINE, 0)
        return [Check(account.name, "tags", result, verdict.because, exit_code)]
    provider = tools.providers.for_type(account.resource_type)

    async def described() -> str:
        if obstacles := (await provider.describe(account)).obstacles:
            raise _ObstructedError("; ".join(o.because for o in obstacles))
        return "no obstacle"

    async def listed() -> str:
        await provider.list_keys(account)
        return "both keys are listed"

    async def allowed() -> str:
        missing = await world.rights.missing(account, provider.rights)
        if missing is None:
            raise _CannotTellError("we may not read our own rights; the first rotation will tell")
        if missing:
            raise _ObstructedError(f"our identity lacks {', '.join(missing)}; {advice(*missing)}")
        return "all rights that can be seen are there; locks and deny assignments cannot"

    async def reached() -> str:
        return await _reached(world, group, provider)

    read = await _check(account.name, "read", described())
    steps: Steps = {"list keys": listed, "rights": allowed, "data plane": reached}
    if read.obstructed:
        # Keys that are switched off cannot be listed nor used either: one cause is one complaint.
        steps = {"rights": allowed}
    return [read, *await _checks(account.name, steps)]


async def _reached(world: "World", group: Group, provider: Provider) -> str:
    """Try the published key."""
    mode = world.tools.limits.probe
    published = next((secret for secret in group.secrets if secret.enabled), None)
    if mode is ProbeMode.OFF or published is None:
        raise _CannotTellError("not tried: ROTATION_PROBE is off, or every secret is disabled")
    try:
        description = await provider.describe(group.account)
        secret = await world.tools.vaults[published.ref.vault].read(published.ref.name)
    except RotationError:
        raise _CannotTellError("not tried: the account or its secret could not be read") from None
    if secret.value is None:
        raise _CannotTellError(f"not tried: {published.ref} has no value")
    answer = await provider.probe(description, recognise(secret.value).key)
    if answer is Probe.REFUSED:
        raise _ObstructedError(
            f"the service refuses the key in {published.ref}; `audit` says why, `audit --repair` mends it"
        )
    if answer is Probe.UNREACHABLE:
        message = f"{description.endpoint} cannot be reached from here, so new keys cannot be tried"
        raise _ObstructedError(message) if mode is ProbeMode.REQUIRED else _CannotTellError(message)
    return f"the key in {published.ref} is accepted"


class _ObstructedError(RotationError):
    """A check found what a person must put right."""

    code = "obstructed"
    exit_code = 3


async def _checks(subject: str, steps: Steps) -> Sequence[Check]:
    return await all_tried(*(_check(subject, what, step()) for what, step in steps.items()))


async def _check(subject: str, what: str, looking: Awaitable[str]) -> Check:
    try:
        return Check(subject, what, Result.FINE, await looking)
    except _CannotTellError as unknown:
        return Check(subject, what, Result.UNKNOWN, str(unknown))
    except Transient as passing:
        return Check(subject, what, Result.UNKNOWN, str(passing), passing.exit_code)
    except RotationError as wrong:
        obstructed = isinstance(wrong, _ObstructedError)
        return Check(subject, what, Result.WRONG, str(wrong), wrong.exit_code, obstructed)


def _rows(checks: Iterable[Check]) -> list[tuple[str, str, str, str]]:
    """One row for all that is fine with a subject, and one for each of the rest."""
    rows: dict[tuple[str, str], tuple[str, str, str, str]] = {}
    for check in checks:
        what, found = check.what, check.finding
        key = (check.subject, "" if check.result is Result.FINE else what)
        if key in rows:
            said = rows[key][3]
            what, found = f"{rows[key][2]}, {what}", said if found in said.split("; ") else f"{said}; {found}"
        rows[key] = (SIGNS[check.result], check.subject, what, found)
    return list(rows.values())


def _summary(checks: Sequence[Check]) -> str:
    wrong = sum(check.result is Result.WRONG for check in checks)
    if wrong:
        return f"{wrong} to put right before rotations can go on"
    passing = sum(check.exit_code != 0 for check in checks)
    if passing:
        return f"{passing} could not be looked at for now; look again later"
    open_questions = sum(check.result is Result.UNKNOWN for check in checks)
    if open_questions:
        number = "1 question is" if open_questions == 1 else f"{open_questions} questions are"
        return f"nothing that can be seen is in the way of a rotation; {number} open"
    return "nothing is in the way of a rotation"
