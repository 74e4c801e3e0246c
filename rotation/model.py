"""The words of the product as types: accounts, slots, secrets, publications and what is asked of them."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import NoReturn, Self, TypeAlias

from rotation.quoting import quoted

Slot: TypeAlias = str
"""One of an account's two places for a key, by the service's own name: `key1`, `Primary`."""


class Sensitive:
    """A key, or a text made from one, that shows only its fingerprint.

    `reveal()` is the only way to the text, so that every place where a key leaves its wrapper is easy to find.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself; never log, raise or report what this returns."""
        return self._text

    @property
    def fingerprint(self) -> str:
        """The first 12 hex digits of the text's SHA-256, which identify it without giving it away."""
        return hashlib.sha256(self._bytes()).hexdigest()[:12]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sensitive):
            return NotImplemented
        return hmac.compare_digest(self._bytes(), other._bytes())

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"<{self.fingerprint}>"

    def _bytes(self) -> bytes:
        # A text that is no good Unicode would otherwise be quoted whole in the error.
        return self._text.encode(errors="surrogatepass")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled")


_ACCOUNT_ID = re.compile(
    r"/subscriptions/(?P<subscription>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"/resourceGroups/(?P<group>[\w.()-]{0,89}[\w()-])"
    r"/providers/(?P<type>[a-z]+\.[a-z]+/[a-z]+)"
    r"/(?P<name>[a-z0-9][a-z0-9-]{1,62})",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class AccountId:
    """The ARM id of an account; two spellings that differ only in case are the same account."""

    subscription: str = field(compare=False)
    resource_group: str = field(compare=False)
    resource_type: str = field(compare=False)
    name: str = field(compare=False)
    folded: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `/subscriptions/…/resourceGroups/…/providers/Microsoft.X/ys/name`; anything else is a ValueError."""
        match = _ACCOUNT_ID.fullmatch(text)
        # Matched without case, a Kelvin sign passes for a k; only a resource group may have letters beyond ASCII,
        # and none that shares its lower case with another letter, or two groups would be taken for one.
        if (
            match is None
            or not (text[: match.start("group")] + text[match.end("group") :]).isascii()
            or match["group"].lower().upper() != match["group"].upper()
        ):
            raise ValueError(
                "not the resource id of an account; it looks like "
                "/subscriptions/<id>/resourceGroups/<group>/providers/<namespace>/<type>/<name>, "
                "and the name has letters, digits and hyphens"
            )
        return cls(match["subscription"], match["group"], match["type"], match["name"], text.lower())

    def __str__(self) -> str:
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
            f"/providers/{self.resource_type}/{self.name}"
        )


@dataclass(frozen=True, slots=True, order=True)
class SecretRef:
    """Where a secret is: the name of its vault and its own name, written `VAULT/SECRET`, matched without case."""

    vault: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `VAULT/SECRET`, in lower case, since Key Vault does not distinguish case; else a ValueError."""
        if not re.fullmatch(r"[a-z][a-z0-9-]{1,22}[a-z0-9]/[a-z0-9-]{1,127}", text, re.IGNORECASE | re.ASCII):
            raise ValueError(
                f"{quoted(text)} is not VAULT/SECRET of letters, digits and hyphens, for example kv-orders/storage-key"
            )
        vault, name = text.lower().split("/")
        return cls(vault, name)

    def __str__(self) -> str:
        return f"{self.vault}/{self.name}"


class Format(StrEnum):
    """What a published value looks like."""

    KEY = "key"
    CONNECTION_STRING = "connection-string"
    JSON = "json"


class Trigger(StrEnum):
    """What started a pass, recorded with each publication."""

    SCHEDULE = "schedule"
    EVENT = "event"
    OPERATOR = "operator"
    EMERGENCY = "emergency"


@dataclass(frozen=True, slots=True)
class State:
    """What we noted on a publication at its last change; everything is optional."""

    rotated_at: datetime | None = None
    id: str | None = None
    trigger: Trigger | None = None
    retire_at: datetime | None = None
    retire_slot: Slot | None = None
    """Whose key is to be retired then; where nothing is noted, the idle slot's.

    Without `retire_at` it was retired, and its new key was never given to anybody.
    """
    retire_key: str | None = None
    """The fingerprint of that key: once another one is in the slot, the note is about none that there is."""
    made_key: str | None = None
    """The fingerprint of the key that a rotation has made: of the staged one, else of the one that it published."""
    staged_slot: Slot | None = None
    staged_at: datetime | None = None
    staged_grace: timedelta | None = None
    """How long the previous key is to live once the staged one is published; set for a compromised key."""
    also: str | None = None
    """The mark of the request before the one of `id`, where both had a part in what is noted."""

    def says(self, mark: str | None) -> bool:
        """Whether a request has left its mark."""
        return mark is not None and mark in (self.id, self.also)

    def marked(self, mark: str | None) -> Self:
        """The same state with the mark of one more request; the last two are kept, as a tag holds no more."""
        return self if mark is None or self.says(mark) else replace(self, id=mark, also=self.id)

    def unmarked(self) -> Self:
        """The same state without the mark of any request."""
        return replace(self, id=None, also=None)

    def unstaged(self) -> Self:
        """The same state without a staged key."""
        return replace(self, staged_slot=None, staged_at=None, staged_grace=None)

    def unretired(self) -> Self:
        """The same state without a retirement, to come or past."""
        return replace(self, retire_at=None, retire_slot=None, retire_key=None)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the tags of a publication say: which account, which slot, how long, and what we noted."""

    account: AccountId
    active: Slot
    validity: timedelta
    format: Format = Format.KEY
    rotate_before: timedelta | None = None
    retire_after: timedelta | None = None
    paused: bool = False
    state: State = State()

    @property
    def lead(self) -> timedelta:
        """How long before expiry a new key is due: `rotate-before`, by default a third of the validity."""
        return self.validity / 3 if self.rotate_before is None else self.rotate_before


@dataclass(frozen=True, slots=True)
class Secret:
    """The current version of a Key Vault secret; listings know neither `version` nor `value`."""

    ref: SecretRef
    created: datetime
    enabled: bool = True
    expires: datetime | None = None
    content_type: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    version: str | None = None
    value: Sensitive | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """A secret whose value is made from one of the account's keys."""

    secret: Secret
    terms: Terms
    holds: Slot | None
    """The slot whose key the value holds; None when it holds no key of the account."""
    accepted: bool | None = None
    """Whether the service accepts a value that is no listed key; None when nobody asked or could tell."""

    @property
    def ref(self) -> SecretRef:
        """Where the secret is."""
        return self.secret.ref

    @property
    def rotated_at(self) -> datetime:
        """When we last wrote it, to break a tie between versions created in the same second."""
        return self.terms.state.rotated_at or self.secret.created

    @property
    def expires(self) -> datetime:
        """When the published value expires; a secret without an expiry has one from its age and validity."""
        return self.secret.expires or self.secret.created + self.terms.validity

    @property
    def due(self) -> datetime:
        """When a new key is due."""
        return self.expires - self.terms.lead


@dataclass(frozen=True, slots=True)
class Group:
    """An account with all the secrets that publish it, as a listing shows them."""

    account: AccountId
    secrets: tuple[Secret, ...]
    listed: datetime | None = None
    """When that listing was begun; None where nobody knows."""


class Role(StrEnum):
    """Which key an operator declares compromised, seen from the applications."""

    ACTIVE = "active"
    IDLE = "idle"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One of an account's two keys, as the service lists it."""

    slot: Slot
    fingerprint: str
    role: Role | None = None
    """By which it would be declared compromised; None for a staged key, which nobody has seen, and if unclear."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A compromised key; it has been dealt with once its slot holds another key."""

    slot: Slot
    fingerprint: str
    published: bool
    """Whether applications were using it when it was declared compromised."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """The secret version that a Key Vault event speaks of."""

    ref: SecretRef
    version: str


@dataclass(frozen=True, slots=True)
class Request:
    """Why an account is looked at, and what is asked beyond what is due."""

    trigger: Trigger = Trigger.SCHEDULE
    id: str | None = None
    occasion: Occasion | None = None
    compromised: Role | None = None
    grace: timedelta = timedelta(minutes=15)
    force: bool = False
    suspects: tuple[Suspect, ...] | None = None
    """The keys that are meant; None until that is known."""
    as_of: datetime | None = None
    """When the latest of the publications was made by which that became known, by its vault's clock."""

    @property
    def insists(self) -> bool:
        """Whether more is asked for than what is due."""
        return self.force or self.compromised is not None

    @property
    def mark(self) -> str | None:
        """What is noted once it is carried out: id and role, since an incident may name one key after another."""
        return f"{self.id}:{self.compromised}" if self.id and self.compromised else self.id

    def settled(self) -> Self:
        """What is left of the request once it was acted on; suspects stay until their keys are gone."""
        return replace(self, id=None, occasion=None, force=False, compromised=None)

    def without(self, *slots: Slot | None) -> Self:
        """The request once the keys in these slots are known not to be meant any more, whatever is listed."""
        return replace(self, suspects=tuple(s for s in self.suspects or () if s.slot not in slots))


class ProbeMode(StrEnum):
    """What becomes of a rotation whose new key cannot be tried on the data plane."""

    REQUIRED = "required"
    TRY = "try"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings that judging and acting depend on."""

    overlap: timedelta = timedelta(days=2)
    probe: ProbeMode = ProbeMode.TRY
    probe_timeout: timedelta = timedelta(minutes=1)
    accounts: tuple[str, ...] = ()
    """Resource ids of the subscriptions, resource groups and accounts that may be touched; empty for all."""

    def allow(self, account: AccountId) -> bool:
        """Whether the account is, or lies in, one of `accounts`."""
        scopes = (scope.lower().rstrip("/") + "/" for scope in self.accounts)
        return not self.accounts or f"{account.folded}/".startswith(tuple(scopes))


class Action(StrEnum):
    """What is to be done with an account."""

    REFUSE = "refuse"
    LEAVE = "leave"
    REPUBLISH = "republish"
    RETAG = "retag"
    ALIGN = "align"
    PUBLISH = "publish"
    RETIRE = "retire"
    ROTATE = "rotate"


class Reason(StrEnum):
    """Why; a closed vocabulary, each word explained in docs/reasons.md."""

    TAGS_UNREADABLE = "tags-unreadable"
    UNKNOWN_TYPE = "unknown-type"
    NOT_ALLOWED = "not-allowed"
    CONTRADICTION = "contradiction"
    UNPUBLISHABLE = "unpublishable"
    FORMAT_MISMATCH = "format-mismatch"
    FOREIGN_VALUE = "foreign-value"
    SHARED_KEY_OFF = "shared-key-off"
    READ_ONLY_LOCK = "read-only-lock"
    OWN_STORAGE = "own-storage"
    PROBE_IMPOSSIBLE = "probe-impossible"
    PAUSED = "paused"
    DISABLED = "disabled"
    KEYS_BEHIND = "keys-behind"
    DRIFT = "drift"
    WRONG_TAG = "wrong-tag"
    SPLIT = "split"
    STAGED = "staged"
    STALE_EVENT = "stale-event"
    ALREADY_DONE = "already-done"
    RETIRE_DUE = "retire-due"
    COMPROMISED = "compromised"
    RETIRING = "retiring"
    FORCED = "forced"
    OVERLAP = "overlap"
    NEAR_EXPIRY = "near-expiry"
    DUE = "due"
    FRESH = "fresh"
    VAULT_UNSEEN = "vault-unseen"
    ENROLLED = "enrolled"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something met while reading that forbids to go on; a person must act."""

    reason: Reason
    because: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with an account, why, and the same in a sentence for a person."""

    action: Action
    reason: Reason
    because: str
    slot: Slot | None = None
    """The slot to publish (REPUBLISH, RETAG, ALIGN, PUBLISH) or to regenerate (RETIRE, ROTATE)."""
    targets: tuple[SecretRef, ...] = ()
    """The secrets that change; empty when nothing is written."""
    until: datetime | None = None
    """When the account is worth another look, where the rule knows."""


@dataclass(frozen=True)
class Facts:
    """Everything a rule may look at, read in one go.

    `keys` are fingerprints by slot; they are empty where the service would not list them, which `obstacles` explain.
    Facts from a listing trust the tags: each publication is taken to hold the slot that they tell.
    """

    account: AccountId
    slots: tuple[Slot, Slot]
    publications: tuple[Publication, ...]
    keys: Mapping[Slot, str] = field(default_factory=dict)
    obstacles: tuple[Obstacle, ...] = ()
    borrowed: bool = False
    """Whether nothing but the tags of Microsoft's rotation functions names the account."""
    unseen: tuple[str, ...] = ()
    """Allowed vaults that could not be listed: they may hold publications of this account."""
    request: Request = Request()
    limits: Limits = Limits()

    def other(self, slot: Slot) -> Slot:
        """The account's other slot."""
        first, second = self.slots
        return second if slot == first else first

    @property
    def healthy(self) -> tuple[Publication, ...]:
        """The publications whose value is a key of the account."""
        return tuple(p for p in self.publications if p.holds is not None)

    @cached_property
    def pending(self) -> tuple[Suspect, ...]:
        """The compromised keys that still work."""
        return tuple(s for s in self.request.suspects or () if self.keys.get(s.slot) == s.fingerprint)

    @cached_property
    def latest(self) -> Publication:
        """The publication written last among the healthy ones, or among all where none is.

        One that notes the end of a leaked key comes before those that may still publish it, whenever they were saved,
        and although its own key was ended; and one with a good key comes before those with one declared compromised.
        """
        known = tuple(p for p in self.publications if p.holds is not None or self._ends_a_leak(p))
        written = known or self.publications
        leaked = {suspect.slot for suspect in self.pending}
        return max(
            written,
            key=lambda p: (p.holds not in leaked, self._ends_a_leak(p), p.secret.created, p.rotated_at, p.ref),
        )

    def _ends_a_leak(self, p: Publication) -> bool:
        """Whether the other slot's key is to end because it leaked, and is still there."""
        noted = p.terms.state
        if noted.trigger is not Trigger.EMERGENCY or noted.retire_at is None or noted.retire_slot is None:
            return False
        return {self.slot_of(p), noted.retire_slot} == set(self.slots) and self.is_there(noted)

    def is_there(self, noted: State) -> bool:
        """Whether the key whose retirement is noted is in its slot; a listing of secrets does not tell."""
        live = self.keys.get(noted.retire_slot or self.idle)
        return live is None or noted.retire_key in (None, live)

    def slot_of(self, p: Publication) -> Slot:
        """The slot whose key a publication holds, or is to hold where it holds none.

        That is the tagged one, unless the note beside it says that the key there leaked: a wrong tag brings none back.
        """
        if p.holds is not None:
            return p.holds
        noted, tagged = p.terms.state, p.terms.active
        leaked = noted.trigger is Trigger.EMERGENCY and noted.retire_at is not None and noted.retire_slot == tagged
        return self.other(tagged) if leaked else tagged

    @property
    def active(self) -> Slot:
        """The slot that is published."""
        return self.slot_of(self.latest)

    @property
    def idle(self) -> Slot:
        """The slot that is not published."""
        return self.other(self.active)
