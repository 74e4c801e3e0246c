"""What the commands do, between their arguments and their answers."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from rotation import manifest, telemetry, tracing, views
from rotation.concurrency import all_tried
from rotation.console import Answer, Voice
from rotation.enroll import enroll as put_under_rotation
from rotation.errors import BadInput, NotFound, RotationError, Unexpected
from rotation.fleet import Fleet, Survey, Watcher
from rotation.manifest import Row
from rotation.model import AccountId, Format, Group, Request, Role, SecretRef, Trigger
from rotation.report import Outcome, Report, several
from rotation.rotate import REPAIRS
from rotation.status import standings
from rotation.tracing import traced

if TYPE_CHECKING:
    # The Azure SDKs come with it, and `--help` does not wait for those.
    from rotation.wiring import World

LEASE_NOTE = (
    "note: ROTATION_LEASES is not set, so the lease is in-process: another process is not kept apart from this one"
)


@dataclass(slots=True)
class Ledger:
    """Which accounts a command began with and which it is done with, for when it is interrupted."""

    request: Request | None = None
    """What the changes are made for, where somebody asked for them."""
    changing: bool = True
    """Whether the command changes anything, or only looks."""
    begun: Mapping[str, str] = field(default_factory=dict)
    """What a person calls each account that the command works on, by resource id."""
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def unfinished(self) -> Mapping[str, str]:
        """What was begun and has no outcome."""
        done = {outcome.account for outcome in self.outcomes}
        return {account: name for account, name in self.begun.items() if account not in done}


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command works with."""

    world: "World"
    voice: Voice
    ledger: Ledger

    @property
    def fleet(self) -> Fleet:
        """Every account that the allowed vaults publish."""
        return Fleet(self.world.tools, self.world.settings.concurrency, tracing.attempt)

    def lease_notes(self, *, written: bool) -> list[str]:
        """What whoever has written must know of leases that only this process knows of."""
        return [LEASE_NOTE] if written and self.world.settings.leases is None else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which accounts a rotation is for: those of the named secrets, those that are due, or all of them."""

    refs: Collection[SecretRef] = ()
    due: bool = False
    every: bool = False

    async def of(self, survey: Survey, fleet: Fleet, request: Request) -> tuple[Sequence[Group], Sequence[Outcome]]:
        """The accounts to work on, and the outcomes that are known already."""
        if self.refs:
            return await fleet.named(survey, self.refs)
        if self.every:
            return survey.groups, survey.strays
        due, at_rest = fleet.sift(survey, request)
        return due, (*survey.strays, *at_rest)


@traced
async def plan(desk: Desk, refs: Collection[SecretRef]) -> Answer:
    """Look at the accounts and say what a pass would do; changes nothing."""
    _check_vaults(desk, refs)
    survey = await desk.fleet.survey()
    groups, known = await desk.fleet.named(survey, refs) if refs else (survey.groups, survey.strays)
    return views.planned(await _look(desk, survey, groups, known, Request(Trigger.OPERATOR)))


@traced
async def status(desk: Desk, refs: Collection[SecretRef]) -> Answer:
    """Say how the accounts stand, from the listing alone."""
    _check_vaults(desk, refs)
    tools = desk.world.tools
    survey = await desk.fleet.survey()
    groups, known = await desk.fleet.named(survey, refs) if refs else (survey.groups, survey.strays)
    return views.standing(standings(groups, tools, survey.unseen), known, survey.problems, tools.clock.now())


@traced
async def rotate(  # noqa: PLR0913  # for whom, what, and how carefully
    desk: Desk, selection: Selection, request: Request, grace: timedelta | None, *, dry_run: bool, yes: bool
) -> Answer:
    """Bring the selected accounts to rest, or say what that would take; without `grace` the setting's holds."""
    _check_vaults(desk, selection.refs)
    request = replace(request, grace=desk.world.settings.granted(grace))
    survey = await desk.fleet.survey()
    groups, known = await selection.of(survey, desk.fleet, request)
    if dry_run:
        report = await _look(desk, survey, groups, known, request)
        return views.planned(report, views.farewell(report, request))
    meant = await desk.fleet.identified(groups, request)
    if request.insists and (selection.every or len(groups) > 1) and not yes:
        _confirm(desk, request, groups)
        # Secrets may have been enrolled while the question stood.
        survey = await desk.fleet.survey()
        groups, known = await selection.of(survey, desk.fleet, request)
        joined = [group for group in groups if group.account not in meant]
        meant = {**meant, **await desk.fleet.identified(joined, request)}
    if groups and request.insists:
        # Whatever ends this process, nobody could tell the id, or what was meant, afterwards.
        desk.voice.note(views.insisted(request, meant))
    with desk.voice.progress("rotating", len(groups), _noted(desk, groups)) as watch:
        report = _with(await desk.fleet.rotate(survey, groups, request, watch, meant=meant), known)
    notes = desk.lease_notes(written=bool(groups))
    if request.insists:
        notes += views.repetition(report, request, meant)
    return views.rotated(report, named=bool(selection.refs), notes=notes)


@traced
async def audit(desk: Desk, *, repair: bool) -> Answer:
    """Look at every account for disagreements; with `repair`, mend those that need no new key."""
    survey, request = await desk.fleet.survey(), Request(Trigger.OPERATOR)
    if not repair:
        return views.audited(await _look(desk, survey, survey.groups, survey.strays, request), repairing=False)
    with desk.voice.progress("repairing", len(survey.groups), _noted(desk, survey.groups)) as watch:
        report = await desk.fleet.rotate(survey, survey.groups, request, watch, only=REPAIRS)
    notes = desk.lease_notes(written=any(outcome.steps for outcome in report.outcomes))
    return views.audited(_with(report, survey.strays), repairing=True, notes=notes)


@traced
async def enroll(  # noqa: PLR0913  # what identifies an enrolment, and its options
    desk: Desk, ref: SecretRef, account: AccountId, form: Format | None, validity: timedelta | None, *, dry_run: bool
) -> Answer:
    """Put a secret under rotation."""
    tools, survey = desk.world.tools, await desk.fleet.survey()
    desk.ledger.begun = {str(account): str(ref)}
    outcome = await put_under_rotation(ref, account, tools, survey, form=form, validity=validity, dry_run=dry_run)
    desk.ledger.outcomes.append(outcome)
    standing = None
    if not dry_run:
        # A listing may not show yet what was written just now.
        survey = survey.joined(account, await tools.vaults[ref.vault].read(ref.name))
        (standing,) = standings([group for group in survey.groups if group.account == account], tools)
    return views.enrolled(outcome, ref, standing, desk.lease_notes(written=bool(outcome.steps)))


@traced
async def enroll_all(desk: Desk, content: bytes, *, dry_run: bool) -> Answer:
    """Put the secrets of a manifest under rotation, each by itself: what fails is a row, and stops no other.

    The secrets of one account come one after the other, in their order, so that the later ones join the earlier ones.
    """
    rows = manifest.read(content, desk.world.tools)
    survey = await desk.fleet.survey()
    wanted: dict[AccountId, list[Row]] = {}
    for row in rows:
        wanted.setdefault(row.account, []).append(row)
    desk.ledger.begun = {str(account): account.name for account in wanted}
    places = asyncio.Semaphore(desk.world.settings.concurrency)
    with desk.voice.progress("enrolling", len(rows), lambda _: None) as watch:

        async def account(wanted: Sequence[Row]) -> list[tuple[Row, Outcome]]:
            async with places:
                done = await _enroll_account(desk, survey, wanted, watch, dry_run=dry_run)
            desk.ledger.outcomes += [outcome for _, outcome in done]
            return done

        done = [row for rows in await all_tried(*map(account, wanted.values())) for row in rows]
    notes = desk.lease_notes(written=any(outcome.steps for _, outcome in done))
    return views.enrolled_all(sorted(done, key=lambda each: each[0].line), notes)


async def _enroll_account(
    desk: Desk, survey: Survey, rows: Sequence[Row], watch: Watcher, *, dry_run: bool
) -> list[tuple[Row, Outcome]]:
    tools, written = desk.world.tools, None
    done: list[tuple[Row, Outcome]] = []
    for row in rows:
        try:
            if written:
                # A listing may not show yet what was written just now.
                survey = survey.joined(row.account, await tools.vaults[written.vault].read(written.name))
                written = None
            outcome = await put_under_rotation(
                row.ref, row.account, tools, survey, form=row.form, validity=row.validity, dry_run=dry_run
            )
            written = row.ref if outcome.steps else None
        except RotationError as failure:
            outcome = Outcome(str(row.account), (row.ref,), error=failure, trigger=Trigger.OPERATOR)
        except Exception as defect:  # noqa: BLE001  # its text may hold anything, a key included
            error = Unexpected(f"{row.ref}: unexpected {type(defect).__name__}; please report it")
            outcome = Outcome(str(row.account), (row.ref,), error=error, trigger=Trigger.OPERATOR)
        watch(outcome)
        done.append((row, outcome))
    return done


def _check_vaults(desk: Desk, refs: Collection[SecretRef]) -> None:
    """Raise NotFound for secrets of vaults that we are not to look into, before looking anywhere."""
    strange = sorted({ref.vault for ref in refs} - desk.world.tools.vaults.keys())
    if strange:
        verb = "is not one" if len(strange) == 1 else "are not"
        raise NotFound(f"{', '.join(strange)} {verb} of the vaults in ROTATION_VAULTS; add it there, or check the name")


async def _look(
    desk: Desk, survey: Survey, groups: Sequence[Group], known: Sequence[Outcome], request: Request
) -> Report:
    with desk.voice.progress("looking", len(groups), _noted(desk, groups)) as watch:
        return _with(await desk.fleet.plan(survey, groups, request, watch), known)


def _noted(desk: Desk, groups: Sequence[Group]) -> Watcher:
    desk.ledger.begun = {str(group.account): group.account.name for group in groups}

    def note(outcome: Outcome) -> None:
        desk.ledger.outcomes.append(outcome)
        telemetry.noted(outcome)

    return note


def _with(report: Report, known: Sequence[Outcome]) -> Report:
    return replace(report, outcomes=(*report.outcomes, *known))


def _confirm(desk: Desk, request: Request, groups: Sequence[Group]) -> None:
    """Have a person confirm what may break promises to many applications at once; raises BadInput without."""
    concerned = f"{views.accounts(len(groups))} ({several([group.account.name for group in groups])})"
    what = f"Treat the {request.compromised} keys of {concerned} as compromised and end them"
    if request.compromised is Role.BOTH:
        what = f"Treat both keys of {concerned} as compromised and end them"
    if request.force:
        what = f"Rotate {concerned} now, and end keys that are still promised to applications"
    if not desk.voice.can_ask():
        raise BadInput(f"this concerns {concerned} and nobody is there to confirm it; add --yes")
    if not desk.voice.ask(f"{what}?"):
        raise BadInput("not confirmed; nothing was changed")
