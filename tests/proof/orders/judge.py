"""Holds every change in Azure's own history against what is promised, whoever made it and however it came about.

The engine is asked for nothing: what it says is searched for keys, and for whether it claims that all is well; that
claim is on trial, so nothing can stand in for it.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from simulator.client import ControlClient
from tests.surface.leaks import leaked

Ref = tuple[str, str]
Row = Mapping[str, Any]

OURS = {"resource-id", "active-slot", "validity-days", "rotation-policy", "rotation-state"}
WELL = {"fresh", "overlap", "retiring", "stale-event", "already-done"}
"""Reasons to leave an account alone that stand behind the question whether the published keys work."""
MOST_STEPS = 3
"""How many keys a pass regenerates at most: it retires a key, rotates, and at once retires the key before."""
DRAFTING = timedelta(hours=1)
"""How long a version may take from being made up to being written, held up on a busy machine; validities are days."""
REGENERATE = re.compile(r"/([^/]+)/regenerateKeys?$", re.IGNORECASE)
KEY_LIKE = re.compile(r"[A-Za-z0-9+/%\\]{40}")


@dataclass
class Deeds:
    """What a worker did while it worked on one message or order: one pass over each account, at most."""

    posts: list[Row] = field(default_factory=list)
    """Requests to regenerate a key."""
    made: Counter[str] = field(default_factory=Counter)
    """How many keys were regenerated, by account."""
    brought: set[str] = field(default_factory=set)
    """Keys that were published while nobody published them."""
    writes: int = 0
    events: list[Row] = field(default_factory=list)
    killed: bool = False
    account: str | None = None
    """The account that an operator asks something for who takes promises back."""
    every: bool = False
    """Whether that is for every key, and not for the idle one only."""
    freed: set[str] = field(default_factory=set)
    """Keys whose promise was taken back by it."""

    def attempts(self, account: str) -> list[Row]:
        """What the worker said of its passes over an account."""
        return [event for event in self.events if event.get("account", "").endswith(f"/{account}")]


class Judge:
    """Follows the history of an estate."""

    def __init__(self, control: ControlClient, overlap: timedelta, ahead: timedelta) -> None:
        self._control = control
        self._overlap = overlap
        self._ahead = ahead
        """How far the clock of a worker is ahead of Azure's, by which it makes up when a version expires."""
        self._read = 0
        self.heard = 0
        """The number of the last request that was looked at."""
        self.current: dict[Ref, Row] = {}
        """Every secret of an account, as it is."""
        self.versions: dict[Ref, list[str]] = {}
        """The versions of every secret, oldest first."""
        self.live: dict[str, dict[str, str]] = {}
        """The key in each slot of each account, by fingerprint."""
        self._left: dict[str, float] = {}
        """When the engine took a key out of the last secret that published it."""
        self._given_up: Counter[str] = Counter()
        """By how many orders the promise of a key was taken back."""
        self._by_people: set[str] = set()
        """Keys that people made in the portal."""
        self._killed: set[str] = set()
        """Keys that people ended while a pass was under way."""
        self._kept: dict[Ref, str] = {}
        """Keys that people keep in secrets which are not under rotation."""
        self._compromised: set[str] = set()
        """Keys that were declared compromised, which was accepted."""
        self._broken: set[Ref] = set()
        """Secrets that people broke, until a pass has read them and ended well."""
        self._disturbed: set[str] = set()
        """Accounts whose keys people changed while a pass was under way."""
        self.people_acted()

    # What people do.

    def people_acted(self) -> None:
        """Take note of what people changed: whatever they broke is theirs."""
        self._follow(None)
        self._broken |= self._closed()

    def regenerate(self, account: str, slot: str, *, underway: bool = False) -> None:
        """Let somebody regenerate a key in the portal; a pass that is under way may know the key before."""
        before = self.live[account][slot]
        made: str = self._control.regenerate(account, slot)["slots"][slot]["fingerprint"]
        self._by_people.add(made)
        self.live[account][slot] = made
        if underway:
            self._killed.add(before)
            self._disturbed.add(account)
            self._broken |= set(self.publications(account))

    def keep(self, ref: Ref, slot: str, account: str) -> None:
        """Let somebody keep the key of a slot in a secret that is not under rotation."""
        self._kept[ref] = self.live[account][slot]

    def declare(self, keys: set[str], deeds: Deeds) -> None:
        """A declaration that keys are compromised was accepted: who carried it out and all others heed it."""
        assert set() == keys & deeds.brought, "a compromised key was published"
        self._compromised |= keys

    def forget(self) -> None:
        """Take note that people deleted what was noted of an emergency."""
        self._compromised.clear()

    def give_up(self, deeds: Deeds) -> None:
        """Take promises back as it is asked; which keys are meant is what is true when a pass begins to look."""
        if deeds.account is None:
            return
        published = self.published(deeds.account)
        spared = published if len(published) == 1 and not deeds.every else set()
        taken = {key for slot, key in self.live[deeds.account].items() if slot not in spared} - deeds.freed
        self._given_up.update(taken)
        deeds.freed |= taken

    def publications(self, account: str) -> dict[Ref, Row]:
        """The secrets that publish an account."""
        return {ref: row for ref, row in self.current.items() if row["account"] == account and not row["deleted"]}

    def published(self, account: str) -> set[str]:
        """The slots whose keys are published."""
        values = {row["key"] for row in self.publications(account).values()}
        return {slot for slot, key in self.live[account].items() if key in values}

    def meant(self, account: str, role: str) -> set[str]:
        """The keys that an operator means who declares a role compromised; none where that is open to doubt."""
        rows, keys, published = self.publications(account).values(), self.live[account], self.published(account)
        in_doubt = any(
            row["key"] not in keys.values() or "staged" in row["tags"].get("rotation-state", "") for row in rows
        )
        if in_doubt or len(published) != 1:
            return set()
        active = {keys[slot] for slot in published}
        return {"active": active, "idle": set(keys.values()) - active, "both": set(keys.values())}[role]

    # What the engine does.

    def engine_acted(self, deeds: Deeds, told: Iterable[str]) -> None:
        """Take note of what a worker did and said since the last look."""
        requests = self._control.journal(self.heard)
        self.heard = requests[-1]["n"] if requests else self.heard
        for request in requests:
            regenerated = REGENERATE.search(request["path"]) if request["method"] == "POST" else None
            if regenerated:
                deeds.posts.append({**request, "account": regenerated[1]})
            deeds.writes += regenerated is not None or request["method"] in ("PUT", "PATCH")
        deeds.events += [event for event in map(json.loads, told) if event["event"] == "rotation.attempt"]
        self._follow(deeds)

    def after(self, deeds: Iterable[Deeds]) -> None:
        """S1 and S5, when workers have come to their ends."""
        for each in deeds:
            self._mended(each)
            self._once(each)
            if not each.killed and not any("steps" in event or "error" in event for event in each.events):
                # Nothing came of the order, and what was promised is promised still.
                self._given_up.subtract(each.freed)
        self._disturbed.clear()
        self._killed.clear()
        closed = self._closed()
        self._broken &= closed
        assert set() == closed - self._broken, "S1: a published key does not open its account"

    def silent(self, told: Iterable[str]) -> None:
        """S6: no key stands in what was said."""
        text = "\n".join(told)
        if KEY_LIKE.search(text):
            assert [] == leaked(text, self._control.keys()), "S6: a key was told"

    def _mended(self, deeds: Deeds) -> None:
        """Whoever says that all is well with secrets that people broke answers for them from then on.

        What a pass had to mend is not asked here, since people may forbid it: that is asked when the estate is at rest.
        """
        for event in deeds.events:
            account = event["account"].rpartition("/")[2]
            if event["status"] in ("left", "changed") and event["reason"] in WELL and account not in self._disturbed:
                self._broken -= {tuple(ref.split("/")) for ref in event["secrets"]}

    @staticmethod
    def _once(deeds: Deeds) -> None:
        """A pass sends few requests to regenerate, and none after one that had no effect.

        Which of two had an effect that were both not answered well is not known: the journal has no bodies. What was
        accepted may have its effect after the pass, which says so.
        """
        going_on = any(event.get("error") == "not-yet-true" for event in deeds.events)
        for account in {post["account"] for post in deeds.posts}:
            statuses = [post["status"] for post in deeds.posts if post["account"] == account]
            unanswered = statuses[-1] not in (HTTPStatus.OK, HTTPStatus.ACCEPTED)
            lost = deeds.killed or unanswered or (going_on and statuses[-1] == HTTPStatus.ACCEPTED)
            assert len(statuses) <= MOST_STEPS, "S5: too many regenerates"
            assert deeds.made[account] >= len(statuses) - lost, "S5: a regenerate was sent again"

    def _closed(self) -> set[Ref]:
        """The publications that do not open their account, as the simulator judges."""
        rows = {(row["vault"], row["secret"]): row["opens"] for row in self._control.verdict()}
        return {ref for ref, opens in rows.items() if not opens and self.current[ref]["enabled"]}

    # What comes of it, change by change.

    def _follow(self, deeds: Deeds | None) -> None:
        """Read on in the history; what is not in a worker's deeds was done by people."""
        history = self._control.history()
        for change in history[self._read :]:
            if "secret" in change:
                self._secret_changed(change, deeds)
            else:
                self._key_changed(change, deeds)
        self._read = len(history)

    def _key_changed(self, change: Row, deeds: Deeds | None) -> None:
        account, slot, ended = change["account"], change["slot"], change["replaced"]
        if deeds is not None and change["key"] not in self._by_people:
            deeds.made[account] += 1
            holders = [ref for ref, row in self.publications(account).items() if row["key"] == ended]
            assert [] == holders, f"S1: the key in {slot} of {account} was ended while it was published"
            if ended in self._left and not self._given_up[ended]:
                kept = datetime.fromisoformat(change["created"]).timestamp() - self._left[ended]
                assert kept >= self._overlap.total_seconds(), f"S2: {slot} of {account} was promised for longer"
        self.live.setdefault(account, {})[slot] = change["key"]

    def _secret_changed(self, change: Row, deeds: Deeds | None) -> None:
        ref = change["vault"], change["secret"]
        before = self.current.get(ref)
        self.current[ref] = change
        versions = self.versions.setdefault(ref, [])
        if change["version"] not in versions:
            versions.append(change["version"])
        if deeds is None:
            return
        name = "/".join(ref)
        if before is not None:
            assert self._foreign(before) == self._foreign(change), f"S3: what is not ours changed on {name}"
        if before is not None and change["version"] == before["version"]:
            kept = ("enabled", "expires", "deleted")
            assert [before[field] for field in kept] == [change[field] for field in kept], f"S3: {name}"
            assert change["slot"] in (None, change["tags"]["active-slot"]), f"S3: the slot tag of {name} is wrong"
            return
        self._published(ref, before, change, deeds)

    def _published(self, ref: Ref, before: Row | None, now: Row, deeds: Deeds) -> None:
        """The engine wrote a version, of a new secret perhaps."""
        name, account, key = "/".join(ref), now["account"], now["key"]
        managed = before if before is not None and before["account"] else None
        replaced = managed["key"] if managed else self._kept.pop(ref, None)
        others = [row for other, row in self.publications(account).items() if other != ref]
        published = {row["key"] for row in others}
        assert now["enabled"]
        assert managed is None or replaced != key, f"S3: {name} was written twice"
        assert now["accepted"] or key in {replaced, *self._killed}, f"S1: a dead key was published in {name}"
        assert now["slot"] in (None, now["tags"]["active-slot"]), f"S3: the slot tag of {name} is wrong"
        validity = timedelta(days=int(now["tags"]["validity-days"]))
        late = timedelta(seconds=now["created"]) + validity - timedelta(seconds=now["expires"])
        assert timedelta(seconds=-1) - self._ahead <= late <= DRAFTING, f"S3: {name} expires when its tag does not say"
        if now["accepted"]:
            self._broken.discard(ref)
        elif key in self._killed:
            self._broken.add(ref)
        if key not in {replaced, *published} and not self._pointed_at(now, [managed, *others] if managed else others):
            deeds.brought.add(key)
            assert key not in self._compromised, f"a compromised key was published in {name}"
        self._left.pop(key, None)
        joins = managed is None and replaced in self._ending(account)
        if replaced is not None and replaced not in {key, *published} and not joins:
            self._left[replaced] = now["created"]

    def _pointed_at(self, now: Row, rows: Iterable[Row]) -> bool:
        """Whether a slot was published because people tagged a secret with it whose own key they had ended."""
        lost = [row for row in rows if row["key"] not in self.live[now["account"]].values()]
        return now["slot"] in {row["tags"]["active-slot"] for row in lost}

    def _ending(self, account: str) -> set[str]:
        """Keys in slots whose end an emergency has noted: nobody is spared who held one by hand and joins."""
        rows = self.publications(account).values()
        notes = [dict(re.findall("([^=;]+)=([^;]+)", row["tags"].get("rotation-state", ""))) for row in rows]
        slots = {n.get("retire-slot") for n in notes if n.get("trigger") == "emergency" and "retire-at" in n}
        return {key for slot, key in self.live[account].items() if slot in slots}

    @staticmethod
    def _foreign(row: Row) -> tuple[str | None, dict[str, str]]:
        return row["content_type"], {name: text for name, text in row["tags"].items() if name not in OURS}
