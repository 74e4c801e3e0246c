"""What a sweep remembers: the secrets that have something to do, and of all others one number each.

A vault's listing is judged secret by secret, as if each were its account's only one. One that would be left alone,
because it is fresh or was published lately, is forgotten at once: nothing that its account has to do depends on it,
but for the slot that it holds. What stops an account as a whole is kept, so that it is not asked for in vain.
"""

from collections import defaultdict
from collections.abc import Callable

from rotation import tags
from rotation.model import AccountId, Action, Facts, Group, Reason, Secret, Verdict

Glance = Callable[[Group], Facts]
Judge = Callable[[Facts], Verdict]

UNEVENTFUL = frozenset({Reason.FRESH, Reason.OVERLAP, Reason.RETIRING})
"""Why a secret is left alone that nobody has to look at."""


class Sieve:
    """Takes the secrets of all vaults, in any order."""

    def __init__(self, glance: Glance, judge: Judge) -> None:
        self._glance = glance
        self._judge = judge
        self._kept: defaultdict[AccountId, list[Secret]] = defaultdict(list)
        self._split: set[AccountId] = set()
        self._held: set[int] = set()
        self.accounts = 0
        """How many accounts there were."""

    def take(self, secret: Secret) -> None:
        """Look at one managed secret; raises TagError for one that does not say of which account it is."""
        account = tags.read_account(secret.tags)
        facts = self._glance(Group(account, (secret,)))
        if self._is_split(facts):
            self._split.add(account)
        elif self._judge(facts).reason in UNEVENTFUL:
            return
        self._kept[account].append(secret)

    def groups(self) -> tuple[Group, ...]:
        """The accounts that have something to do, with those of their secrets that were kept."""
        groups = (Group(account, tuple(sorted(kept, key=lambda s: s.ref))) for account, kept in self._kept.items())
        return tuple(sorted(filter(self._is_busy, groups), key=lambda g: g.account.folded))

    def _is_busy(self, group: Group) -> bool:
        verdict = self._judge(self._glance(group))
        unseen_split = group.account in self._split and verdict.reason in UNEVENTFUL
        return verdict.action is not Action.LEAVE or unseen_split

    def _is_split(self, facts: Facts) -> bool:
        """Whether another secret of the account was seen to hold the other slot; takes note of this one."""
        marks = {slot: hash((facts.account, slot)) for slot in facts.slots}
        if facts.account not in self._kept and self._held.isdisjoint(marks.values()):
            self.accounts += 1
        if not facts.publications:
            return False
        active = facts.publications[0].terms.active
        if active in marks:
            self._held.add(marks.pop(active))
        return not self._held.isdisjoint(marks.values())
