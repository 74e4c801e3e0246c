"""What came of it: outcomes are data, and text, JSON, log records and exit codes are views of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rotation.errors import RotationError
from rotation.model import Action, KnownKey, Reason, SecretRef, Slot, Suspect, Verdict
from rotation.tags import format_time

Json = Mapping[str, object]

RENEWING = frozenset({Action.ROTATE, Action.PUBLISH, Action.RETIRE})
"""What somebody who insists asks for."""

UNMET = {Reason.UNKNOWN_TYPE: 3, Reason.PAUSED: 3, Reason.DISABLED: 3, Reason.KEYS_BEHIND: 1}
"""Reasons to leave an account alone that do not satisfy a person who insisted, with their exit codes."""


NAMED = 5
"""How many names stand in a line."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change that was made."""

    action: Action
    reason: Reason
    because: str
    secrets: tuple[SecretRef, ...] = ()
    slot: Slot | None = None
    """The slot that was published or regenerated."""
    fingerprint: str | None = None
    """Of the key that is in that slot now."""
    replaced: str | None = None
    """Fingerprint of the key that stopped working."""
    previous_until: datetime | None = None
    """Until when the key published before is promised to work."""
    retire_at: datetime | None = None
    """When the key published before will be regenerated."""
    broken_promise: datetime | None = None
    """The time until which the replaced key had been promised, where this change broke the promise."""
    notes: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """Return the step with the names that scripts and log queries rely on; absent facts are left out."""
        return _without_nothing(
            action=self.action,
            reason=self.reason,
            because=self.because,
            secrets=[str(ref) for ref in self.secrets],
            slot=self.slot,
            fingerprint=self.fingerprint,
            replaced=self.replaced,
            previous_key_until=_time(self.previous_until),
            retire_at=_time(self.retire_at),
            broken_promise_until=_time(self.broken_promise),
            notes=list(self.notes),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one pass over one account came to."""

    account: str
    secrets: tuple[SecretRef, ...]
    verdict: Verdict | None = None
    """The last one: why the pass came to rest, or what a dry run would do."""
    steps: tuple[Step, ...] = ()
    error: RotationError | None = None
    keys: tuple[KnownKey, ...] = ()
    """Both keys as a dry run saw them."""
    meant: tuple[Suspect, ...] = ()
    """The keys that were declared compromised, by the look that told which they are."""
    broken_promise: datetime | None = None
    """Until when the key is promised that would end before, where a dry run says so."""
    request_id: str | None = None
    trigger: str | None = None
    seconds: float = 0.0
    insisted: bool = False
    """Whether a person asked for more than what is due, so that leaving the account alone is not enough."""

    @property
    def status(self) -> str:
        """In one word: `failed`, `refused`, `changed`, `planned` or `left`."""
        if self.error is not None:
            return "failed"
        if self.verdict is not None and self.verdict.action is Action.REFUSE:
            return "refused"
        if self.steps:
            return "changed"
        if self.verdict is not None and self.verdict.action is not Action.LEAVE:
            return "planned"
        return "left"

    @property
    def at_rest(self) -> bool:
        """Whether there is nothing to do."""
        return self.verdict is not None and self.verdict.action is Action.LEAVE

    @property
    def exit_code(self) -> int:
        """0 fine, 1 try again, 3 a person must act."""
        if self.error is not None:
            return self.error.exit_code
        if self.status == "refused":
            # Whether a vault that could not be listed comes back by itself is said by its own problem.
            return 1 if self.verdict is not None and self.verdict.reason is Reason.VAULT_UNSEEN else 3
        if self.insisted and self.verdict is not None and not any(s.action in RENEWING for s in self.steps):
            return UNMET.get(self.verdict.reason, 0)
        return 0

    def to_json(self) -> Json:
        """Return the outcome with the names that scripts and log queries rely on; absent facts are left out."""
        return _without_nothing(
            account=self.account,
            secrets=[str(ref) for ref in self.secrets],
            status=self.status,
            verdict=None if self.verdict is None else verdict_to_json(self.verdict),
            keys=[_without_nothing(slot=key.slot, fingerprint=key.fingerprint, role=key.role) for key in self.keys],
            meant=[{"slot": suspect.slot, "fingerprint": suspect.fingerprint} for suspect in self.meant],
            broken_promise_until=_time(self.broken_promise),
            steps=[step.to_json() for step in self.steps],
            error=None if self.error is None else {"code": self.error.code, "message": str(self.error)},
            request_id=self.request_id,
            trigger=self.trigger,
            seconds=round(self.seconds, 3),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What a pass over many accounts came to; `problems` are vaults that could not be listed."""

    outcomes: tuple[Outcome, ...] = ()
    problems: Mapping[str, RotationError] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """The gravest of all: 3 a person must act, 1 try again, 0 fine."""
        codes = [o.exit_code for o in self.outcomes] + [e.exit_code for e in self.problems.values()]
        return max(codes, default=0)

    def counts(self) -> Counter[str]:
        """How many accounts ended with which status."""
        return Counter(outcome.status for outcome in self.outcomes)

    def to_json(self) -> Json:
        """Return the report with the names that scripts rely on."""
        return {
            "accounts": [outcome.to_json() for outcome in self.outcomes],
            "counts": dict(sorted(self.counts().items())),
            "problems": [
                {"vault": vault, "code": error.code, "message": str(error)} for vault, error in self.problems.items()
            ],
            "exit_code": self.exit_code,
        }


def verdict_to_json(verdict: Verdict) -> Json:
    """Return a verdict with the names that scripts and log queries rely on."""
    return _without_nothing(
        action=verdict.action,
        reason=verdict.reason,
        because=verdict.because,
        slot=verdict.slot,
        secrets=[str(ref) for ref in verdict.targets],
        until=_time(verdict.until),
    )


def several(names: Sequence[str]) -> str:
    """Names for one line, which nobody reads to the end when there are hundreds."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _time(time: datetime | None) -> str | None:
    return None if time is None else format_time(time)


def _without_nothing(**fields: object) -> Json:
    return {name: value for name, value in fields.items() if value not in (None, [], {})}
