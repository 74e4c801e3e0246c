"""Performs one verdict on one account, and says what it changed.

Nothing is written that was not read again just before, and nothing without the lease.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from rotation import policy, tags
from rotation.concurrency import all_tried
from rotation.errors import (
    ChangedMeanwhile,
    NotFound,
    NotYetTrue,
    RotationError,
    SecretDeleted,
    Staged,
    Throttled,
    Transient,
)
from rotation.formats import recognise, rekey
from rotation.model import (
    Action,
    ProbeMode,
    Publication,
    Reason,
    Secret,
    SecretRef,
    Sensitive,
    Slot,
    State,
    Terms,
    Trigger,
    Verdict,
)
from rotation.observe import Observation
from rotation.ports import Draft, Lease, Probe, Provider, Tools
from rotation.report import Step

Change = Callable[[Publication, Terms], Terms]
"""What the terms of a publication become."""

ATTEMPTS = 3
"""How often a data plane that cannot be reached is asked."""
LONGEST_WAIT = 5.0
"""Seconds between two attempts to use a new key, at the most."""


class Hands:
    """What a pass may do to the world, given what it has just seen and while it holds the lease."""

    def __init__(self, seen: Observation, provider: Provider, tools: Tools, lease: Lease) -> None:
        self._seen = seen
        self._facts = seen.facts
        self._request = seen.facts.request
        self._name = seen.facts.account.name
        self._provider = provider
        self._tools = tools
        self._lease = lease
        self._step: Step | None = None
        self._changed: list[SecretRef] = []
        self._overwritten: list[Secret] = []
        self._notes: list[str] = []

    @property
    def done(self) -> Step | None:
        """What was changed so far, also by an act that failed half way; None when nothing was."""
        if self._step is None or not (self._step.replaced or self._overwritten):
            return None
        step = replace(self._step, secrets=tuple(sorted(self._changed)), notes=tuple(self._notes))
        # What nobody was given has promised nothing.
        return step if self._changed else replace(step, previous_until=None, retire_at=None)

    @property
    def overwritten(self) -> tuple[Secret, ...]:
        """The secrets that were written to, as they were before."""
        return tuple(self._overwritten)

    @property
    def _meanwhile(self) -> str:
        """Which key applications go on with while the new one waits."""
        leaked = policy.grace(self._facts) is not None
        return "the leaked key works until then" if leaked else "the published key is untouched"

    async def act(self, verdict: Verdict) -> None:
        """Do what the verdict says; raises a RotationError when it could not be done, or not wholly."""
        of_an_emergency = verdict.reason in (Reason.COMPROMISED, Reason.ALREADY_DONE)
        acts = {
            Action.REPUBLISH: self._republish,
            Action.RETAG: self._note_emergency if of_an_emergency else self._retag,
            Action.ALIGN: self._align,
            Action.PUBLISH: self._publish_staged,
            Action.RETIRE: self._retire,
            Action.ROTATE: self._rotate,
        }
        await acts[verdict.action](verdict, [p for p in self._facts.publications if p.ref in verdict.targets])

    async def _rotate(self, verdict: Verdict, members: list[Publication]) -> None:
        slot, broken = self._facts.idle, self._broken_promise()
        key = await self._regenerate(slot)
        self._step = _step(verdict, slot, key, replaced=self._seen.keys[slot].fingerprint, broken_promise=broken)
        if not await self._accepted(key):
            await self._stage(members, key)
            raise Staged(
                f"{self._name}: the service does not accept the new key of {slot} yet; it is noted as staged, and the "
                f"next pass publishes it; {self._meanwhile}"
            )
        try:
            await self._publish_new(members, slot, key, renewed=True)
        except RotationError:
            if not self._overwritten:
                # So that the next pass publishes this key instead of making yet another one.
                with suppress(RotationError):
                    await self._stage(members, key)
            raise

    async def _publish_staged(self, verdict: Verdict, members: list[Publication]) -> None:
        slot = self._facts.idle
        key = self._seen.keys[slot]
        since = [p.terms.state.staged_at for p in members if p.terms.state.staged_at]
        # It was refused a moment ago, and what is listed may still be the key before: only trying tells.
        unsettled = bool(since) and self._tools.clock.now() < max(since) + policy.SETTLING
        listed = key.fingerprint == policy.waiting(self._facts).made_key
        if unsettled and not listed and self._tools.limits.probe is ProbeMode.OFF:
            raise Staged(
                f"{self._name}: the new key of {slot} is not listed yet, and is not tried; a later pass publishes it; "
                f"{self._meanwhile}"
            )
        if not await self._accepted(key, certainly=unsettled):
            raise Staged(
                f"{self._name}: the service still does not accept the staged key of {slot}; the next pass asks; "
                f"{self._meanwhile}"
            )
        self._step = _step(verdict, slot, key)
        await self._publish_new(members, slot, key, renewed=False)

    async def _publish_new(self, members: list[Publication], slot: Slot, key: Sensitive, *, renewed: bool) -> None:
        now = self._tools.clock.now()
        retire_at = policy.retirement(self._facts, now)
        urgent = policy.grace(self._facts) is not None
        waited = State() if renewed else policy.waiting(self._facts)

        def rotated(member: Publication, terms: Terms) -> Terms:
            noted = member.terms.state
            state = replace(
                self._marks(noted, waited),
                rotated_at=now,
                trigger=Trigger.EMERGENCY if urgent else self._request.trigger,
                retire_at=retire_at,
                retire_slot=self._facts.active if retire_at else None,
                retire_key=self._facts.keys[self._facts.active] if retire_at else None,
                made_key=key.fingerprint if renewed or noted.made_key == key.fingerprint else None,
            )
            return replace(terms, active=slot, state=state)

        self._promise(now, retire_at)
        await self._publish(members, key, rotated)

    def _marks(self, noted: State, waited: State) -> State:
        """The marks of a publication that is given a new key, which may have waited to be published."""
        if waited.id:
            # Who had it made asks again and has to find it done, whoever publishes it in the end; and so has who
            # insists and is given it.
            return State(id=waited.id).marked(self._request.mark if self._request.insists else None)
        return State(id=self._request.mark) if self._request.mark else State(id=noted.id, also=noted.also)

    async def _retire(self, verdict: Verdict, _: list[Publication]) -> None:
        slot = self._facts.idle
        broken = self._broken_promise()
        # A retirement that was due anyway is not what the request asks for, and must not be taken for it.
        asked = verdict.reason is Reason.COMPROMISED
        key = await self._regenerate(slot)

        def retired(member: Publication, terms: Terms) -> Terms:
            before = member.terms.state
            if before.staged_slot == slot:
                # Nobody is given the key that waited there, so that its request was not carried out.
                before = before.unmarked()
            state = replace(before.unstaged().unretired(), retire_slot=slot, retire_key=key.fingerprint)
            return replace(terms, state=state.marked(self._request.mark if asked else None))

        self._step = _step(verdict, slot, key, replaced=self._seen.keys[slot].fingerprint, broken_promise=broken)
        await self._amend(self._facts.publications, retired)

    async def _note_emergency(self, verdict: Verdict, members: list[Publication]) -> None:
        """Note that an emergency was carried out, and when the key ends that another pass has replaced for it."""

        def noted(member: Publication, terms: Terms) -> Terms:
            before = member.terms.state
            if before.staged_slot:
                # The request for which that key waited is not carried out by this one.
                before = before.unstaged().unmarked()
            state = before.marked(self._request.mark)
            if verdict.until:
                state = replace(
                    state,
                    trigger=Trigger.EMERGENCY,
                    retire_at=verdict.until - policy.clock_lag(member),
                    retire_slot=self._facts.idle,
                    retire_key=self._facts.keys[self._facts.idle],
                )
            return replace(terms, state=state)

        self._step = replace(_step(verdict, verdict.slot), previous_until=verdict.until, retire_at=verdict.until)
        await self._amend(members, noted)

    async def _republish(self, verdict: Verdict, lost: list[Publication]) -> None:
        slot = self._facts.active
        key = self._seen.keys[slot]
        if not await self._accepted(key):
            raise NotYetTrue(
                f"{self._name}: the service lists a key of {slot} that it does not accept; the next pass asks"
            )
        now, waiting = self._tools.clock.now(), policy.waiting(self._facts)

        def healed(member: Publication, terms: Terms) -> Terms:
            # A request that had put another slot's key here is undone; the key whose end was noted is gone.
            noted = member.terms.state if self._facts.slot_of(member) == slot else State()
            if waiting.staged_slot or policy.ended(self._facts, member):
                noted = noted.unretired()
            state = replace(
                noted,
                rotated_at=now,
                id=waiting.id or noted.id,
                also=None if waiting.staged_slot else noted.also,
                made_key=waiting.made_key or noted.made_key,
                staged_slot=waiting.staged_slot,
                staged_at=waiting.staged_at,
                staged_grace=None,
            )
            return replace(terms, active=slot, state=state)

        self._step = _step(verdict, slot, key)
        await self._publish(lost, key, healed)

    async def _align(self, verdict: Verdict, behind: list[Publication]) -> None:
        slot, ahead = self._facts.active, policy.foremost(self._facts)
        key = self._seen.keys[slot]
        if not await self._accepted(key):
            raise NotYetTrue(
                f"{self._name}: the key of {slot} in {ahead.ref} is not accepted yet; the next pass asks again"
            )
        now = self._tools.clock.now()
        # What these secrets gave out until now has not been retired, whatever became of the slot before.
        state = replace(ahead.terms.state.unstaged().unretired(), rotated_at=now)
        if ahead.terms.state.staged_slot:
            # Somebody else has published the key that waited, so that its request was not carried out to its end.
            state = state.unmarked()
        retire_at = policy.noted_end(self._facts, ahead)
        if retire_at is not None:
            # Who reads these secrets learns of the new key only now: the wait for the old one's end begins anew.
            retire_at = now + (retire_at - ahead.rotated_at)
            vacated = self._facts.idle
            state = replace(state, retire_at=retire_at, retire_slot=vacated, retire_key=self._facts.keys[vacated])

        def aligned(_: Publication, terms: Terms) -> Terms:
            return replace(terms, active=slot, state=state)

        self._step = _step(verdict, slot, key)
        self._promise(now, retire_at)
        await self._publish(behind, key, aligned)

    async def _retag(self, verdict: Verdict, wrong: list[Publication]) -> None:
        self._step = _step(verdict, wrong[0].holds)

        def corrected(member: Publication, terms: Terms) -> Terms:
            state = member.terms.state
            if state.staged_slot == member.holds:
                # Somebody else published the staged key, so the request that made it was not carried out to its end.
                state = state.unstaged().unmarked()
            if state.retire_slot == member.holds:
                # Whoever reads the secret is given this key again, so that nothing that was noted of its end holds;
                # nor was the request carried out to its end where that had not come.
                undone = state.retire_at is not None
                state = state.unretired().unmarked() if undone else state.unretired()
            elif policy.ended(self._facts, member):
                idle = self._facts.idle
                unseen = state.retire_slot in (None, idle)
                state = state.unretired()
                if unseen:
                    state = replace(state, retire_slot=idle, retire_key=self._facts.keys[idle])
            return replace(terms, active=member.holds or terms.active, state=state)

        await self._amend(wrong, corrected)

    async def _stage(self, members: list[Publication], key: Sensitive) -> None:
        now = self._tools.clock.now()

        def waiting(member: Publication, terms: Terms) -> Terms:
            before = member.terms.state
            state = replace(
                # The key whose retirement was noted is the one that the new one has replaced.
                before.unretired(),
                id=self._request.mark or before.id,
                also=None,
                made_key=key.fingerprint,
                staged_slot=self._facts.idle,
                staged_at=now,
                staged_grace=policy.grace(self._facts),
            )
            return replace(terms, state=state)

        await self._amend(members, waiting)
        self._changed.clear()  # they carry a note now, and not the new key

    async def _regenerate(self, slot: Slot) -> Sensitive:
        try:
            return await self._provider.regenerate(self._facts.account, slot, self._seen.keys[slot], self._lease)
        except Transient as lost:
            # It may take effect yet, and would end what the next pass had published by then. Not where it was refused
            # for a quota, and where it was awaited for minutes another one would be no help.
            if lost.sent and not isinstance(lost, Throttled | NotYetTrue):
                self._lease.abandon()
            raise

    async def _accepted(self, key: Sensitive, *, certainly: bool = False) -> bool:
        """Whether the service takes the key; a data plane out of reach is noted, and must not be in mode `required`."""
        limits, clock = self._tools.limits, self._tools.clock
        if limits.probe is ProbeMode.OFF:
            return True
        deadline = clock.now() + limits.probe_timeout
        wait, attempts = 0.5, 0
        while True:
            answer = await self._provider.probe(self._seen.description, key)
            if answer is Probe.ACCEPTED:
                return True
            attempts += 1
            # What was refused a moment ago is published only once it is accepted.
            certainly = certainly or answer is Probe.REFUSED
            if attempts >= ATTEMPTS and limits.probe is ProbeMode.TRY and not certainly:
                self._notes.append("the data plane could not be reached, so the key was published without trying it")
                return True
            if clock.now() >= deadline:
                return False
            await clock.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)

    async def _publish(self, members: Iterable[Publication], key: Sensitive, change: Change) -> None:
        await all_tried(*(self._publish_one(member, key, change) for member in members))

    async def _publish_one(self, member: Publication, key: Sensitive, change: Change) -> None:
        current, terms = await self._unchanged(member)
        terms = change(member, terms)
        draft = Draft(
            value=self._text(member, current, key),
            tags=tags.write(current.tags, terms),
            expires=self._tools.clock.now() + terms.validity,
            content_type=current.content_type,
            replaces=current,
        )
        await self._tools.vaults[member.ref.vault].publish(member.ref.name, draft, self._lease)
        self._note_write(current)

    async def _amend(self, members: Iterable[Publication], change: Change) -> None:
        await all_tried(*(self._amend_one(member, change) for member in members))

    async def _amend_one(self, member: Publication, change: Change) -> None:
        current, terms = await self._unchanged(member)
        written = tags.write(current.tags, change(member, terms))
        if written == current.tags:
            return
        await self._tools.vaults[member.ref.vault].amend(current, written, self._lease)
        self._note_write(current)

    def _note_write(self, before: Secret) -> None:
        self._overwritten.append(before)
        self._changed.append(before.ref)

    async def _unchanged(self, member: Publication) -> tuple[Secret, Terms]:
        """Read a publication again: Key Vault has no compare-and-set, so this is as near to one as it gets."""
        meanwhile = f"{member.ref} was changed by somebody else during the pass; the next pass looks again"
        try:
            current = await self._tools.vaults[member.ref.vault].read(member.ref.name)
        except (NotFound, SecretDeleted) as gone:
            raise ChangedMeanwhile(f"{member.ref} is gone since it was read; the next pass lists again") from gone
        try:
            terms = tags.read(current.tags)
        except tags.TagError as error:
            raise ChangedMeanwhile(meanwhile) from error
        if (current.version, terms) != (member.secret.version, member.terms):
            raise ChangedMeanwhile(meanwhile)
        return current, terms

    def _text(self, member: Publication, current: Secret, key: Sensitive) -> Sensitive:
        """Put the key into what stands there, so that nothing else of it is lost."""
        if current.value is not None and recognise(current.value).format is member.terms.format:
            return rekey(current.value, key)
        return self._provider.render(self._seen.description, key, member.terms.format)

    def _promise(self, now: datetime, retire_at: datetime | None) -> None:
        """Take down until when the key that was published before is good."""
        if self._step is not None:
            until = retire_at or now + self._facts.limits.overlap
            self._step = replace(self._step, previous_until=until, retire_at=retire_at)

    def _broken_promise(self) -> datetime | None:
        return policy.broken_promise(self._facts, self._tools.clock.now())


def _step(
    verdict: Verdict,
    slot: Slot | None,
    key: Sensitive | None = None,
    *,
    replaced: str | None = None,
    broken_promise: datetime | None = None,
) -> Step:
    return Step(
        action=verdict.action,
        reason=verdict.reason,
        because=verdict.because,
        slot=slot,
        fingerprint=key.fingerprint if key else None,
        replaced=replaced,
        broken_promise=broken_promise,
    )
