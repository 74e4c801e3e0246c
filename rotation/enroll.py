"""Puts a secret under rotation; nothing is regenerated, and nothing that is not a key of the account is overwritten."""

from dataclasses import replace
from datetime import timedelta

from rotation import policy, tags
from rotation.errors import BadInput, ChangedMeanwhile, NotFound, NotYetTrue, Refused
from rotation.fleet import Survey
from rotation.formats import recognise, rekey
from rotation.model import (
    AccountId,
    Action,
    Facts,
    Format,
    Group,
    ProbeMode,
    Reason,
    Request,
    Secret,
    SecretRef,
    Sensitive,
    Slot,
    State,
    Terms,
    Trigger,
    Verdict,
)
from rotation.observe import Observation, Observer, glance
from rotation.ports import Draft, Lease, Probe, Provider, Tools
from rotation.report import Outcome, Step

DEFAULT_VALIDITY = timedelta(days=90)


async def enroll(  # noqa: PLR0913  # what identifies an enrolment, then three options with defaults
    ref: SecretRef,
    account: AccountId,
    tools: Tools,
    survey: Survey,
    *,
    form: Format | None = None,
    validity: timedelta | None = None,
    dry_run: bool = False,
) -> Outcome:
    """Make a secret a publication of an account.

    A secret whose value is one of the account's keys is adopted; a secret that does not exist is created, from the
    slot that the account's other publications hold, else from its first slot.
    What is left out is taken from what stands there: the format from the value, the validity from the account's other
    publications, else 90 days.
    Raises a RotationError that says what is in the way; then nothing was written.
    """
    if ref.vault not in tools.vaults:
        raise Refused(f"{ref.vault} is not one of the vaults in ROTATION_VAULTS; add it there first")
    provider = tools.providers.for_type(account.resource_type)
    if not tools.limits.allow(account):
        raise Refused(f"{account.name} is outside of ROTATION_ACCOUNTS; add it there first")
    if survey.problems:
        raise Refused(
            f"{', '.join(survey.unseen)} could not be listed and may publish this account from another slot; "
            "make every vault of ROTATION_VAULTS readable first"
        )
    if form is not None and form not in provider.formats:
        raise BadInput(f"{account.resource_type} has no format {form}; choose {', '.join(sorted(provider.formats))}")
    members = next((g.secrets for g in survey.groups if g.account == account), ())
    enrolment = _Enrolment(ref, Group(account, members), tools, provider)
    async with tools.leases.hold(account) as lease:
        return await enrolment.carry_out(lease, form, validity, dry_run=dry_run)


class _Enrolment:
    def __init__(self, ref: SecretRef, group: Group, tools: Tools, provider: Provider) -> None:
        self._ref = ref
        self._group = group
        self._tools = tools
        self._provider = provider
        self._vault = tools.vaults[ref.vault]

    async def carry_out(
        self, lease: Lease, form: Format | None, validity: timedelta | None, *, dry_run: bool
    ) -> Outcome:
        found = await self._find()
        if found is not None and tags.managed(found.tags):
            return self._managed_already(found, form, validity)
        seen = await Observer(self._group, self._tools).observe(Request(Trigger.OPERATOR))
        if seen.facts.obstacles:
            raise Refused("; ".join(o.because for o in seen.facts.obstacles))
        self._refuse_what_is_behind(seen.facts)
        holds, form = self._adopt(found, seen, form)
        members = seen.facts.publications
        slot = seen.facts.active if members else holds or self._provider.slots[0]
        now = self._tools.clock.now()
        terms = Terms(
            account=self._group.account,
            active=slot,
            validity=validity or (seen.facts.latest.terms.validity if members else DEFAULT_VALIDITY),
            format=form,
            state=replace(_waiting(seen.facts), rotated_at=now),
        )
        draft = Draft(
            value=self._value(found, seen, slot, form),
            tags=tags.write(found.tags if found else {}, terms),
            expires=now + terms.validity,
            content_type=found.content_type if found else _CONTENT_TYPES.get(form),
            replaces=found,
        )
        self._refuse_what_could_not_rotate(draft)
        await self._refuse_what_does_not_work_yet(seen, slot)
        verdict = Verdict(Action.PUBLISH, Reason.ENROLLED, self._because(found, holds, slot), slot, (self._ref,))
        if dry_run:
            return self._outcome(verdict)
        if await self._find() != found:
            raise ChangedMeanwhile(
                f"{self._ref} was changed by somebody else meanwhile; look at it, and enroll it again"
            )
        written = await self._vault.publish(self._ref.name, draft, lease)
        step = Step(
            verdict.action,
            verdict.reason,
            verdict.because,
            secrets=verdict.targets,
            slot=slot,
            fingerprint=seen.keys[slot].fingerprint,
        )
        return self._outcome(self._judge(written), step)

    async def _find(self) -> Secret | None:
        try:
            return await self._vault.read(self._ref.name)
        except NotFound:
            return None

    def _managed_already(self, found: Secret, form: Format | None, validity: timedelta | None) -> Outcome:
        try:
            account, terms = tags.read_account(found.tags), tags.read(found.tags)
        except tags.TagError as error:
            raise Refused(f"{self._ref} has rotation tags already: {error}; correct or remove them") from error
        if account != self._group.account:
            raise Refused(f"{self._ref} is enrolled for {account}; remove its rotation tags first")
        if form not in (None, terms.format):
            raise Refused(f"{self._ref} is enrolled already with the format {terms.format}, which its readers rely on")
        if validity not in (None, terms.validity):
            raise Refused(
                f"{self._ref} is enrolled already with a validity of {terms.validity.days} days; "
                "change its tag validity-days instead"
            )
        return self._outcome(
            Verdict(
                Action.LEAVE,
                Reason.ALREADY_DONE,
                f"{self._ref} is enrolled already; change its tags to change its terms",
            )
        )

    def _adopt(self, found: Secret | None, seen: Observation, form: Format | None) -> tuple[Slot | None, Format]:
        """Tell which slot's key an existing secret holds, and in which format."""
        if found is None or found.value is None:
            return None, form or Format.KEY
        value = recognise(found.value)
        holds = next((slot for slot, key in seen.keys.items() if key == value.key), None)
        if holds is None:
            raise Refused(
                f"{self._ref} exists and its value is no key of {self._group.account.name}; "
                "put one of the account's keys there, or enroll another name"
            )
        if form is not None and form is not value.format:
            raise Refused(f"{self._ref} holds a {value.format}, which its readers rely on; enroll it as that")
        return holds, value.format

    def _refuse_what_is_behind(self, facts: Facts) -> None:
        """Where keys are listed that are no longer those of the account, the secret would be made from a dead one."""
        if behind := [p for p in facts.publications if p.holds is None and p.accepted is not False]:
            raise NotYetTrue(
                f"{behind[0].ref} holds a key that {self._group.account.name} does not list; "
                f"enroll {self._ref} again in a few minutes, or once a pass has mended that"
            )

    def _value(self, found: Secret | None, seen: Observation, slot: Slot, form: Format) -> Sensitive:
        if found is None or found.value is None:
            return self._provider.render(seen.description, seen.keys[slot], form)
        return rekey(found.value, seen.keys[slot])

    def _refuse_what_could_not_rotate(self, draft: Draft) -> None:
        now = self._tools.clock.now()
        verdict = self._judge(Secret(self._ref, created=now, expires=draft.expires, tags=draft.tags))
        if verdict.action is Action.REFUSE:
            raise Refused(verdict.because)

    async def _refuse_what_does_not_work_yet(self, seen: Observation, slot: Slot) -> None:
        """A key that was made a moment ago opens nothing, also where somebody else has put it into the secret."""
        tried = self._tools.limits.probe is not ProbeMode.OFF
        answer = await self._provider.probe(seen.description, seen.keys[slot]) if tried else Probe.UNREACHABLE
        if answer is Probe.REFUSED:
            raise NotYetTrue(
                f"{self._group.account.name}: the key of {slot} is not accepted yet; "
                f"enroll {self._ref} again in a few minutes"
            )
        unread = [p for p in seen.facts.publications if p.secret.value is None]
        if unread and answer is Probe.UNREACHABLE:
            # Of a disabled secret nobody knows whether the list of keys has what it publishes.
            raise Refused(
                f"{unread[0].ref} is disabled, and the key of {slot} cannot be tried, so that the list of keys may lag "
                f"behind; enable it, or remove its rotation tags, and enroll {self._ref} again"
            )

    def _judge(self, secret: Secret) -> Verdict:
        group = replace(self._group, secrets=(*self._group.secrets, secret))
        return policy.judge(glance(group, Request(Trigger.OPERATOR), self._tools), self._tools.clock.now())

    def _because(self, found: Secret | None, holds: Slot | None, slot: Slot) -> str:
        if found is None:
            return f"{self._ref} is created from {slot}"
        if holds == slot:
            return f"{self._ref} holds the key of {slot} and is adopted as it is"
        return f"{self._ref} holds the key of {holds} and joins the account's other publications on {slot}"

    def _outcome(self, verdict: Verdict, *steps: Step) -> Outcome:
        secrets = (*(s.ref for s in self._group.secrets if s.ref != self._ref), self._ref)
        return Outcome(str(self._group.account), secrets, verdict, steps, trigger=Trigger.OPERATOR)


def _waiting(facts: Facts) -> State:
    """What is noted of a key that waits to be accepted, and of a compromised one that waits for its end.

    Who joined without the first would seem to have overtaken it; who is left alone later must know of the second.
    """
    noted = policy.waiting(facts) if facts.publications else State()
    if noted.staged_slot:
        return State(
            id=noted.id,
            trigger=Trigger.OPERATOR,
            made_key=noted.made_key,
            staged_slot=noted.staged_slot,
            staged_at=noted.staged_at,
            staged_grace=policy.grace(facts),
        )
    ahead = policy.foremost(facts) if facts.publications else None
    retire_at = policy.emergency_mark(facts, ahead) if ahead else None
    if ahead is None or retire_at is None:
        return State(trigger=Trigger.OPERATOR)
    return State(
        id=ahead.terms.state.id,
        also=ahead.terms.state.also,
        trigger=Trigger.EMERGENCY,
        retire_at=retire_at,
        retire_slot=facts.idle,
        retire_key=facts.keys[facts.idle],
    )


_CONTENT_TYPES = {Format.JSON: "application/json"}
"""Of a secret that is created; an existing secret keeps its own."""
