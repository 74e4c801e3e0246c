"""How accounts stand, as far as a listing of the vaults tells: what `status` shows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from rotation import policy
from rotation.model import Action, Facts, Group, Publication, Reason, Request, SecretRef, Slot, Verdict
from rotation.observe import glance
from rotation.ports import Tools
from rotation.report import Json, Report, verdict_to_json
from rotation.tags import format_time


@dataclass(frozen=True, slots=True)
class Standing:
    """One account: what its tags say, and what is to be done about it."""

    facts: Facts
    secrets: tuple[SecretRef, ...]
    verdict: Verdict

    @property
    def active(self) -> Slot | None:
        """The slot that is published; None where no secret says so readably."""
        return self.facts.active if self._publications else None

    @property
    def published(self) -> datetime | None:
        """When the published key was published, by the secret that has waited longest for a new one."""
        return min((p.secret.created for p in self._publications), default=None)

    @property
    def expires(self) -> datetime | None:
        """When the first secret expires."""
        return min((p.expires for p in self._publications), default=None)

    @property
    def due(self) -> datetime | None:
        """When a new key is due."""
        return min((p.due for p in self._publications), default=None)

    @property
    def retire_at(self) -> datetime | None:
        """When the previous key is to stop working."""
        return policy.retires_at(self.facts) if self._publications else None

    @property
    def staged(self) -> Slot | None:
        """The slot whose new key waits to be published."""
        return next((s.staged_slot for s in (p.terms.state for p in self._publications) if s.staged_slot), None)

    @property
    def needs_a_person(self) -> bool:
        """Whether rotation has stopped here until somebody does something."""
        return self.verdict.action is Action.REFUSE

    @property
    def _publications(self) -> tuple[Publication, ...]:
        # What tags say of an account of a kind that we do not know means something to others only.
        return () if self.verdict.reason is Reason.UNKNOWN_TYPE else self.facts.publications

    def to_json(self) -> Json:
        """Return the standing with the names that scripts rely on; what is not known is null."""
        return {
            "account": str(self.facts.account),
            "type": self.facts.account.resource_type,
            "secrets": [str(ref) for ref in self.secrets],
            "active_slot": self.active,
            "published": _time(self.published),
            "expires": _time(self.expires),
            "due": _time(self.due),
            "retire_at": _time(self.retire_at),
            "staged_slot": self.staged,
            "verdict": verdict_to_json(self.verdict),
        }


def standings(groups: Iterable[Group], tools: Tools, unseen: tuple[str, ...] = ()) -> tuple[Standing, ...]:
    """Tell how each account stands, without reading a value or asking an account."""
    return tuple(_standing(group, tools, unseen) for group in groups)


def overview(accounts: Iterable[Standing], rest: Report, now: datetime) -> Json:
    """Return what `status` answers to scripts; `rest` are secrets that name no account, and vaults out of reach."""
    known = rest.to_json()
    return {
        "at": format_time(now),
        "accounts": [standing.to_json() for standing in accounts],
        "strays": known["accounts"],
        "problems": known["problems"],
    }


def _standing(group: Group, tools: Tools, unseen: tuple[str, ...]) -> Standing:
    facts = glance(group, Request(), tools, unseen)
    return Standing(facts, tuple(s.ref for s in group.secrets), policy.judge(facts, tools.clock.now()))


def _time(time: datetime | None) -> str | None:
    return None if time is None else format_time(time)
