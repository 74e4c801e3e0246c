"""What the six functions do, told apart from how the Functions runtime calls them.

What a trigger hears is turned into work; only the worker and `rotate_now` touch an account, each for one account.
Nothing is read, opened or imported from Azure before a function needs it, and what is open stays open with the process.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from rotation import calls, messages, orders, replies, tags, telemetry, tracing
from rotation.clock import SystemClock
from rotation.errors import (
    BadInput,
    BadSettings,
    Busy,
    ChangedMeanwhile,
    NotFound,
    NotYetTrue,
    RotationError,
    Staged,
    Transient,
    Unavailable,
    Unexpected,
)
from rotation.events import envelope, kind_of, read_event
from rotation.fleet import Fleet, Meant, Survey
from rotation.messages import Work
from rotation.model import AccountId, Action, Group, Reason, Request, SecretRef, Trigger, Verdict
from rotation.orders import Order, Question
from rotation.ports import Clock
from rotation.replies import Reply
from rotation.report import Json, Outcome, Report, several
from rotation.settings import Settings
from rotation.status import Standing, overview, standings

if TYPE_CHECKING:
    # The Azure SDKs come with it, and a cold start does not wait for those.
    from rotation.wiring import World

PATIENCE = 200.0
"""Seconds that a caller over HTTP is kept waiting; the platform hangs up after 230."""

DELIVERIES = 5
"""How often the queue brings a message before it parks it: `maxDequeueCount` of host.json."""

SCHEDULES = ("ROTATION_SCHEDULE", "ROTATION_AUDIT_SCHEDULE")
"""The settings that the triggers name."""

_EVENTS = uuid.UUID("6c9f8a53-9f0e-4d0c-8a39-0a8d0a3c2f11")
"""Where ids of events that cannot stand in a tag are turned into ids that can."""

T = TypeVar("T")


class Triggers:
    """The functions of one process."""

    def __init__(
        self, environment: Mapping[str, str], clock: Clock | None = None, *, patience: float = PATIENCE
    ) -> None:
        """Take note of where the settings are; they are read when the first function runs."""
        self._environment = environment
        self._clock = clock or SystemClock()
        self._patience = patience
        self._opening = asyncio.Lock()
        self._opened: _Engine | None = None
        self._held = AsyncExitStack()
        self._going_on: set[asyncio.Task[Report]] = set()

    async def sweep(self, *, late: bool = False) -> list[str]:
        """Messages for the accounts that have something to do, after one listing pass that reads no values."""
        return await _messages("sweep", lambda: self._list("sweep", late=late))

    async def audit(self, *, late: bool = False) -> list[str]:
        """Messages for all accounts."""
        return await _messages("audit", lambda: self._list("audit", late=late))

    async def near_expiry(self, event: Mapping[str, object]) -> str | None:
        """A message for the secret that an event speaks of; None for what is not ours, in other vaults above all.

        Nothing is contacted, so that Event Grid has its answer at once.
        """

        async def heard() -> list[str]:
            work = self._announced("near_expiry", event)
            return [messages.write(work)] if work else []

        return next(iter(await _messages("near_expiry", heard)), None)

    async def rotate_account(self, text: bytes, delivery: int | None = 1) -> None:
        """Carry out one message; raises BadInput for one that cannot be read, and a Transient when waiting helps.

        Whatever else goes wrong ends here with an event, and is met again by the next sweep.
        Where Event Grid cannot reach the app it puts its events into the queue itself.
        """
        try:
            event = envelope(text)
            work = messages.read(text) if event is None else self._announced("rotate_account", event)
        except BadInput as error:
            telemetry.failed("rotate_account", error, delivery=delivery)
            raise error from None
        except BadSettings as error:
            telemetry.failed("rotate_account", error, delivery=delivery)
            return
        if work is None:
            return
        try:
            outcome = await self._carry_out(work, delivery)
        except RotationError as error:
            if isinstance(error, NotFound) and not work.request.insists:
                # Most events speak of secrets that nobody asked us to rotate.
                telemetry.ignored("rotate_account", str(error), request_id=work.request.id)
                return
            telemetry.failed("rotate_account", error, request_id=work.request.id, delivery=delivery)
            if isinstance(error, Transient) and not _is_left_to_the_next_sweep(error, work.request, delivery or 1):
                # What caused it may quote what Azure said, and is not for the host's log.
                raise error from None
        except Exception as defect:  # noqa: BLE001  its text may hold anything, a key included
            telemetry.failed("rotate_account", _unforeseen(defect), request_id=work.request.id, delivery=delivery)
        else:
            failure = _worth_another_delivery(outcome)
            if failure and not _is_left_to_the_next_sweep(failure, work.request, delivery or 1):
                raise failure from None

    async def rotate_now(self, route: Mapping[str, str], query: Mapping[str, str], body: bytes) -> Reply:
        """Rotate the account of one secret while the caller waits, or let the queue see to it that it is done."""
        return await _answered("rotate_now", lambda: self._rotate_now(route, query, body))

    async def status(self, query: Mapping[str, str]) -> Reply:
        """Tell how the accounts stand, from the listing alone or after a full look at each."""
        return await _answered("status", lambda: self._status(query))

    async def close(self) -> None:
        """Let passes that go on come to their end, and close what is open; the host never does, tests do."""
        await asyncio.gather(*self._going_on, return_exceptions=True)
        await self._held.aclose()
        self._opened = None

    async def _list(self, function: str, *, late: bool) -> list[str]:
        engine, started = await self._engine(), self._clock.now()
        with calls.counted() as made:
            found = await (engine.fleet.sweep() if function == "sweep" else engine.fleet.audit())
        for stray in found.strays:
            telemetry.attempt(function, stray)
        unseen = tuple(sorted(found.problems))
        for standing in standings(found.groups, engine.world.tools, unseen):
            telemetry.queued(function, standing, days_left=_days_left(standing, started))
        fields = {
            "vaults": sorted(engine.world.tools.vaults),
            "unseen": unseen,
            "accounts": found.accounts,
            "queued": len(found.groups),
            "at_rest": found.accounts - len(found.groups),
            "strays": len(found.strays),
            "late": late,
            "calls": made.number,
            "seconds": round((self._clock.now() - started).total_seconds(), 3),
        }
        telemetry.listed(function, fields, found.problems)
        return [self._message_for(group, started) for group in found.groups]

    def _message_for(self, group: Group, asked: datetime) -> str:
        request = Request(Trigger.SCHEDULE, str(uuid.uuid4()))
        refs = tuple(secret.ref for secret in group.secrets)
        return messages.write(Work(account=group.account, secrets=refs, request=request, asked=asked))

    def _announced(self, function: str, event: Mapping[str, object]) -> Work | None:
        """What an event asks for; None for what is not ours."""
        announced = read_event(event)
        if announced is None:
            telemetry.ignored(function, "not an event of a secret's expiry", kind=kind_of(event)[:100])
            return None
        ref = announced.occasion.ref
        if ref.vault not in self._settings().vaults:
            telemetry.ignored(function, "the vault is not one of ROTATION_VAULTS", secret=str(ref))
            return None
        identity = _recordable(announced.id or announced.occasion.version)
        telemetry.event("event", function=function, kind=announced.kind, secret=str(ref), request_id=identity)
        request = Request(Trigger.EVENT, identity, announced.occasion)
        return Work(secrets=(ref,), request=request, asked=self._clock.now())

    async def _carry_out(self, work: Work, delivery: int | None) -> Outcome:
        vaults = self._settings().vaults
        if strange := sorted({str(ref) for ref in work.secrets if ref.vault not in vaults}):
            because = f"{several(strange)}: outside of ROTATION_VAULTS"
            outcome = Outcome(
                account="" if work.account is None else str(work.account),
                secrets=work.secrets,
                verdict=Verdict(Action.REFUSE, Reason.NOT_ALLOWED, because),
                request_id=work.request.id,
                trigger=work.request.trigger,
            )
            telemetry.attempt("rotate_account", outcome, delivery=delivery)
            return outcome
        engine = await self._engine()
        survey = await engine.fleet.surveyed_since(work.asked)
        meant = _meant(survey, work, delivery or 1)
        if isinstance(meant, Outcome):
            telemetry.attempt("rotate_account", meant, delivery=delivery)
            return meant
        report = await engine.rotate("rotate_account", survey, meant, work.request, delivery=delivery)
        return report.outcomes[0]

    async def _rotate_now(self, route: Mapping[str, str], query: Mapping[str, str], body: bytes) -> Reply:
        order = orders.read_order(route.get("vault", ""), route.get("secret", ""), query, body)
        settings, asked = self._settings(), self._clock.now()
        # Not by the clock on the wall, which may be set back.
        until = asyncio.get_running_loop().time() + self._patience
        if order.ref.vault not in settings.vaults:
            raise _not_allowed(order.ref.vault)
        request = Request(
            Trigger.OPERATOR,
            order.request_id or str(uuid.uuid4()),
            compromised=order.compromised,
            grace=settings.granted(order.grace),
            force=order.force,
        )
        if order.dry_run:
            return replies.reported(await self._in_time(self._plan(order.ref, request)), order.ref)
        try:
            return await self._carried_out_or_queued(order, request, asked, until)
        except (BadInput, NotFound):
            raise
        except RotationError as error:
            telemetry.failed("rotate_now", error)
            return replies.to_be_repeated(replies.problem(error), request)

    async def _carried_out_or_queued(self, order: Order, request: Request, asked: datetime, until: float) -> Reply:
        meant: Mapping[AccountId, Meant] = {}
        if request.compromised:
            meant = await self._in_time(self._identified(order.ref, request, asked))
        account = next(iter(meant), None)
        request = next((each for each in meant.values() if isinstance(each, Request)), request)
        report = await self._while_waited_for(self._rotate(order, request, asked, meant), until)
        if request.compromised and request.suspects is None:
            # Which key is meant was not known when it was asked for, and later the same words may mean another one.
            return replies.to_be_repeated(self._not_queued(report, order.ref), request)
        reply = self._handed_over(order.ref, request) if report is None else replies.reported(report, order.ref)
        if reply.status == HTTPStatus.LOCKED and request.compromised:
            # For the same reason nobody is told to ask again.
            reply = self._handed_over(order.ref, request)
        if reply.status != HTTPStatus.ACCEPTED:
            return replies.to_be_repeated(reply, request)
        if account is None and report is not None:
            account = AccountId.parse(report.outcomes[0].account)
        # The same request: if the pass comes to its end after all, there is nothing left to do for the message.
        work = Work(account=account, secrets=(order.ref,), request=request, asked=asked)
        return replies.queued(reply, request, messages.write(work))

    def _not_queued(self, report: Report | None, ref: SecretRef) -> Reply:
        """Answer where nothing comes after the answer: what is not finished has to be asked for again."""
        if report is None:
            return replies.problem(
                Unavailable(f"it takes longer than {self._patience:g} seconds and may still be done")
            )
        error = report.outcomes[0].error
        return replies.unfinished(error, report) if isinstance(error, NotYetTrue) else replies.reported(report, ref)

    async def _while_waited_for(self, rotating: Coroutine[None, None, Report], until: float) -> Report | None:
        """The report, or nothing when that takes too long by the loop's time, while the pass goes on.

        It is not cancelled: a pass that is stopped between two writes would leave more to the next one.
        """
        task = asyncio.create_task(rotating)
        self._going_on.add(task)
        task.add_done_callback(self._going_on.discard)
        try:
            await asyncio.wait([task], timeout=until - asyncio.get_running_loop().time())
        finally:
            if not task.done():
                task.add_done_callback(_end_of_waiting)
        return task.result() if task.done() else None

    def _handed_over(self, ref: SecretRef, request: Request) -> Reply:
        telemetry.event("handed-over", function="rotate_now", secret=str(ref), request_id=request.id)
        return replies.accepted({"request_id": request.id, "secret": str(ref)}, ref)

    async def _in_time(self, reading: Coroutine[None, None, T]) -> T:
        """What can be read before the caller is gone; reading can be broken off anywhere."""
        try:
            async with asyncio.timeout(self._patience):
                return await reading
        except TimeoutError:
            raise Unavailable(f"it takes longer than {self._patience:g} seconds; ask for less, or later") from None

    async def _rotate(
        self, order: Order, request: Request, asked: datetime, meant: Mapping[AccountId, Meant]
    ) -> Report:
        engine = await self._engine()
        survey = await engine.fleet.surveyed_since(asked)
        groups, strays = await engine.fleet.named(survey, [order.ref])
        if not groups:
            return Report(strays, survey.problems)
        return await engine.rotate("rotate_now", survey, groups[0], request, meant, operator_reason=order.reason)

    async def _identified(self, ref: SecretRef, request: Request, asked: datetime) -> Mapping[AccountId, Meant]:
        """The account, and what is asked of it with the keys that are meant; empty where there is none."""
        engine = await self._engine()
        survey = await engine.fleet.surveyed_since(asked)
        groups, _ = await engine.fleet.named(survey, [ref])
        return await engine.fleet.identified(groups[:1], request)

    async def _plan(self, ref: SecretRef, request: Request) -> Report:
        engine = await self._engine()
        survey = await engine.fleet.survey()
        groups, strays = await engine.fleet.named(survey, [ref])
        report = await engine.fleet.plan(survey, groups, request, telemetry.noted)
        return replace(report, outcomes=(*report.outcomes, *strays))

    async def _status(self, query: Mapping[str, str]) -> Reply:
        question = orders.read_question(query)
        if question.vault is not None and question.vault not in self._settings().vaults:
            raise _not_allowed(question.vault)
        return Reply(HTTPStatus.OK, await self._in_time(self._standing(question)))

    async def _standing(self, question: Question) -> Json:
        engine = await self._engine()
        survey = await engine.fleet.survey()
        groups = [g for g in survey.groups if any(question.matches(s.ref) for s in g.secrets)]
        strays = tuple(o for o in survey.strays if any(map(question.matches, o.secrets)))
        if question.name is not None and not (groups or strays or survey.problems):
            if question.vault is not None:
                raise await engine.fleet.unmanaged(survey, [SecretRef(question.vault, question.name)])
            raise NotFound(f"{question.name}: no managed secret of that name in the allowed vaults")
        if question.deep:
            report = await engine.fleet.plan(survey, groups, Request(Trigger.OPERATOR), telemetry.noted)
            return replace(report, outcomes=(*report.outcomes, *strays)).to_json()
        stand = standings(groups, engine.world.tools, survey.unseen)
        return overview(stand, Report(strays, survey.problems), self._clock.now())

    def _settings(self) -> Settings:
        settings = Settings.from_environment(self._environment)
        if unset := [name for name in SCHEDULES if not self._environment.get(name, "").strip()]:
            # The host reads them by itself, and knows no defaults.
            raise BadSettings("\n".join(f"{name}: it is not set, so the host starts no sweeps" for name in unset))
        if settings.leases is None:
            # Every instance would hold a lease that only itself knows of.
            raise BadSettings(
                "AzureWebJobsStorage__blobServiceUri: it is not said where leases are, which keep the instances of "
                "this app apart; set it, AzureWebJobsStorage__accountName or ROTATION_LEASES"
            )
        return settings

    async def _engine(self) -> "_Engine":
        """Open the engine once, on the event loop that all invocations share."""
        async with self._opening:
            if self._opened is None:
                settings = self._settings()
                from rotation.wiring import engine  # noqa: PLC0415  a cold start does not wait for the Azure SDKs

                world = await self._held.enter_async_context(engine(settings, self._clock))
                fleet = Fleet(world.tools, settings.concurrency, tracing.attempt)
                self._opened = _Engine(world, fleet)
            return self._opened


@dataclass(frozen=True, slots=True)
class _Engine:
    """What is open for the life of the process."""

    world: "World"
    fleet: Fleet

    async def rotate(  # the function, what it works on, and what is asked
        self,
        function: str,
        survey: Survey,
        group: Group,
        request: Request,
        meant: Mapping[AccountId, Meant] = MappingProxyType({}),
        **more: object,
    ) -> Report:
        """One pass over one account, with its event."""
        tools = self.world.tools
        before = standings([group], tools, survey.unseen)[0]
        days_left = _days_left(before, tools.clock.now())

        def tell(outcome: Outcome) -> None:
            telemetry.attempt(function, outcome, before, days_left=days_left, calls=made.number, **more)

        with calls.counted() as made:
            return await self.fleet.rotate(survey, [group], request, tell, meant=meant)


def _meant(survey: Survey, work: Work, delivery: int) -> Group | Outcome:
    """The account of a message as it is listed now, or the outcome of a secret that names no account.

    A listing that lags may hide a secret: it is gone when another one, for another delivery, does not show it either.
    """
    groups = survey.named(work.secrets)[0] if work.account is None else survey.groups
    group = next((g for g in groups if work.account in (None, g.account)), None)
    listed = set() if group is None else {secret.ref for secret in group.secrets}
    if group is not None and listed.issuperset(work.secrets):
        return group
    stray = next((o for o in survey.strays if not set(o.secrets).isdisjoint(work.secrets)), None)
    if group is None and stray is not None:
        return stray
    for ref in work.secrets:
        if ref.vault in survey.problems:
            raise survey.problems[ref.vault] from None
    names = several(list(map(str, work.secrets)))
    if delivery == 1 or not listed.isdisjoint(work.secrets):
        raise ChangedMeanwhile(f"{names}: not all of them publish {work.account} any more")
    if group is not None:
        return group
    if survey.problems:
        raise min(survey.problems.values(), key=lambda problem: problem.exit_code) from None
    raise NotFound(
        f"{names}: no managed secret of that name any more, and no other one publishes {work.account}; "
        "nothing was rotated: `enroll` one and ask again, or regenerate the key by hand"
    )


def _not_allowed(vault: str) -> NotFound:
    return NotFound(f"{vault} is not one of the vaults in ROTATION_VAULTS; add it there, or check the name")


def _is_left_to_the_next_sweep(failure: Transient, request: Request, delivery: int) -> bool:
    """Whether the poison queue would only wake somebody.

    Another pass does what is due, the next sweep publishes the key, or it asks anew for the secrets that are left.
    """
    passing = isinstance(failure, (Busy, Staged, ChangedMeanwhile))
    return passing and not request.insists and delivery >= DELIVERIES


def _worth_another_delivery(outcome: Outcome) -> Transient | None:
    """Why the queue is to bring the message again: waiting helps, and the next sweep would not ask for as much."""
    if isinstance(outcome.error, Transient):
        return outcome.error
    if outcome.error is None and outcome.verdict and outcome.insisted and outcome.exit_code == Transient.exit_code:
        return NotYetTrue(outcome.verdict.because)
    return None


def _end_of_waiting(task: asyncio.Task[Report]) -> None:
    """Tell of a failure that no caller waits for any more."""
    if not task.cancelled() and (error := task.exception()):
        telemetry.failed("rotate_now", error if isinstance(error, RotationError) else _unforeseen(error))


def _days_left(standing: Standing, now: datetime) -> int | None:
    return None if standing.expires is None else (standing.expires - now).days


def _recordable(identity: str) -> str:
    """An id that may stand in a tag, always the same one for the same event."""
    try:
        return tags.request_id(identity)
    except ValueError:
        # In ASCII, since half a surrogate pair cannot be encoded.
        return str(uuid.uuid5(_EVENTS, ascii(identity)))


async def _messages(function: str, heard: Callable[[], Awaitable[list[str]]]) -> list[str]:
    """What is to be put on the queue; what goes wrong is told, and ends here."""
    try:
        return await heard()
    except RotationError as error:
        telemetry.failed(function, error)
    except Exception as defect:  # noqa: BLE001  its text may hold anything
        telemetry.failed(function, _unforeseen(defect))
    return []


async def _answered(function: str, serve: Callable[[], Awaitable[Reply]]) -> Reply:
    """Answer; what goes wrong is a problem document."""
    try:
        return await serve()
    except RotationError as error:
        failure = error
    except Exception as defect:  # noqa: BLE001  its text may hold anything
        failure = _unforeseen(defect)
    if not isinstance(failure, BadInput | NotFound):
        telemetry.failed(function, failure)
    return replies.problem(failure)


def _unforeseen(defect: BaseException) -> Unexpected:
    return Unexpected(f"unexpected {type(defect).__name__}; please report it")
