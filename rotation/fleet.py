"""Many accounts: list the allowed vaults, group by account, work on each, and lose none for another's failure."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Self

from rotation import policy, tags
from rotation.concurrency import all_tried
from rotation.errors import ChangedMeanwhile, NotFound, NotYetTrue, RotationError, SecretDeleted
from rotation.listings import Listings
from rotation.model import AccountId, Action, Group, Reason, Request, Secret, SecretRef, Verdict
from rotation.observe import glance
from rotation.ports import Tools, Vault
from rotation.report import Outcome, Report
from rotation.rotate import CHANGES, RESTING, identified, plan, rotate
from rotation.sieve import Sieve

Watcher = Callable[[Outcome], None]
"""Is told each outcome as it comes."""

Meant = Request | Outcome
"""What is asked of one account, or the outcome where nothing is to be done, or nobody can tell to which of its keys."""

Frame = Callable[[], AbstractContextManager[object]]
"""Makes what the work on one account is done inside of, its watcher included."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What one listing pass over the allowed vaults found."""

    groups: tuple[Group, ...]
    strays: tuple[Outcome, ...]
    """Secrets that ask for rotation without saying of which account; each is an outcome already."""
    problems: Mapping[str, RotationError]
    """Vaults that could not be listed."""

    @property
    def unseen(self) -> tuple[str, ...]:
        """The vaults that could not be listed; any account may be published there."""
        return tuple(sorted(self.problems))

    def select(self, refs: Iterable[SecretRef]) -> tuple[Group, ...]:
        """The accounts that publish these secrets; raises NotFound naming each that is not managed."""
        wanted = set(refs)
        if missing := self.missing(wanted):
            raise NotFound(self.unmanaged(missing))
        return tuple(g for g in self.groups if any(s.ref in wanted for s in g.secrets))

    def missing(self, refs: Iterable[SecretRef]) -> list[SecretRef]:
        """Those of these secrets that were not listed as managed."""
        listed = {s.ref for g in self.groups for s in g.secrets}
        return sorted(set(refs) - listed - {ref for o in self.strays for ref in o.secrets})

    def unmanaged(self, missing: Iterable[SecretRef]) -> str:
        """Say that secrets are not managed."""
        return (
            f"{', '.join(map(str, missing))}: no managed secret of that name in the allowed vaults"
            + (f" ({', '.join(self.unseen)} could not be listed)" if self.problems else "")
            + "; `python -m rotation status` lists those that are, `enroll` adds one"
        )

    def joined(self, account: AccountId, secret: Secret) -> Self:
        """The same with a secret that was put under rotation since."""
        members = (s for g in self.groups if g.account == account for s in g.secrets if s.ref != secret.ref)
        group = Group(account, (*members, secret))
        return replace(self, groups=(*(g for g in self.groups if g.account != account), group))

    def named(self, refs: Collection[SecretRef]) -> tuple[tuple[Group, ...], tuple[Outcome, ...]]:
        """The accounts that publish these secrets, and what is known of secrets that name no account.

        A secret that is not found in a vault that could not be listed may still be there: the vault's error is raised.
        """
        try:
            groups = self.select(refs)
        except NotFound:
            for ref in refs:
                if ref.vault in self.problems:
                    raise self.problems[ref.vault] from None
            raise
        return groups, tuple(stray for stray in self.strays if not set(refs).isdisjoint(stray.secrets))


@dataclass(frozen=True, slots=True)
class Found:
    """What a listing pass found to work on; of the accounts that are at rest it has the number only."""

    groups: tuple[Group, ...]
    """After a sweep without those secrets that are fresh: whoever works on an account lists it again."""
    accounts: int
    strays: tuple[Outcome, ...]
    problems: Mapping[str, RotationError]


class Fleet:
    """Every account that the allowed vaults publish."""

    def __init__(self, tools: Tools, concurrency: int = 16, frame: Frame = nullcontext) -> None:
        self._tools = tools
        self._concurrency = concurrency
        self._frame = frame
        self._listings = Listings(self.survey, tools.clock)

    async def survey(self) -> Survey:
        """List every allowed vault once, without reading a value."""
        accounts: dict[AccountId, list[Secret]] = defaultdict(list)

        def file(secret: Secret) -> None:
            accounts[tags.read_account(secret.tags)].append(secret)

        begun = self._tools.clock.now()
        strays, problems = await self._look_through(file)
        groups = (Group(a, tuple(sorted(secrets, key=lambda s: s.ref)), begun) for a, secrets in accounts.items())
        return Survey(tuple(sorted(groups, key=lambda g: g.account.folded)), strays, problems)

    async def named(self, survey: Survey, refs: Collection[SecretRef]) -> tuple[tuple[Group, ...], tuple[Outcome, ...]]:
        """What `Survey.named` finds for who has named these secrets; of those that are not managed it is told why."""
        if missing := survey.missing(refs):
            raise await self.unmanaged(survey, missing)
        return survey.named(refs)

    async def unmanaged(self, survey: Survey, missing: Collection[SecretRef]) -> RotationError:
        """Why secrets were not listed as managed, after one look at each; nobody is asked where a vault was not."""
        for ref in missing:
            if ref.vault in survey.problems:
                return survey.problems[ref.vault]
        whys = dict(zip(missing, await all_tried(*map(self._why_unmanaged, missing)), strict=True))
        told = [why for why in whys.values() if why]
        if unknown := [ref for ref, why in whys.items() if not why]:
            told.append(survey.unmanaged(unknown))
        return NotFound("\n".join(told))

    async def surveyed_since(self, asked: datetime) -> Survey:
        """A fresh survey that was begun after `asked`; work that needs one at about the same time shares it."""
        return await self._listings.since(asked)

    async def members(self, account: AccountId, since: datetime) -> Group:
        """Who publishes an account, by a fresh listing that was begun after `since`.

        Raises why a vault cannot be listed.
        """
        survey = await self.surveyed_since(since)
        if survey.problems:
            raise max(survey.problems.values(), key=lambda problem: problem.exit_code) from None
        return next((group for group in survey.groups if group.account == account), Group(account, (), since))

    async def audit(self) -> Found:
        """List every allowed vault once and keep all accounts."""
        survey = await self.survey()
        return Found(survey.groups, len(survey.groups), survey.strays, survey.problems)

    async def sweep(self) -> Found:
        """List every allowed vault once and keep what the schedule has to do; memory does not grow with the rest."""
        request, now, tools = Request(), self._tools.clock.now(), self._tools
        sieve = Sieve(lambda group: glance(group, request, tools), lambda facts: policy.judge(facts, now))
        strays, problems = await self._look_through(sieve.take)
        return Found(sieve.groups(), sieve.accounts, strays, problems)

    def sift(self, survey: Survey, request: Request) -> tuple[tuple[Group, ...], tuple[Outcome, ...]]:
        """Judge by the listing alone: the accounts that have something to do, and the outcomes of the others."""
        glances = [(group, self._glance(survey, group, request)) for group in survey.groups]
        busy = tuple(group for group, glance in glances if not glance.at_rest)
        return busy, tuple(glance for _, glance in glances if glance.at_rest)

    async def plan(
        self, survey: Survey, groups: Sequence[Group], request: Request, watch: Watcher | None = None
    ) -> Report:
        """Say what `rotate` would do, after a full look at each account."""
        return await self._each(survey, groups, lambda g: plan(g, request, self._tools, survey.unseen), watch)

    async def identified(self, groups: Sequence[Group], request: Request) -> Mapping[AccountId, Meant]:
        """Settle which keys are compromised before any account waits for its turn; empty where none was declared."""
        if request.compromised is None:
            return {}
        places = asyncio.Semaphore(self._concurrency)

        async def one(group: Group) -> Meant:
            async with places:
                meant, seen = await identified(group, request, self._tools)
            if seen.error or seen.verdict is None:
                return seen
            if meant.suspects is not None:
                return meant
            if seen.verdict.action in RESTING:
                return seen
            # Told later, the role may be that of a key which nobody has declared.
            because = f"which key is compromised cannot be told yet: {seen.verdict.because}"
            repair = "the next audit does that, and `python -m rotation audit --repair` now"
            return replace(seen, error=NotYetTrue(f"{group.account.name}: {because}; {repair}"))

        return dict(zip((g.account for g in groups), await all_tried(*map(one, groups)), strict=True))

    async def rotate(  # noqa: PLR0913  # which accounts, what is asked of them, and how far
        self,
        survey: Survey,
        groups: Sequence[Group],
        request: Request,
        watch: Watcher | None = None,
        only: frozenset[Action] = CHANGES,
        *,
        meant: Mapping[AccountId, Meant] = MappingProxyType({}),
    ) -> Report:
        """Bring each account to rest, `concurrency` of them at a time; one failure is one outcome.

        A pass also ends where something else than `only` these actions is to be done. What is `meant` holds for its
        account in place of the request.
        """

        async def one(group: Group) -> Outcome:
            asked = meant.get(group.account, _unmeant(group, request)) if meant else request
            if isinstance(asked, Outcome):
                return asked
            return await rotate(group, asked, self._tools, self.members, unseen=survey.unseen, only=only)

        return await self._each(survey, groups, one, watch)

    async def _look_through(
        self, take: Callable[[Secret], None]
    ) -> tuple[tuple[Outcome, ...], Mapping[str, RotationError]]:
        """Hand over each managed secret; tells those that name no account, and the vaults that cannot be listed."""
        strays: list[Outcome] = []
        problems: dict[str, RotationError] = {}
        places = asyncio.Semaphore(self._concurrency)

        async def look(vault: Vault) -> None:
            try:
                async with places:
                    async for secret in vault.list():
                        if tags.managed(secret.tags):
                            file(secret)
            except RotationError as error:
                problems[vault.name] = error

        def file(secret: Secret) -> None:
            try:
                take(secret)
            except tags.TagError as error:
                strays.append(_stray(secret, error))

        await all_tried(*(look(vault) for vault in self._tools.vaults.values()))
        return tuple(sorted(strays, key=lambda o: o.secrets)), problems

    async def _why_unmanaged(self, ref: SecretRef) -> str | None:
        """What a look at a secret tells of why it is not managed; None where it tells nothing."""
        try:
            secret = await self._tools.vaults[ref.vault].read(ref.name)
        except SecretDeleted as deleted:
            return str(deleted)
        except RotationError:
            return None
        # A listing may not show yet what was enrolled just now.
        return None if tags.managed(secret.tags) else f"{ref}: it has no rotation tags; `enroll` puts it under rotation"

    def _glance(self, survey: Survey, group: Group, request: Request) -> Outcome:
        facts = glance(group, request, self._tools, survey.unseen)
        return Outcome(
            str(group.account),
            tuple(s.ref for s in group.secrets),
            policy.judge(facts, self._tools.clock.now()),
            request_id=request.id,
            trigger=request.trigger,
        )

    async def _each(
        self,
        survey: Survey,
        groups: Sequence[Group],
        work: Callable[[Group], Awaitable[Outcome]],
        watch: Watcher | None,
    ) -> Report:
        places = asyncio.Semaphore(self._concurrency)

        async def one(group: Group) -> Outcome:
            async with places:
                with self._frame():
                    outcome = await work(group)
                    if watch:
                        watch(outcome)
                    return outcome

        outcomes = await all_tried(*(one(group) for group in groups))
        return Report(tuple(outcomes), survey.problems)


def _unmeant(group: Group, request: Request) -> Outcome:
    """The outcome of an account that came to its secrets after the keys of another one were declared compromised."""
    error = ChangedMeanwhile(f"{group.account.name}: its secrets named another account a moment ago")
    refs = tuple(secret.ref for secret in group.secrets)
    return Outcome(str(group.account), refs, error=error, request_id=request.id, trigger=request.trigger)


def _stray(secret: Secret, error: tags.TagError) -> Outcome:
    verdict = Verdict(Action.REFUSE, Reason.TAGS_UNREADABLE, f"{secret.ref}: {error}")
    return Outcome(account="", secrets=(secret.ref,), verdict=verdict)
