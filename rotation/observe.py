"""Reads everything about one account at once, and turns it into facts that can be judged."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlsplit

from rotation import tags
from rotation.concurrency import all_tried, concurrently
from rotation.errors import (
    ChangedMeanwhile,
    NotFound,
    NotYetTrue,
    ReadOnlyLock,
    Refused,
    RotationError,
    SecretDeleted,
    SecretDisabled,
    SharedKeyOff,
)
from rotation.formats import recognise
from rotation.model import (
    AccountId,
    Facts,
    Format,
    Group,
    Obstacle,
    ProbeMode,
    Publication,
    Reason,
    Request,
    Secret,
    SecretRef,
    Sensitive,
    Slot,
    Terms,
)
from rotation.ports import Description, Probe, Provider, Tools

LAG = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between reads of a secret that does not show yet what was written to it."""

NO_SLOTS = ("", "")
"""Stands where an unknown kind of account has no slots; the facts then carry the obstacle that says so."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The facts about an account, and the texts behind them that no rule may see."""

    facts: Facts
    description: Description
    keys: Mapping[Slot, Sensitive]

    def asked(self, request: Request) -> Self:
        """The same under another request."""
        return replace(self, facts=replace(self.facts, request=request))


def glance(group: Group, request: Request, tools: Tools, unseen: tuple[str, ...] = ()) -> Facts:
    """Make facts of a listing alone, trusting that each tag names the slot that is published.

    Not where the note beside it says that this slot's key is to end: both cannot be, and a full look tells.
    """
    terms = [(secret, _terms(secret)) for secret in group.secrets]
    obstacles = [t for _, t in terms if isinstance(t, Obstacle)]
    slots = NO_SLOTS
    try:
        slots = tools.providers.for_type(group.account.resource_type).slots
    except Refused as unknown:
        obstacles.append(Obstacle(Reason.UNKNOWN_TYPE, str(unknown)))
    return Facts(
        account=group.account,
        slots=slots,
        publications=tuple(Publication(s, t, holds=_told(t, slots)) for s, t in terms if isinstance(t, Terms)),
        obstacles=tuple(obstacles),
        borrowed=all(tags.borrowed(secret.tags) for secret in group.secrets),
        unseen=unseen,
        request=request,
        limits=tools.limits,
    )


class Observer:
    """Reads one account, as often as a pass needs it; what a pass does not change is read once."""

    def __init__(self, group: Group, tools: Tools, unseen: tuple[str, ...] = ()) -> None:
        self._group = group
        self._tools = tools
        self._unseen = unseen
        self._description: Description | None = None
        self._reached = False
        self._outdated: dict[SecretRef, Secret] = {}
        self.provider: Provider = tools.providers.for_type(group.account.resource_type)

    def outdate(self, secrets: Iterable[Secret]) -> None:
        """Learn which secrets, as they were read, have been written over by this pass.

        A read that still shows one of them is older than what we know: to judge by it would rotate a key that has
        just been published.
        """
        self._outdated |= {secret.ref: secret for secret in secrets}

    async def caught_up(self) -> bool:
        """Wait until the vaults show what this pass has written to them; whether they do."""
        try:
            await all_tried(*map(self._shown, self._outdated))
        except RotationError:
            return False
        return True

    def regroup(self, group: Group) -> None:
        """Learn from a later listing who publishes the account."""
        self._group = group

    async def observe(self, request: Request) -> Observation:
        """Read the account, both keys and every publication with its value, all at the same time."""
        async with concurrently() as tasks:
            describing = tasks.create_task(self._describe())
            listing = tasks.create_task(self._keys())
            reading = [tasks.create_task(self._read(secret)) for secret in self._group.secrets]
        description, listed, secrets = describing.result(), listing.result(), [task.result() for task in reading]

        keys = {} if isinstance(listed, Obstacle) else listed
        readings = [_publication(secret, keys, description) for secret in secrets]
        publications = [r for r in readings if isinstance(r, Publication)]
        obstacles = [*description.obstacles, *(o for o in (listed, *readings) if isinstance(o, Obstacle))]
        if not obstacles:
            publications = await all_tried(*(self._doubt(description, p) for p in publications))
            obstacles += await self._untriable(description, keys, publications)
        facts = Facts(
            account=self._group.account,
            slots=self.provider.slots,
            publications=tuple(publications),
            keys={slot: key.fingerprint for slot, key in keys.items()},
            obstacles=tuple(obstacles),
            unseen=self._unseen,
            request=request,
            limits=self._tools.limits,
        )
        return Observation(facts, description, keys)

    async def _describe(self) -> Description:
        if self._description is None:
            self._description = await self.provider.describe(self._group.account)
        return self._description

    async def _keys(self) -> Mapping[Slot, Sensitive] | Obstacle:
        try:
            return await self.provider.list_keys(self._group.account)
        except ReadOnlyLock as lock:
            return Obstacle(Reason.READ_ONLY_LOCK, str(lock))
        except SharedKeyOff as off:
            return Obstacle(Reason.SHARED_KEY_OFF, str(off))

    async def _read(self, listed: Secret) -> Secret:
        if not listed.enabled:
            return listed
        try:
            read = await self._read_anew(listed.ref)
        except SecretDisabled:
            return replace(listed, enabled=False)
        except (NotFound, SecretDeleted) as gone:
            raise ChangedMeanwhile(f"{listed.ref} is gone since it was listed; the next pass lists again") from gone
        if _account(read) != self._group.account:
            raise ChangedMeanwhile(f"{listed.ref} names another account since it was listed; the next pass lists again")
        return read

    async def _shown(self, ref: SecretRef) -> None:
        # What was deleted or disabled since is newer than what we wrote.
        with suppress(NotFound, SecretDeleted, SecretDisabled):
            await self._read_anew(ref)

    async def _read_anew(self, ref: SecretRef) -> Secret:
        """Read a secret until the vault shows what this pass has written to it."""
        before = self._outdated.get(ref)
        for wait in LAG:
            read = await self._tools.vaults[ref.vault].read(ref.name)
            if before is None or (read.version, read.tags) != (before.version, before.tags):
                return read
            await self._tools.clock.sleep(wait)
        raise NotYetTrue(f"{ref}: the vault does not show yet what was written to it; the next pass looks again")

    async def _untriable(
        self, description: Description, keys: Mapping[Slot, Sensitive], publications: Iterable[Publication]
    ) -> list[Obstacle]:
        """Where a new key must be tried, find out whether one can be, by the keys that are in use."""
        if self._tools.limits.probe is not ProbeMode.REQUIRED or self._reached:
            return []
        held = {p.holds for p in publications if p.holds}
        answers = await all_tried(*(self.provider.probe(description, keys[slot]) for slot in sorted(held)))
        self._reached = Probe.UNREACHABLE not in answers
        if self._reached:
            return []
        return [
            Obstacle(
                Reason.PROBE_IMPOSSIBLE,
                f"{description.account.name}: the data plane cannot be reached and ROTATION_PROBE is required; "
                "let this network reach it, or set ROTATION_PROBE to try",
            )
        ]

    async def _doubt(self, description: Description, publication: Publication) -> Publication:
        """Ask the service itself about a value that it does not list, since listings may lag behind."""
        value = publication.secret.value
        if publication.holds is not None or value is None or self._tools.limits.probe is ProbeMode.OFF:
            return publication
        answer = await self.provider.probe(description, recognise(value).key)
        return replace(publication, accepted=None if answer is Probe.UNREACHABLE else answer is Probe.ACCEPTED)


def _terms(secret: Secret) -> Terms | Obstacle:
    try:
        return tags.read(secret.tags)
    except tags.TagError as error:
        return Obstacle(Reason.TAGS_UNREADABLE, f"{secret.ref}: {error}")


def _told(terms: Terms, slots: tuple[Slot, Slot]) -> Slot:
    noted, tagged = terms.state, terms.active
    if noted.retire_at is None or noted.retire_slot != tagged or tagged not in slots:
        return tagged
    return next(slot for slot in slots if slot != tagged)


def _account(secret: Secret) -> AccountId | None:
    try:
        return tags.read_account(secret.tags)
    except tags.TagError:
        return None


def _publication(secret: Secret, keys: Mapping[Slot, Sensitive], description: Description) -> Publication | Obstacle:
    terms = _terms(secret)
    if isinstance(terms, Obstacle):
        return terms
    if secret.value is None:
        return Publication(secret, terms, holds=terms.active)
    value = recognise(secret.value)
    holds = next((slot for slot, key in keys.items() if key == value.key), None)
    if value.format is not terms.format and (holds is not None or value.format is not Format.KEY):
        # An application reads the value as it is; writing another format over it would break the application.
        return Obstacle(
            Reason.FORMAT_MISMATCH,
            f"{secret.ref}: the value is a {value.format} and rotation-policy says {terms.format}; "
            f"set format={value.format} there",
        )
    if holds is None and value.owner not in (None, *_names(description)):
        # Tags that were copied from another secret look just like drift.
        return Obstacle(
            Reason.FOREIGN_VALUE,
            f"{secret.ref}: the value belongs to another account than {description.account.name}; "
            "correct resource-id, or the value",
        )
    return Publication(secret, terms, holds)


def _names(description: Description) -> tuple[str | None, ...]:
    """What a value of this account calls it: by its name, or by its host."""
    return description.account.name.lower(), urlsplit(description.endpoint).hostname
