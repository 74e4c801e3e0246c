"""Decides what to do with one account: an ordered list of small rules over the facts; the first that answers wins.

No rule waits, reads a clock or looks at the world, so the same facts at the same time always give the same verdict.
The rules that protect stand before the rules that change.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from rotation import tags
from rotation.durations import format_duration
from rotation.model import (
    Action,
    Facts,
    KnownKey,
    Publication,
    Reason,
    Request,
    Role,
    Slot,
    State,
    Suspect,
    Trigger,
    Verdict,
)

Rule = Callable[[Facts, datetime], Verdict | None]

MAX_VALUE = 25_000
"""Key Vault takes values of up to 25k bytes."""
KEY_GROWTH = 200
"""A new key is never this much longer than the one it replaces."""
SKEW = timedelta(minutes=10)
"""How far apart the clocks may be of a vault, which dates its versions, and of the workers that judge them."""
SETTLING = timedelta(minutes=10) + SKEW
"""How long a listing may go on showing the old key after we published the new one, by whichever clock."""


def judge(facts: Facts, now: datetime) -> Verdict:
    """Say what is to be done with the account now; every set of facts has exactly one answer."""
    verdict = next(answer for rule in RULES if (answer := rule(facts, now)))
    if facts.unseen and verdict.action in REGENERATING:
        return _refuse(
            Reason.VAULT_UNSEEN,
            f"{_names(facts.unseen)} could not be listed and may publish a key that would be regenerated "
            f"({verdict.because}); make every vault of ROTATION_VAULTS readable; take one out of there only where it "
            "publishes no key of these accounts, since whoever reads it there would be refused",
        )
    return verdict


REGENERATING = frozenset({Action.ROTATE, Action.RETIRE})


def with_suspects(facts: Facts) -> Request:
    """Turn the role that an operator named into the keys it means now, once, at the first observation that tells.

    While an obstacle, a split or a listing that lags hides which key is which, nothing is settled.
    """
    request = facts.request
    if request.compromised is None or request.suspects is not None or not facts.publications:
        return request
    behind = any(p.holds is None and p.accepted is not False for p in facts.publications)
    if facts.obstacles or behind or _neither_is_idle(facts):
        return request
    # Said again it means what was noted, and not the good key that has the role by now.
    leaked = _noted_leaks(facts)
    suspects = tuple(Suspect(slot, key, published=True) for slot, key in facts.keys.items() if key in leaked)
    if not suspects and not _noted(facts):
        suspects = tuple(
            Suspect(slot, facts.keys[slot], role is Role.ACTIVE)
            for slot, role in _roles(facts).items()
            if request.compromised in (role, Role.BOTH)
        )
    return replace(request, suspects=suspects, as_of=max(p.secret.created for p in facts.publications))


def still_meant(facts: Facts) -> Request:
    """Acquit the key that another pass was just making when it was declared idle, and has published since.

    The key that was meant ended when this one was made. Who gives out a leaked key, by hand, by a version of before
    or by a repair of ours, leaves no new note that it was made.
    """
    request, as_of = facts.request, facts.request.as_of
    if request.compromised is not Role.IDLE or as_of is None:
        return request

    def made_since(suspect: Suspect) -> bool:
        published = [p for p in facts.publications if p.holds == suspect.slot and p.secret.created >= as_of]
        return any(p.terms.state.made_key == suspect.fingerprint and _ours(p) for p in published)

    acquitted = [s.slot for s in facts.pending if made_since(s)]
    return request.without(*acquitted) if acquitted else request


def known_keys(facts: Facts) -> tuple[KnownKey, ...]:
    """Tell both keys by fingerprint and role, for who has found one; what stands in the way may hide its role."""
    roles = {} if facts.obstacles or not facts.publications else _roles(facts)
    return tuple(KnownKey(slot, fingerprint, roles.get(slot)) for slot, fingerprint in facts.keys.items())


def grace(facts: Facts) -> timedelta | None:
    """How long the published key may live on once it is replaced, if it is compromised; else None."""
    staged_here = [p for p in facts.publications if p.holds == facts.active and staged_slot(facts, p)]
    graces = [p.terms.state.staged_grace for p in staged_here]
    if any(s.slot == facts.active for s in facts.pending):
        graces.append(facts.request.grace)
    return min((grace for grace in graces if grace is not None), default=None)


def staged_slot(facts: Facts, publication: Publication) -> Slot | None:
    """The slot of the key that waits to be accepted, as noted with a publication.

    A secret that was away while another one was published carries a note of a key that waits no more, and so does
    one in which somebody else has published it.
    """
    noted, states = publication.terms.state, [p.terms.state for p in facts.publications]
    since = noted.staged_at
    overtaken = any(s.staged_slot is None and since and s.rotated_at and since < s.rotated_at for s in states)
    return None if overtaken or noted.staged_slot == publication.holds else noted.staged_slot


def waiting(facts: Facts) -> State:
    """The note of a key that waits to be accepted, on whichever publication; an empty one where none waits.

    Who is written meanwhile takes it over: without it, that key would seem to have been overtaken.
    """
    noted = (p.terms.state for p in facts.publications if staged_slot(facts, p) == facts.idle)
    return next(noted, State())


def retirement(facts: Facts, now: datetime) -> datetime | None:
    """When the key that is published now is to stop working, if a new one is published at `now`."""
    if (urgent := grace(facts)) is not None:
        return now + urgent
    periods = [p.terms.retire_after for p in facts.publications if p.terms.retire_after]
    return now + max(periods) if periods else None


def ended(facts: Facts, publication: Publication) -> bool:
    """Whether a publication notes the end of a key that has ended."""
    noted = publication.terms.state
    return noted.retire_at is not None and not facts.is_there(noted)


def foremost(facts: Facts) -> Publication:
    """The publication whose notes the others take over: the latest, but before it those that end a compromised key.

    Of several of these it is the one with the longest grace; who joined during the grace has what was left of it.
    """
    marked = [(at - p.rotated_at, p.ref, p) for p in facts.publications if (at := emergency_mark(facts, p))]
    ahead = [mark for mark in marked if mark[-1].holds == facts.active]
    return max(ahead, default=(None, None, facts.latest))[-1]


def promised_until(facts: Facts) -> datetime:
    """Until when the idle slot's key is promised to work, by whichever clock.

    A key that was never given out is promised to nobody.
    """
    published = max(p.secret.created for p in facts.publications)
    # One that has joined since, or was aligned, may have given the key out again.
    retired = all(_retired(facts, p) for p in facts.publications)
    return published if retired else published + facts.limits.overlap + SKEW


def broken_promise(facts: Facts, now: datetime) -> datetime | None:
    """Until when the idle slot's key is promised to work, where it would end before.

    An emergency that lets it live on for a grace has cut the promise to that, and has told so.
    """
    cut = _emergency_ends(facts)
    until = cut if cut and now < cut else promised_until(facts)
    return until if now < until else None


# 1: what cannot be known is refused, with its name and the way out


def unknown_kind(facts: Facts, now: datetime) -> Verdict | None:
    """What nobody here knows is not ours to rotate; one that was tagged for somebody else is nobody's complaint."""
    unknown = next((o.because for o in facts.obstacles if o.reason is Reason.UNKNOWN_TYPE), None)
    if unknown is None:
        return None
    if not facts.borrowed:
        return _refuse(Reason.UNKNOWN_TYPE, unknown)
    return _leave(
        Reason.UNKNOWN_TYPE,
        f"{facts.account.name}: {unknown}; only tags of Microsoft's rotation functions name it, so it is left to them",
    )


def obstructed(facts: Facts, now: datetime) -> Verdict | None:
    """Something met while reading forbids to go on (rules 1 and 2)."""
    if not facts.obstacles:
        return None
    return _refuse(facts.obstacles[0].reason, "; ".join(dict.fromkeys(o.because for o in facts.obstacles)))


def not_allowed(facts: Facts, now: datetime) -> Verdict | None:
    """Tags can name any account; only those that the settings allow are touched."""
    if facts.limits.allow(facts.account):
        return None
    return _refuse(
        Reason.NOT_ALLOWED, f"{facts.account.name} is outside of ROTATION_ACCOUNTS; add it there, or remove the tags"
    )


def unpublished(facts: Facts, now: datetime) -> Verdict | None:
    """An account without a readable publication has no active slot."""
    if facts.publications:
        return None
    return _refuse(Reason.TAGS_UNREADABLE, "no secret with readable tags publishes this account")


def unknown_slot(facts: Facts, now: datetime) -> Verdict | None:
    """A slot that the service does not have would be guessed at."""
    strange = [p for p in facts.publications if p.terms.active not in facts.slots]
    if not strange:
        return None
    return _refuse(
        Reason.TAGS_UNREADABLE,
        f"{_refs(strange)}: the active slot is tagged {strange[0].terms.active!r} "
        f"and this service calls its slots {' and '.join(facts.slots)}; correct the tag",
    )


def contradictory(facts: Facts, now: datetime) -> Verdict | None:
    """Durations that cannot all be kept would break a promise sooner or later."""
    overlap = facts.limits.overlap
    for p in facts.publications:
        if not overlap < p.terms.validity - p.terms.lead:
            return _refuse(
                Reason.CONTRADICTION,
                f"{p.ref}: a new key is due {format_duration(p.terms.lead)} before the end of its validity of "
                f"{format_duration(p.terms.validity)}, which leaves no more than the overlap of "
                f"{format_duration(overlap)}; "
                "raise validity-days, or lower rotate-before or ROTATION_OVERLAP",
            )
        if p.terms.retire_after is not None and p.terms.retire_after < overlap:
            return _refuse(
                Reason.CONTRADICTION,
                f"{p.ref}: retire-after={format_duration(p.terms.retire_after)} is shorter than the overlap of "
                f"{format_duration(overlap)}; raise retire-after or lower ROTATION_OVERLAP",
            )
    return None


def unpublishable(facts: Facts, now: datetime) -> Verdict | None:
    """What Key Vault would not take must be known before a key is regenerated for it."""
    for p in facts.publications:
        written = tags.write(p.secret.tags, replace(p.terms, state=State(rotated_at=now)))
        if complaint := tags.problem(written):
            return _refuse(Reason.UNPUBLISHABLE, f"{p.ref}: {complaint}")
        if p.secret.value and len(p.secret.value.reveal().encode(errors="surrogatepass")) + KEY_GROWTH > MAX_VALUE:
            return _refuse(Reason.UNPUBLISHABLE, f"{p.ref}: the value is close to Key Vault's 25k bytes; shorten it")
    return None


# 3: what a person has set aside is left alone, and with it the whole account


def set_aside(facts: Facts, now: datetime) -> Verdict | None:
    """One paused or disabled publication cannot follow, so nothing moves."""
    if paused := [p for p in facts.publications if p.terms.paused]:
        return _leave(Reason.PAUSED, f"{_refs(paused)}: paused by rotation-policy; take paused=true out of it to go on")
    if disabled := [p for p in facts.publications if not p.secret.enabled]:
        return _leave(
            Reason.DISABLED,
            f"{_refs(disabled)}: the current version is disabled; enable it, or remove its rotation tags",
        )
    return None


# 4 to 6: the vault and the account must agree before anything is regenerated


def drifted(facts: Facts, now: datetime) -> Verdict | None:
    """The published key was regenerated elsewhere: its slot's live key is published; nothing is regenerated."""
    lost = [p for p in facts.publications if p.holds is None]
    if not lost:
        return None
    if any(p.accepted for p in lost):
        return _leave(
            Reason.KEYS_BEHIND,
            f"{_refs(lost)}: the service accepts the published key but does not list it yet; the next pass looks again",
        )
    # Nobody could ask the service, so that a listing that lags behind our own change looks just like drift.
    if young := [p for p in lost if p.accepted is None and now < p.secret.created + SETTLING]:
        return _leave(
            Reason.KEYS_BEHIND,
            f"{_refs(young)}: published moments ago and not listed yet; the next pass looks again",
            max(p.secret.created for p in young) + SETTLING,
        )
    return _write(
        Action.REPUBLISH,
        Reason.DRIFT,
        f"{_refs(lost)}: the value is no key of the account any more, it was regenerated elsewhere; "
        f"the live key of {facts.active} is to be published",
        facts.active,
        lost,
    )


def mistagged(facts: Facts, now: datetime) -> Verdict | None:
    """The value is the other slot's key; the value is the truth."""
    wrong = [p for p in facts.publications if p.holds != p.terms.active]
    if not wrong:
        return None
    return _write(
        Action.RETAG,
        Reason.WRONG_TAG,
        f"{_refs(wrong)}: the value is the key of {wrong[0].holds} and the tag says {wrong[0].terms.active}",
        None,
        wrong,
    )


def no_idle_key(facts: Facts, now: datetime) -> Verdict | None:
    """Whoever declares the idle key compromised means one that no application reads; in a split both are read."""
    if not _neither_is_idle(facts):
        return None
    return _refuse(
        Reason.SPLIT,
        f"the idle key was declared compromised and neither is idle: {_refs(facts.publications)} hold different ones; "
        "let a pass align them and say it again, or declare both",
    )


def split(facts: Facts, now: datetime) -> Verdict | None:
    """Publications disagree, by a crash or by hand; none of their slots may be regenerated until they agree."""
    others = [p for p in facts.publications if p.holds != facts.active]
    if not others:
        return None
    return _write(
        Action.ALIGN,
        Reason.SPLIT,
        f"{_refs(others)}: still on {facts.other(facts.active)} while {facts.latest.ref} has {facts.active}",
        facts.active,
        others,
    )


def staged(facts: Facts, now: datetime) -> Verdict | None:
    """A key was regenerated earlier and could not be published yet; another one would have to wait anew."""
    noted = waiting(facts)
    if noted.staged_slot is None or any(s.slot == facts.idle for s in facts.pending):
        return None
    since = noted.staged_at
    return _write(
        Action.PUBLISH,
        Reason.STAGED,
        f"the new key of {facts.idle} was made {f'at {tags.format_time(since)}' if since else 'earlier'} "
        "and waits to be published",
        facts.idle,
        facts.publications,
    )


# 8: what was asked may have been done already


def superseded(facts: Facts, now: datetime) -> Verdict | None:
    """Events are delivered at least once and in any order; a repeat names a version already replaced."""
    occasion = facts.request.occasion
    if occasion is None:
        return None
    current = [p.secret.version for p in facts.publications if p.ref == occasion.ref]
    if not any(current) or occasion.version in current:
        return None
    return _leave(Reason.STALE_EVENT, f"{occasion.ref} has a newer version than the event speaks of")


def already_done(facts: Facts, now: datetime) -> Verdict | None:
    """The same request, sent again, is answered without doing it twice; but its grace is to hold in every secret."""
    if not _noted(facts):
        return None
    at = _own_end(facts)
    if behind := [p for p in facts.publications if at and (emergency_mark(facts, p) or at) > at]:
        because = f"{_refs(behind)}: the compromised key, in {facts.idle}, is noted to end later than was asked"
        return replace(_write(Action.RETAG, Reason.ALREADY_DONE, because, facts.idle, behind), until=at)
    return _leave(
        Reason.ALREADY_DONE,
        f"request {facts.request.mark} was carried out before{_retires(facts)}",
        retires_at(facts),
    )


# 9 to 12: what regenerates a key


def retired_already(facts: Facts, now: datetime) -> Verdict | None:
    """The note of a key's end is not about its successor, whoever ended the key."""
    late = [p for p in facts.publications if ended(facts, p)]
    if not late:
        return None
    return _write(
        Action.RETAG,
        Reason.RETIRE_DUE,
        f"{_refs(late)}: the previous key, in {facts.idle}, has ended, which is to be noted",
        None,
        late,
    )


def retirement_due(facts: Facts, now: datetime) -> Verdict | None:
    """The previous key was promised to stop working, and the time has come."""
    at = retires_at(facts)
    if at is None or now < at:
        return None
    # An idle key that is declared compromised is retired in the name of that request, unless that was begun before.
    if not _noted(facts) and any(s.slot == facts.idle and not s.published for s in facts.pending):
        return None
    marked = [p for p in facts.publications if noted_end(facts, p)]
    return _write(
        Action.RETIRE,
        Reason.RETIRE_DUE,
        f"the previous key, in {facts.idle}, was to be retired at {tags.format_time(at)}",
        facts.idle,
        marked,
    )


def compromised(facts: Facts, now: datetime) -> Verdict | None:
    """A key that leaked is replaced: by rotating when it is published, by retiring when it is idle."""
    pending = facts.pending
    if any(s.slot == facts.active for s in pending):
        return _write(
            Action.ROTATE,
            Reason.COMPROMISED,
            f"the published key, in {facts.active}, was declared compromised",
            facts.idle,
            facts.publications,
        )
    acted_on = facts.request.compromised is None
    if not pending:
        # A listing of secrets tells no keys.
        told = facts.keys and not acted_on
        return _record(facts, "no key works any more that was declared compromised", None) if told else None
    # Only an emergency's mark ends the key soon enough; that of an ordinary rotation may be weeks away.
    noted = _emergency_ends(facts)
    retire_at = noted if noted and acted_on else _sooner(noted, _grace_ends(facts))
    if retire_at is not None and now < retire_at and all(s.published for s in pending):
        end = f"it is retired {tags.format_time(retire_at)}"
        if noted and acted_on:
            works_on = f"the compromised key, in {facts.idle}, still works for the grace period; {end}"
            return _leave(Reason.RETIRING, works_on, retire_at)
        replaced = f"the key in {facts.idle} was declared compromised and has been replaced since; {end}"
        return _record(facts, replaced, retire_at)
    return _write(
        Action.RETIRE,
        Reason.COMPROMISED,
        f"the idle key, in {facts.idle}, was declared compromised",
        facts.idle,
        facts.publications,
    )


def forced(facts: Facts, now: datetime) -> Verdict | None:
    """An operator takes the broken promise upon himself."""
    if not facts.request.force:
        return None
    return _write(
        Action.ROTATE,
        Reason.FORCED,
        f"forced; a key published until {tags.format_time(facts.latest.secret.created)} stops working",
        facts.idle,
        facts.publications,
    )


def within_overlap(facts: Facts, now: datetime) -> Verdict | None:
    """The idle key is the one that applications may still have cached."""
    until = promised_until(facts)
    if now >= until:
        return None
    retire_at = retires_at(facts)
    cut_short = retire_at is not None and retire_at < until
    what = "no new key is made before" if cut_short else "the previous key is promised until"
    return _leave(
        Reason.OVERLAP,
        f"{what} {tags.format_time(until)}{_retires(facts)}",
        retire_at if cut_short else until,
    )


def due(facts: Facts, now: datetime) -> Verdict | None:
    """The published key comes to its age, or an event says so of one that has lived half its life."""
    for p in facts.publications:
        if now >= p.due:
            return _write(
                Action.ROTATE,
                Reason.DUE,
                f"{p.ref} expires {tags.format_time(p.expires)} and was due {tags.format_time(p.due)}",
                facts.idle,
                facts.publications,
            )
    if (near := _announced(facts)) and now - near.secret.created >= near.terms.validity / 2:
        return _write(
            Action.ROTATE,
            Reason.NEAR_EXPIRY,
            f"Key Vault announced that {near.ref} expires {tags.format_time(near.expires)}",
            facts.idle,
            facts.publications,
        )
    return None


def fresh(facts: Facts, now: datetime) -> Verdict:
    """Nothing to do."""
    next_due = min(p.due for p in facts.publications)
    until = min(filter(None, (next_due, retires_at(facts))))
    return _leave(Reason.FRESH, f"next due {tags.format_time(next_due)}{_retires(facts)}", until)


RULES: tuple[Rule, ...] = (
    unknown_kind,  # 1: does anybody here know this kind of account?
    not_allowed,  # 1: do the settings allow to touch the account?
    obstructed,  # 1, 2: did reading meet something that forbids to go on?
    unpublished,  # 1: is there a publication at all?
    unknown_slot,  # 1: do the tags name slots that exist?
    contradictory,  # 1: can all promises of the tags be kept?
    unpublishable,  # 1: would Key Vault take what we would write?
    set_aside,  # 3: has a person paused or disabled a publication?
    drifted,  # 4: is a published value no key of the account?
    mistagged,  # 5: does a tag name the wrong slot?
    no_idle_key,  # 6: is there the idle key that was declared compromised?
    split,  # 6: do publications disagree?
    staged,  # 7: does a new key wait to be published?
    retired_already,  # 9: is the end noted of a key that has ended?
    retirement_due,  # 9: is the previous key to stop working now, whoever asks for what?
    superseded,  # 8: does the event speak of an old version?
    already_done,  # 8: was this very request carried out?
    compromised,  # 10: has an operator declared a key compromised?
    forced,  # 10: does an operator insist?
    within_overlap,  # 11: is the idle key still promised to somebody?
    due,  # 12: is it time?
    fresh,  # 13: otherwise, no
)


def _roles(facts: Facts) -> Mapping[Slot, Role]:
    """What an operator would call each key: active where a secret publishes it, else idle.

    A staged key was made by us just now and seen by nobody: it cannot be the one that is meant, unless somebody has
    published it.
    """
    published = {p.holds for p in facts.healthy} or {facts.active}
    staged = {staged_slot(facts, p) for p in facts.publications} - published
    return {slot: Role.ACTIVE if slot in published else Role.IDLE for slot in facts.keys if slot not in staged}


def _neither_is_idle(facts: Facts) -> bool:
    """Whether the idle key was declared compromised, and it is not known which one, while both are published."""
    request, published = facts.request, {p.holds for p in facts.healthy}
    return request.compromised is Role.IDLE and request.suspects is None and len(published) > 1


def _noted_leaks(facts: Facts) -> set[str | None]:
    """The keys that this very request has noted to end, now or once the new key is published."""
    mark = facts.request.mark
    own = [p.terms.state for p in facts.publications if p.terms.state.says(mark)]
    leaked = {state.retire_key for state in own if state.retire_at and state.trigger is Trigger.EMERGENCY}
    waiting = {state.staged_slot for state in own}
    return leaked | {key for slot, key in facts.keys.items() if facts.other(slot) in waiting}


def _noted(facts: Facts) -> bool:
    """Whether this very request has left its mark, and was carried out to its end."""
    return any(p.terms.state.says(facts.request.mark) and _is_done(p) for p in facts.publications)


def _is_done(p: Publication) -> bool:
    """Whether nothing is left to do of what a publication notes a request for.

    What leaked does not end by itself where somebody else has published the key that waited.
    """
    noted = p.terms.state
    waits = noted.staged_slot not in (None, p.holds)
    lives = noted.staged_grace is not None
    return not (waits or lives or _undone(p))


def _undone(p: Publication) -> bool:
    """Whether somebody else has published the key that is to end: correcting that drops the mark."""
    noted = p.terms.state
    return noted.retire_at is not None and noted.retire_slot is not None and noted.retire_slot == p.holds


def _record(facts: Facts, because: str, until: datetime | None) -> Verdict:
    """An emergency that finds its work done by another pass leaves its mark: said again, it means no further key."""
    slot = facts.idle if until else None
    verdict = _write(Action.RETAG, Reason.COMPROMISED, f"{because}; that is to be noted", slot, facts.publications)
    return replace(verdict, until=until)


def _announced(facts: Facts) -> Publication | None:
    occasion = facts.request.occasion
    return next((p for p in facts.publications if occasion and p.ref == occasion.ref), None)


def retires_at(facts: Facts) -> datetime | None:
    """When the idle key is to be retired; outside an emergency never before its promise has ended."""
    marks = [at for p in facts.publications if (at := noted_end(facts, p))]
    ordinarily = max(*marks, promised_until(facts)) if marks else None
    return _emergency_ends(facts) or ordinarily


def _emergency_ends(facts: Facts) -> datetime | None:
    """When a compromised key is to be retired; what an ordinary rotation has noted elsewhere does not put it off."""
    return max((at for p in facts.publications if (at := emergency_mark(facts, p))), default=None)


def _own_end(facts: Facts) -> datetime | None:
    """When a compromised key is to be retired by the notes of this very request, which may not have reached all."""
    own = [p for p in facts.publications if p.terms.state.says(facts.request.mark)]
    return max((at for p in own if (at := emergency_mark(facts, p))), default=None)


def _grace_ends(facts: Facts) -> datetime | None:
    """When the grace is over of a key that another pass replaced; its readers learned of the new one from that pass."""
    grace = facts.request.grace
    return max(p.secret.created for p in facts.publications) + grace if grace else None


def _sooner(noted: datetime | None, asked: datetime | None) -> datetime | None:
    """When a key ends for which one emergency has noted a time and another asks for its own, which may be none."""
    return min(noted, asked) if noted and asked else asked


def noted_end(facts: Facts, p: Publication) -> datetime | None:
    """When a publication has it noted that the idle key is to be retired."""
    return p.terms.state.retire_at if _about_idle(facts, p) else None


def emergency_mark(facts: Facts, p: Publication) -> datetime | None:
    """When a publication has it noted that the idle key is to be retired because it leaked.

    Where the clock of who published its successor was behind, the grace counts from the vault's date.
    """
    at = noted_end(facts, p)
    if at is None or p.terms.state.trigger is not Trigger.EMERGENCY:
        return None
    return at + clock_lag(p) if p.rotated_at < at else at


def clock_lag(p: Publication) -> timedelta:
    """How far the clock of who wrote a publication was behind the vault's, as far as clocks may be apart."""
    return min(max(p.secret.created - p.rotated_at, timedelta(0)), SKEW)


def _retired(facts: Facts, p: Publication) -> bool:
    """Whether a publication has it noted that the idle key was retired, and nobody else has written it since.

    Who writes it by hand may have given that key out again.
    """
    noted = p.terms.state
    done = noted.retire_slot is not None and noted.retire_at is None
    return done and _about_idle(facts, p) and _ours(p)


def _about_idle(facts: Facts, p: Publication) -> bool:
    """Whether a retirement that a publication notes is that of the key in the idle slot."""
    noted = p.terms.state
    return noted.retire_slot in (None, facts.idle) and facts.is_there(noted)


def _ours(p: Publication) -> bool:
    """Whether we wrote a publication last."""
    written = p.terms.state.rotated_at
    return written is not None and p.secret.created <= written + SKEW


def _retires(facts: Facts) -> str:
    at = retires_at(facts)
    return f"; the previous key is retired {tags.format_time(at)}" if at else ""


def _refuse(reason: Reason, because: str) -> Verdict:
    return Verdict(Action.REFUSE, reason, because)


def _leave(reason: Reason, because: str, until: datetime | None = None) -> Verdict:
    return Verdict(Action.LEAVE, reason, because, until=until)


def _write(action: Action, reason: Reason, because: str, slot: Slot | None, targets: Iterable[Publication]) -> Verdict:
    return Verdict(action, reason, because, slot, tuple(p.ref for p in targets))


def _refs(publications: Iterable[Publication]) -> str:
    return _names(str(p.ref) for p in publications)


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
