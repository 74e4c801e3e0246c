"""One pass over one account: observe, judge, act, until nothing is left to do.

Every step is safe to repeat, and each leaves a world from which the next pass goes on:

    regenerate the idle slot   crash: the idle slot has a key nobody knows; the published key is untouched
    try the new key            crash: the same
    (not accepted: stage it)   crash: staged, or the same
    publish to each member     crash: some new, some old, both valid: a split, which the next pass aligns
    observe again              nothing is left to do, or drift, which the next pass mends
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from rotation import policy
from rotation.act import Hands
from rotation.errors import NotYetTrue, RotationError, Unexpected
from rotation.listings import FRESH
from rotation.model import AccountId, Action, Group, KnownKey, Reason, Request, Suspect, Verdict
from rotation.observe import Observation, Observer, glance
from rotation.ports import Lease, Tools
from rotation.report import Outcome, Step

RESTING = frozenset({Action.LEAVE, Action.REFUSE})
CHANGES = frozenset(Action) - RESTING
REPAIRS = CHANGES - policy.REGENERATING
"""What mends a disagreement between vaults and an account without regenerating a key."""
MAX_STEPS = 12
"""A pass takes at most five steps (retag, align, rotate, align, retire), and lists anew for those that regenerate.

More means that somebody undoes them.
"""

Members = Callable[[AccountId, datetime], Awaitable[Group]]
"""Who publishes an account, by a listing begun since then; raises a RotationError where a vault cannot be listed."""


async def rotate(  # noqa: PLR0913  # one account, what is asked, and what a listing told
    group: Group,
    request: Request,
    tools: Tools,
    members: Members,
    *,
    unseen: tuple[str, ...] = (),
    only: frozenset[Action] = CHANGES,
) -> Outcome:
    """Bring one account to rest under its lease; what went wrong is part of the outcome.

    The pass also ends where something else than `only` these actions is to be done.
    """
    return await _Pass(group, request, tools, unseen, members=members, only=only).run()


async def plan(group: Group, request: Request, tools: Tools, unseen: tuple[str, ...] = ()) -> Outcome:
    """Say what `rotate` would do first, changing nothing."""
    return await _Pass(group, request, tools, unseen).run()


async def identified(group: Group, request: Request, tools: Tools) -> tuple[Request, Outcome]:
    """Settle now which keys are compromised: another pass may change which one is active before this request's.

    Nothing is settled where the look fails, whose outcome it is, or where it does not tell.
    """
    looking = _Pass(group, request, tools, ())
    outcome = await looking.run()
    return looking.request, outcome


class _Pass:
    """The state of one pass: the request as far as it is settled, the last verdict, and the steps taken.

    One that is not told how to list again only looks.
    """

    def __init__(  # noqa: PLR0913  # the same
        self,
        group: Group,
        request: Request,
        tools: Tools,
        unseen: tuple[str, ...],
        *,
        members: Members | None = None,
        only: frozenset[Action] = CHANGES,
    ) -> None:
        self._group = group
        self._asked = request
        self._request = request
        self._tools = tools
        self._unseen = unseen
        self._members = members
        self._listed_again = False
        self._acted = False
        self._only = only
        self._verdict: Verdict | None = None
        self._keys: tuple[KnownKey, ...] = ()
        self._meant: tuple[Suspect, ...] = ()
        self._broken_promise: datetime | None = None
        self._steps: list[Step] = []

    @property
    def request(self) -> Request:
        """The request as far as it is settled."""
        return self._request

    async def run(self) -> Outcome:
        started = self._now()
        error: RotationError | None = None
        try:
            await self._work()
        except RotationError as failure:
            error = failure
        except Exception as defect:  # noqa: BLE001  # one account's failure is one row of the report
            # Only the type is named: what an unforeseen exception says may hold anything, a key included.
            error = Unexpected(f"{self._group.account.name}: unexpected {type(defect).__name__}; please report it")
            error.__cause__ = defect
        return Outcome(
            account=str(self._group.account),
            secrets=tuple(secret.ref for secret in self._group.secrets),
            verdict=self._verdict,
            keys=self._keys,
            meant=self._meant,
            broken_promise=self._broken_promise,
            steps=tuple(self._steps),
            error=error,
            request_id=self._asked.id,
            trigger=self._asked.trigger,
            seconds=(self._now() - started).total_seconds(),
            insisted=self._asked.insists,
        )

    async def _work(self) -> None:
        # What a listing shows to be refused, or to be nothing that we know, is not contacted at all. Which key is idle
        # only a full look tells, as a tag may be wrong.
        self._verdict = policy.judge(glance(self._group, self._request, self._tools), self._now())
        refused = self._verdict.action is Action.REFUSE and self._verdict.reason is not Reason.SPLIT
        if refused or self._verdict.reason is Reason.UNKNOWN_TYPE:
            return
        observer = Observer(self._group, self._tools, self._unseen)
        if self._members is None:
            seen, verdict = await self._look(observer)
            self._keys = policy.known_keys(seen.facts)
            if verdict.action in policy.REGENERATING:
                self._broken_promise = policy.broken_promise(seen.facts, self._now())
            return
        async with self._tools.leases.hold(self._group.account) as lease:
            caught_up = False
            try:
                await self._come_to_rest(observer, lease, self._members)
                caught_up = True
            except Exception:
                caught_up = await observer.caught_up()
                raise
            finally:
                # The next pass would take what a vault that lags still shows for the truth, and end what we have just
                # published; and whoever is cancelled does not know what of what it has sent takes effect.
                if self._acted and not caught_up:
                    lease.abandon()
        self._insist_on_end()

    async def _come_to_rest(self, observer: Observer, lease: Lease, members: Members) -> None:
        listed_anew = False
        for _ in range(MAX_STEPS):
            seen, verdict = await self._look(observer)
            if verdict.action not in self._only:
                self._tell_end(verdict)
                return
            ends_a_key = verdict.action in policy.REGENERATING
            if ends_a_key and not listed_anew and await self._lists_anew(seen, observer, members):
                # What was written while the vaults were listed only another look shows.
                listed_anew = True
                continue
            listed_anew = False
            hands = Hands(seen, observer.provider, self._tools, lease)
            self._acted = True
            try:
                await hands.act(verdict)
            finally:
                observer.outdate(hands.overwritten)
                if hands.done:
                    self._steps.append(hands.done)
            if verdict.action in (Action.ROTATE, Action.PUBLISH) or verdict.reason is Reason.COMPROMISED:
                self._request = self._request.settled()
            if verdict.action in policy.REGENERATING:
                self._request = self._request.without(verdict.slot)
        raise Unexpected(
            f"{self._group.account.name} does not come to rest after {MAX_STEPS} steps; "
            "look for another tool that changes its keys or its secrets"
        )

    def _tell_end(self, verdict: Verdict) -> None:
        """By the vault's clock a grace may end later than the worker thought that published the new key."""
        if verdict.reason is Reason.RETIRING and self._steps:
            self._steps[-1] = replace(self._steps[-1], previous_until=verdict.until, retire_at=verdict.until)

    def _insist_on_end(self) -> None:
        """Raise NotYetTrue where a leaked key was to end by now: it works until its successor is listed."""
        last, verdict = self._steps[-1:], self._verdict
        due = any(step.retire_at and step.retire_at <= self._now() for step in last)
        if due and verdict is not None and verdict.reason is Reason.KEYS_BEHIND:
            raise NotYetTrue(f"{self._group.account.name}: {verdict.because}; the leaked key works until then")

    async def _lists_anew(self, seen: Observation, observer: Observer, members: Members) -> bool:
        """List the vaults anew where our listing may not tell who has joined the account; whether that was so.

        Who has joined since may publish the slot that is idle now, and is not known to this pass. With us nobody joins
        under our lease, and who joins while nothing else is written publishes what the others do; who joins by tags of
        their own may publish any slot, and shows in nothing but a fresh listing.
        """
        now, listed = self._now(), self._group.listed
        # One from the future was made before the clock was set back.
        fresh = listed is not None and timedelta() <= now - listed < FRESH
        if self._is_changed(seen) and not self._listed_again:
            self._listed_again, since = True, now
        elif not fresh:
            since = now - FRESH
        else:
            return False
        found = await members(self._group.account, since)
        known = {secret.ref: secret for secret in self._group.secrets}
        # Who is missing there may be hidden by a listing that lags: whoever is really gone is missed when it is read.
        secrets = known | {secret.ref: secret for secret in found.secrets}
        self._group = replace(found, secrets=tuple(secrets[ref] for ref in sorted(secrets)))
        observer.regroup(self._group)
        return True

    def _is_changed(self, seen: Observation) -> bool:
        """Whether a secret is another one than the listing shows."""
        listed = {secret.ref: (secret.created, secret.tags) for secret in self._group.secrets}
        return any(listed[p.ref] != (p.secret.created, p.secret.tags) for p in seen.facts.publications)

    async def _look(self, observer: Observer) -> tuple[Observation, Verdict]:
        seen = await observer.observe(self._request)
        seen = seen.asked(policy.still_meant(seen.facts))
        seen = seen.asked(policy.with_suspects(seen.facts))
        self._request = seen.facts.request
        # Those whose keys have ended are taken off the request.
        self._meant = self._meant or self._request.suspects or ()
        self._verdict = policy.judge(seen.facts, self._now())
        return seen, self._verdict

    def _now(self) -> datetime:
        return self._tools.clock.now()
