"""The rules, as one table of sentences: each line is an account, what is to be done with it, and why."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from rotation import policy
from rotation.model import (
    Action,
    Facts,
    Format,
    Limits,
    Obstacle,
    Publication,
    Reason,
    Request,
    Role,
    SecretRef,
    Sensitive,
    Slot,
    State,
    Suspect,
    Trigger,
    Verdict,
)
from rotation.policy import Rule, judge
from tests.unit.facts import (
    ACCOUNT,
    AGE,
    DAY,
    FIRST,
    HOUR,
    KEY,
    KEYS,
    LEAD,
    MINUTE,
    NOW,
    OTHER,
    OVERLAP,
    SECOND,
    STRING,
    VALIDITY,
    emergency,
    event,
    facts,
    publication,
    rotated,
    suspect,
)

OLD = "key2"
"""The idle slot of an account that publishes key1."""
DUE_AGE = VALIDITY - LEAD
GONE = "33cc33cc33cc"
"""The fingerprint of a key that was in the idle slot before."""
PROMISE = OVERLAP + policy.SKEW
"""How long the previous key is left alone, by whichever clock."""
BOTH = (KEY, STRING)


@dataclass(frozen=True)
class Case:
    """An account, and the verdict on it."""

    given: Facts
    action: Action
    reason: Reason
    slot: Slot | None = None
    targets: tuple[SecretRef, ...] = ()
    says: tuple[str, ...] = ()
    """What the sentence for a person names."""
    until: datetime | None = None


def leave(given: Facts, reason: Reason, *says: str, until: datetime | None = None) -> Case:
    """Expect that nothing is done."""
    return Case(given, Action.LEAVE, reason, says=says, until=until)


def refuse(given: Facts, reason: Reason, *says: str) -> Case:
    """Expect that a person must act."""
    return Case(given, Action.REFUSE, reason, says=says)


def rotate(given: Facts, reason: Reason, *says: str, targets: tuple[SecretRef, ...] = (KEY,)) -> Case:
    """Expect a new key in the idle slot, published to `targets`."""
    return Case(given, Action.ROTATE, reason, OLD, targets, says)


def retire(given: Facts, reason: Reason, *says: str, targets: tuple[SecretRef, ...] = (KEY,)) -> Case:
    """Expect that the idle slot's key is ended."""
    return Case(given, Action.RETIRE, reason, OLD, targets, says)


def note(given: Facts, until: datetime | None, *says: str, targets: tuple[SecretRef, ...] = (KEY,)) -> Case:
    """Expect that an emergency is noted, with the end of its key where that still works, and nothing else is done."""
    return Case(given, Action.RETAG, Reason.COMPROMISED, OLD if until else None, targets, says, until)


def obstacle(reason: Reason, because: str = "a person must act") -> Facts:
    """Make facts with one thing in the way."""
    return facts(obstacles=(Obstacle(reason, because),))


LOST = replace(publication(holds=None, tagged=FIRST), accepted=False)
"""A value that is no key of the account, and that the service refuses."""


def pair(first: Publication, second: Publication, **more: object) -> Facts:
    """Make an account published twice, as a key and as a connection string."""
    return facts(first, second, **more)  # type: ignore[arg-type]  # the names and types are those of facts()


def promised(age: timedelta) -> datetime:
    """Until when the previous key is promised, after a publication of that age."""
    return NOW - age + PROMISE


def ending(slot: Slot | None, trigger: Trigger = Trigger.EMERGENCY, at: datetime | None = NOW + HOUR) -> State:
    """Make what a rotation ten minutes ago has noted of the end of a slot's key."""
    return rotated(10 * MINUTE, trigger, retire_at=at, retire_slot=slot)


def noted_apart(at: datetime, by: str) -> Facts:
    """Make the facts for a request said again: one secret has its end of a leaked key, another that of `by`."""
    return pair(
        publication(state=replace(ending(OLD), id="INC-42")),
        publication(STRING, state=replace(ending(OLD, at=at), id=by)),
        request=Request(Trigger.OPERATOR, id="INC-42"),
    )


TOO_LONG = {"owner": "x" * 257}
MANY = {f"cost-centre-{number}": "4711" for number in range(12)}
HUGE = Sensitive("x" * 24_801)
LARGE = Sensitive("x" * 24_800)

CASES: dict[str, Case] = {
    # 1: what cannot be known
    "an account outside of the allowed scopes is refused": refuse(
        facts(allowed=("/subscriptions/11111111-1111-1111-1111-111111111111",)), Reason.NOT_ALLOWED, "stgorders"
    ),
    "an account whose name only begins like an allowed one is refused": refuse(
        facts(allowed=(str(ACCOUNT).removesuffix("orders"),)),
        Reason.NOT_ALLOWED,
        "ROTATION_ACCOUNTS",
    ),
    "an account in an allowed resource group is not refused, however that is spelled": leave(
        facts(allowed=("/SUBSCRIPTIONS/0B1F6471-1bf0-4dda-aec3-cb9272f09590/resourcegroups/RG-ORDERS/",)), Reason.FRESH
    ),
    "unreadable tags are refused in the words of whoever read them": refuse(
        obstacle(Reason.TAGS_UNREADABLE, "tag active-slot: it is missing"), Reason.TAGS_UNREADABLE, "active-slot"
    ),
    "an unknown kind of account is refused": refuse(
        obstacle(Reason.UNKNOWN_TYPE, "accounts of this type are unknown"), Reason.UNKNOWN_TYPE, "are unknown"
    ),
    "one that only Microsoft's tags name is left to their functions": leave(
        replace(obstacle(Reason.UNKNOWN_TYPE, "unknown"), borrowed=True),
        Reason.UNKNOWN_TYPE,
        "stgorders: unknown",
        "left",
    ),
    "a known one that only Microsoft's tags name is rotated": leave(replace(facts(), borrowed=True), Reason.FRESH),
    "a value in another format than its tags say is refused": refuse(
        obstacle(Reason.FORMAT_MISMATCH), Reason.FORMAT_MISMATCH
    ),
    "the value belongs to another account": refuse(obstacle(Reason.FOREIGN_VALUE), Reason.FOREIGN_VALUE),
    "a data plane out of reach is refused where a probe is required": refuse(
        obstacle(Reason.PROBE_IMPOSSIBLE), Reason.PROBE_IMPOSSIBLE
    ),
    "every obstacle is told, under the first one's name, and none twice": refuse(
        facts(
            obstacles=(
                Obstacle(Reason.READ_ONLY_LOCK, "a lock"),
                Obstacle(Reason.SHARED_KEY_OFF, "keys are off"),
                Obstacle(Reason.READ_ONLY_LOCK, "a lock"),
            )
        ),
        Reason.READ_ONLY_LOCK,
        "a lock; keys are off",
    ),
    "an account that nothing publishes is refused": refuse(
        replace(facts(), publications=()), Reason.TAGS_UNREADABLE, "no secret"
    ),
    "a slot that the service does not have is refused, with the names it has": refuse(
        facts(publication(holds="Primary")), Reason.TAGS_UNREADABLE, "'Primary'", "key1 and key2", str(KEY)
    ),
    "a slot that differs in case is not taken for another one": refuse(
        facts(publication(holds=None, tagged="Key1")), Reason.TAGS_UNREADABLE, "'Key1'"
    ),
    "an overlap that ends when the next key is due is refused": refuse(
        facts(publication(validity=VALIDITY, lead=VALIDITY - OVERLAP)),
        Reason.CONTRADICTION,
        str(KEY),
        "P60D",
        "P2D; raise validity-days, or lower rotate-before or ROTATION_OVERLAP",
    ),
    "an overlap that ends a second before the next key is due is kept": rotate(
        facts(publication(age=3 * DAY, validity=VALIDITY, lead=VALIDITY - OVERLAP - SECOND)), Reason.DUE
    ),
    "a lead longer than the validity is refused in words that make sense": refuse(
        facts(publication(validity=10 * DAY, lead=15 * DAY)), Reason.CONTRADICTION, "P15D before", "P10D"
    ),
    "a retirement that is promised within the overlap is refused": refuse(
        facts(publication(retire_after=OVERLAP - SECOND)), Reason.CONTRADICTION, "retire-after=P1DT23H59M59S", "P2D"
    ),
    "a retirement at the very end of the overlap is no contradiction": leave(
        facts(publication(retire_after=OVERLAP)), Reason.FRESH
    ),
    "contradictory terms of one of two secrets are refused, naming that one": refuse(
        pair(publication(), publication(STRING, validity=2 * DAY)), Reason.CONTRADICTION, str(STRING)
    ),
    "eleven foreign tags leave room for ours": leave(
        facts(publication(foreign=dict(list(MANY.items())[:11]))), Reason.FRESH
    ),
    "a secret without room for our tags is refused before anything is regenerated": refuse(
        facts(publication(foreign=MANY)), Reason.UNPUBLISHABLE, str(KEY), "16 tags", "remove 1"
    ),
    "fifteen foreign tags are refused": refuse(
        facts(publication(foreign={f"tag{n}": "" for n in range(15)})), Reason.UNPUBLISHABLE, "19 tags", "remove 4"
    ),
    "a tag that is too long is refused": refuse(facts(publication(foreign=TOO_LONG)), Reason.UNPUBLISHABLE, "owner"),
    "a value that a longer key might push over the limit is refused": refuse(
        facts(publication(value=HUGE)), Reason.UNPUBLISHABLE, "25k"
    ),
    "a value that just leaves room for a longer key is fine": leave(facts(publication(value=LARGE)), Reason.FRESH),
    "a value of broken Unicode is judged like any other": leave(
        facts(publication(value=Sensitive("\ud800"))), Reason.FRESH
    ),
    # 2: what the account does not allow
    "an account that takes no keys is refused": refuse(obstacle(Reason.SHARED_KEY_OFF), Reason.SHARED_KEY_OFF),
    "an account under a read-only lock is refused": refuse(obstacle(Reason.READ_ONLY_LOCK), Reason.READ_ONLY_LOCK),
    "the app's own storage is refused": refuse(obstacle(Reason.OWN_STORAGE), Reason.OWN_STORAGE),
    # 3: what a person has set aside
    "a paused secret is left": leave(facts(publication(paused=True)), Reason.PAUSED, str(KEY)),
    "one paused secret holds up the whole account": leave(
        pair(publication(age=DUE_AGE), publication(STRING, age=DUE_AGE, paused=True)), Reason.PAUSED, str(STRING)
    ),
    "one disabled secret holds up the whole account": leave(
        pair(publication(age=DUE_AGE), publication(STRING, age=DUE_AGE, enabled=False)), Reason.DISABLED, str(STRING)
    ),
    "a paused account is left even when its key is compromised": leave(
        facts(publication(paused=True), request=emergency(suspect(FIRST, published=True))), Reason.PAUSED
    ),
    # 4: drift
    "a value that is no key any more is replaced by the live key of the same slot": Case(
        facts(publication(holds=None, accepted=False)),
        Action.REPUBLISH,
        Reason.DRIFT,
        FIRST,
        (KEY,),
        (str(KEY), "key1"),
    ),
    "of two secrets only the lost one is replaced, by what the other one holds": Case(
        pair(publication(holds=None, tagged=FIRST, accepted=False), publication(STRING, OLD)),
        Action.REPUBLISH,
        Reason.DRIFT,
        OLD,
        (KEY,),
        ("key2",),
    ),
    "two lost secrets get the key of the slot that the later one is tagged with": Case(
        pair(
            publication(holds=None, tagged=FIRST, accepted=False, age=9 * DAY),
            publication(STRING, None, tagged=OLD, accepted=False, age=8 * DAY),
        ),
        Action.REPUBLISH,
        Reason.DRIFT,
        OLD,
        BOTH,
    ),
    "a lost value that nobody could try is drift once the listing has had time to follow": Case(
        facts(publication(holds=None, age=20 * MINUTE)), Action.REPUBLISH, Reason.DRIFT, FIRST, (KEY,)
    ),
    "a lost value that nobody could try may be newer than the listing": leave(
        facts(publication(holds=None, age=20 * MINUTE - SECOND)),
        Reason.KEYS_BEHIND,
        str(KEY),
        until=NOW + SECOND,
    ),
    "a young value that the service refuses is drift at once": Case(
        facts(publication(holds=None, age=MINUTE, accepted=False)), Action.REPUBLISH, Reason.DRIFT, FIRST, (KEY,)
    ),
    "a value that the service takes is not overwritten because a listing lags": leave(
        facts(publication(holds=None, accepted=True)), Reason.KEYS_BEHIND, str(KEY)
    ),
    "one accepted value is enough to doubt the listing": leave(
        pair(publication(holds=None, accepted=False), publication(STRING, None, accepted=True)), Reason.KEYS_BEHIND
    ),
    "a compromised account that has drifted is first made to work": Case(
        facts(publication(holds=None, accepted=False), request=emergency(suspect(FIRST, published=True))),
        Action.REPUBLISH,
        Reason.DRIFT,
        FIRST,
        (KEY,),
    ),
    # 5: a wrong tag
    "a tag that names the other slot is corrected": Case(
        facts(publication(holds=OLD, tagged=FIRST)),
        Action.RETAG,
        Reason.WRONG_TAG,
        None,
        (KEY,),
        ("value is the key of key2", "tag says key1"),
    ),
    "only the wrong one of two tags is corrected": Case(
        pair(publication(), publication(STRING, holds=FIRST, tagged=OLD)),
        Action.RETAG,
        Reason.WRONG_TAG,
        None,
        (STRING,),
    ),
    # 6: a split
    "secrets that disagree are aligned on the one published last": Case(
        pair(publication(age=9 * DAY), publication(STRING, OLD, age=8 * DAY)),
        Action.ALIGN,
        Reason.SPLIT,
        OLD,
        (KEY,),
        (str(KEY), "still on key1", f"{STRING} has key2"),
    ),
    "of two secrets written in the same second our own note tells which was last": Case(
        pair(publication(state=rotated(AGE)), publication(STRING, OLD, state=rotated(AGE - SECOND))),
        Action.ALIGN,
        Reason.SPLIT,
        OLD,
        (KEY,),
    ),
    "of two secrets alike in all times one is chosen, always the same": Case(
        pair(publication(), publication(STRING, OLD)),
        Action.ALIGN,
        Reason.SPLIT,
        FIRST,
        (STRING,),
        (f"{STRING}: still on key2 while {KEY} has key1",),
    ),
    "all that are behind are aligned in one step": Case(
        facts(publication(), publication(STRING), publication(OTHER, OLD, age=9 * DAY)),
        Action.ALIGN,
        Reason.SPLIT,
        OLD,
        BOTH,
    ),
    "whoever notes the end of a leaked key is followed, although the leaked one was saved since": Case(
        pair(publication(age=MINUTE), publication(STRING, OLD, age=DAY, state=ending(FIRST))),
        Action.ALIGN,
        Reason.SPLIT,
        OLD,
        (KEY,),
        (f"{STRING} has key2",),
    ),
    "who joined that one since, without the note, changes nothing": Case(
        facts(
            publication(age=MINUTE),
            publication(STRING, OLD, age=DAY, state=ending(FIRST)),
            publication(OTHER, OLD, age=5 * MINUTE, state=rotated(5 * MINUTE)),
        ),
        Action.ALIGN,
        Reason.SPLIT,
        OLD,
        (KEY,),
    ),
    "the key in the slot where a leaked one was is not the leaked one": Case(
        pair(
            publication(age=MINUTE, state=rotated(MINUTE)),
            publication(STRING, OLD, age=DAY, state=replace(ending(FIRST), retire_key=GONE)),
        ),
        Action.ALIGN,
        Reason.SPLIT,
        FIRST,
        (STRING,),
    ),
    "the leaked one is, whenever it was published": Case(
        pair(
            publication(age=MINUTE, state=rotated(MINUTE)),
            publication(STRING, OLD, age=DAY, state=replace(ending(FIRST), retire_key=KEYS[FIRST])),
        ),
        Action.ALIGN,
        Reason.SPLIT,
        OLD,
        (KEY,),
    ),
    "a secret that notes the end of a leaked key is followed although its own key was ended": Case(
        pair(publication(age=MINUTE), publication(STRING, None, tagged=OLD, accepted=False, state=ending(FIRST))),
        Action.REPUBLISH,
        Reason.DRIFT,
        OLD,
        (STRING,),
    ),
    "so is one whose tag somebody changed to the leaked key's slot": Case(
        facts(publication(holds=None, tagged=FIRST, accepted=False, state=ending(FIRST))),
        Action.REPUBLISH,
        Reason.DRIFT,
        OLD,
        (KEY,),
    ),
    **{
        f"of two secrets the later one is followed where {why}": Case(
            pair(publication(age=MINUTE), publication(STRING, OLD, age=DAY, state=state)),
            Action.ALIGN,
            Reason.SPLIT,
            FIRST,
            (STRING,),
        )
        for why, state in {
            "the key whose end is noted did not leak": ending(FIRST, Trigger.OPERATOR),
            "the leaked key has ended": ending(FIRST, at=None),
            "the end of the noting one's own key is noted": ending(OLD),
            "nobody knows whose end is noted": ending(None),
        }.items()
    },
    "an idle key declared compromised is not looked for where both keys are published": refuse(
        pair(publication(), publication(STRING, OLD), request=Request(compromised=Role.IDLE)),
        Reason.SPLIT,
        f"neither is idle: {STRING}, {KEY} hold different ones",
        "; let a pass align them and say it again, or declare both",
    ),
    "an idle key that was named before the secrets disagreed is known": Case(
        pair(
            publication(age=9 * DAY),
            publication(STRING, OLD, age=8 * DAY),
            request=replace(emergency(suspect(OLD, published=False)), compromised=Role.IDLE),
        ),
        Action.ALIGN,
        Reason.SPLIT,
        FIRST,
        (STRING,),
    ),
    # 7: a staged key
    "a staged key is tried again instead of making another": Case(
        facts(publication(age=DUE_AGE, state=State(staged_slot=OLD, staged_at=NOW - HOUR))),
        Action.PUBLISH,
        Reason.STAGED,
        OLD,
        (KEY,),
        ("key2", "2026-11-21T02:00:00Z", "waits to be published"),
    ),
    "a staged key goes to every secret, noted on each or not": Case(
        pair(publication(state=State(staged_slot=OLD)), publication(STRING)),
        Action.PUBLISH,
        Reason.STAGED,
        OLD,
        BOTH,
        ("the new key of key2 was made earlier and waits to be published",),
    ),
    "a key that was staged in the second of another secret's rotation still waits": Case(
        pair(publication(state=State(staged_slot=OLD, staged_at=NOW - HOUR)), publication(STRING, state=rotated(HOUR))),
        Action.PUBLISH,
        Reason.STAGED,
        OLD,
        BOTH,
    ),
    "a key that was staged before another secret's rotation waits no more": leave(
        pair(
            publication(state=State(staged_slot=OLD, staged_at=NOW - HOUR)),
            publication(STRING, state=rotated(HOUR - SECOND)),
        ),
        Reason.FRESH,
    ),
    "a note that stages the published slot means nothing": leave(
        facts(publication(state=State(staged_slot=FIRST))), Reason.FRESH
    ),
    "a forced request whose key waits no more was not carried out": Case(
        pair(
            publication(state=State(staged_slot=OLD, staged_at=NOW - HOUR, id="F-1")),
            publication(STRING, state=rotated(MINUTE)),
            request=Request(id="F-1", force=True),
        ),
        Action.ROTATE,
        Reason.FORCED,
        OLD,
        (KEY, STRING),
    ),
    "a staged key is published although the overlap has not passed: nothing is regenerated for it": Case(
        facts(publication(age=HOUR, state=State(staged_slot=OLD))), Action.PUBLISH, Reason.STAGED, OLD, (KEY,)
    ),
    "a staged key that is compromised is not published but ended": retire(
        facts(publication(state=State(staged_slot=OLD)), request=emergency(suspect(OLD, published=False))),
        Reason.COMPROMISED,
    ),
    "a staged key is what a compromised one is replaced by": Case(
        facts(publication(state=State(staged_slot=OLD)), request=emergency(suspect(FIRST, published=True))),
        Action.PUBLISH,
        Reason.STAGED,
        OLD,
        (KEY,),
    ),
    # 8: what was asked may have been done
    "an event about a version that was replaced is left": leave(
        facts(publication(age=DUE_AGE, number=2), request=event(number=1)), Reason.STALE_EVENT, str(KEY)
    ),
    "an event is late although another secret has a version of that name": leave(
        pair(publication(age=DUE_AGE, number=2), publication(STRING, age=DUE_AGE), request=event()), Reason.STALE_EVENT
    ),
    "an event about a secret of another account decides nothing": leave(facts(request=event(OTHER)), Reason.FRESH),
    "an event is not stale because a listing knows no versions": leave(
        facts(publication(number=None), request=event()), Reason.FRESH
    ),
    "a request that was carried out is not carried out again": leave(
        facts(publication(state=State(id="INC-42")), request=Request(id="INC-42", force=True)),
        Reason.ALREADY_DONE,
        "INC-42",
    ),
    "a request noted on one of two secrets was carried out": leave(
        pair(publication(state=State(id="INC-42")), publication(STRING), request=Request(id="INC-42", force=True)),
        Reason.ALREADY_DONE,
    ),
    "a repeated request is told when the old key ends": leave(
        facts(
            publication(age=MINUTE, state=rotated(MINUTE, Trigger.EMERGENCY, id="INC-42", retire_at=NOW + 14 * MINUTE)),
            request=Request(Trigger.EMERGENCY, id="INC-42"),
        ),
        Reason.ALREADY_DONE,
        "retired 2026-11-21T03:14:00Z",
        until=NOW + 14 * MINUTE,
    ),
    "a shorter grace that did not reach every secret is noted in the others when it is asked for again": Case(
        noted_apart(NOW + 3 * DAY, "INC-41"),
        Action.RETAG,
        Reason.ALREADY_DONE,
        OLD,
        (STRING,),
        (str(STRING), "key2", "later"),
        NOW + HOUR,
    ),
    "a longer grace that did not reach every secret is not": leave(
        noted_apart(NOW + MINUTE, "INC-41"),
        Reason.ALREADY_DONE,
        until=NOW + HOUR,
    ),
    "who was aligned later keeps the end of its own": leave(
        noted_apart(NOW + 2 * HOUR, "INC-42"),
        Reason.ALREADY_DONE,
        until=NOW + 2 * HOUR,
    ),
    "another request than the last one is carried out": rotate(
        facts(publication(state=State(id="INC-41")), request=Request(id="INC-42", force=True)), Reason.FORCED
    ),
    # 9: a retirement
    "a previous key is retired at the second it was to be": retire(
        facts(publication(state=rotated(AGE, retire_at=NOW))), Reason.RETIRE_DUE, "key2", "2026-11-21T03:00:00Z"
    ),
    "a previous key is not retired a second too early": leave(
        facts(publication(state=rotated(AGE, retire_at=NOW + SECOND))),
        Reason.FRESH,
        "retired 2026-11-21T03:00:01Z",
        until=NOW + SECOND,
    ),
    "a retirement never comes before the end of the promise": leave(
        facts(publication(age=HOUR, state=rotated(HOUR, retire_at=NOW - MINUTE))),
        Reason.OVERLAP,
        "promised until 2026-11-23T02:10:00Z",
        "retired 2026-11-23T02:10:00Z",
        until=promised(HOUR),
    ),
    "an idle key that is declared compromised is ended in that name, though its end was due": retire(
        facts(
            publication(state=rotated(AGE, retire_at=NOW)),
            request=emergency(suspect(OLD, published=False)),
        ),
        Reason.COMPROMISED,
    ),
    "a retirement that is due comes before a compromised key that was published meanwhile": retire(
        facts(
            publication(state=rotated(AGE, retire_at=NOW)),
            request=emergency(suspect(FIRST, published=False)),
        ),
        Reason.RETIRE_DUE,
    ),
    "a retirement that waited for the promise comes when that ends": retire(
        facts(publication(age=PROMISE, state=rotated(PROMISE, retire_at=NOW - HOUR))), Reason.RETIRE_DUE
    ),
    "an emergency's retirement does not wait for the promise": retire(
        facts(publication(age=HOUR, state=rotated(HOUR, Trigger.EMERGENCY, retire_at=NOW))), Reason.RETIRE_DUE
    ),
    "an emergency's retirement waits for its grace, and the account is looked at again then": leave(
        facts(publication(age=MINUTE, state=rotated(MINUTE, Trigger.EMERGENCY, retire_at=NOW + SECOND))),
        Reason.OVERLAP,
        "no new key is made before 2026-11-23T03:09:00Z",
        "retired 2026-11-21T03:00:01Z",
        until=NOW + SECOND,
    ),
    "a grace counts from the date of the version where the clock of who published it was behind": leave(
        facts(publication(age=MINUTE, state=rotated(11 * MINUTE, Trigger.EMERGENCY, retire_at=NOW - MINUTE))),
        Reason.OVERLAP,
        "retired 2026-11-21T03:09:00Z",
        until=NOW + 9 * MINUTE,
    ),
    "a grace is not prolonged by more than clocks may be apart": retire(
        facts(publication(age=MINUTE, state=rotated(HOUR, Trigger.EMERGENCY, retire_at=NOW - policy.SKEW))),
        Reason.RETIRE_DUE,
    ),
    "a grace is not shortened where the clock of who published it was ahead": leave(
        facts(publication(age=11 * MINUTE, state=rotated(MINUTE, Trigger.EMERGENCY, retire_at=NOW + SECOND))),
        Reason.OVERLAP,
        until=NOW + SECOND,
    ),
    "without a grace a compromised key ends at once, however late its successor was dated": retire(
        facts(publication(age=SECOND, state=rotated(MINUTE, Trigger.EMERGENCY, retire_at=NOW - MINUTE))),
        Reason.RETIRE_DUE,
    ),
    "of two marks the later one counts, and both are cleared": retire(
        pair(
            publication(state=rotated(AGE, retire_at=NOW)),
            publication(STRING, state=rotated(AGE, retire_at=NOW - HOUR)),
        ),
        Reason.RETIRE_DUE,
        "2026-11-21T03:00:00Z",
        targets=BOTH,
    ),
    "a mark that has not come holds back the one that has": leave(
        pair(
            publication(state=rotated(AGE, retire_at=NOW - HOUR)),
            publication(STRING, state=rotated(AGE, retire_at=NOW + HOUR)),
        ),
        Reason.FRESH,
        until=NOW + HOUR,
    ),
    "a mark that names the idle slot is meant for it": retire(
        facts(publication(state=rotated(AGE, retire_at=NOW, retire_slot=OLD))), Reason.RETIRE_DUE
    ),
    "a mark that names the slot which is published by now is meant for nobody": leave(
        facts(publication(age=HOUR, state=rotated(HOUR, Trigger.EMERGENCY, retire_at=NOW, retire_slot=FIRST))),
        Reason.OVERLAP,
        until=promised(HOUR),
    ),
    **{
        f"a mark whose key has ended is cleared, and its successor left alone, {when}": Case(
            pair(
                publication(),
                publication(STRING, state=rotated(AGE, retire_at=at, retire_slot=OLD, retire_key=GONE)),
            ),
            Action.RETAG,
            Reason.RETIRE_DUE,
            None,
            (STRING,),
            (f"{STRING}: the previous key, in key2, has ended",),
        )
        for when, at in (("when its time has come", NOW), ("before its time too", NOW + HOUR))
    },
    "a mark that names the idle key is meant for it": retire(
        facts(publication(state=rotated(AGE, retire_at=NOW, retire_slot=OLD, retire_key=KEYS[OLD]))),
        Reason.RETIRE_DUE,
    ),
    "whether the key of a mark has ended is not told by a listing": retire(
        facts(publication(state=rotated(AGE, retire_at=NOW, retire_slot=OLD, retire_key=GONE)), keys={}),
        Reason.RETIRE_DUE,
    ),
    "only the secrets whose mark is meant for the idle slot are told": retire(
        pair(
            publication(state=rotated(AGE, retire_at=NOW, retire_slot=OLD)),
            publication(STRING, state=rotated(AGE, retire_at=NOW + HOUR, retire_slot=FIRST)),
        ),
        Reason.RETIRE_DUE,
    ),
    # 10: compromised
    "a compromised published key is replaced at once, within the overlap too": rotate(
        facts(publication(age=HOUR), request=emergency(suspect(FIRST, published=True))), Reason.COMPROMISED, "key1"
    ),
    "a compromised published key is replaced in every secret": rotate(
        pair(publication(), publication(STRING), request=emergency(suspect(FIRST, published=True))),
        Reason.COMPROMISED,
        targets=BOTH,
    ),
    "a compromised idle key is ended at once, within the overlap too": retire(
        facts(publication(age=HOUR), request=emergency(suspect(OLD, published=False))), Reason.COMPROMISED, "key2"
    ),
    "of two compromised keys the published one is replaced first, by which the other ends": rotate(
        facts(request=emergency(suspect(FIRST, published=True), suspect(OLD, published=False))), Reason.COMPROMISED
    ),
    "a compromised key that was replaced works on until the grace is over": leave(
        facts(
            publication(age=MINUTE, state=rotated(MINUTE, Trigger.EMERGENCY, retire_at=NOW + 14 * MINUTE)),
            request=emergency(suspect(OLD, published=True)),
        ),
        Reason.RETIRING,
        "key2",
        "2026-11-21T03:14:00Z",
        until=NOW + 14 * MINUTE,
    ),
    "a compromised key that was replaced works on for as long as is noted, by whichever clock": leave(
        facts(
            publication(age=MINUTE, state=rotated(MINUTE, Trigger.EMERGENCY, retire_at=NOW + 20 * MINUTE)),
            request=emergency(suspect(OLD, published=True)),
        ),
        Reason.RETIRING,
        until=NOW + 20 * MINUTE,
    ),
    "a compromised key that was replaced ends with the grace": retire(
        facts(
            publication(age=15 * MINUTE, state=rotated(15 * MINUTE, Trigger.EMERGENCY, retire_at=NOW)),
            request=emergency(suspect(OLD, published=True)),
        ),
        Reason.RETIRE_DUE,
    ),
    "a grace that is over is not prolonged by what an ordinary rotation noted elsewhere": retire(
        pair(
            publication(age=15 * MINUTE, state=rotated(15 * MINUTE, Trigger.EMERGENCY, retire_at=NOW)),
            publication(STRING, age=15 * MINUTE, state=rotated(15 * MINUTE, retire_at=NOW + 30 * DAY)),
        ),
        Reason.RETIRE_DUE,
        targets=BOTH,
    ),
    "an emergency does not wait for the retirement that an ordinary rotation had in mind": retire(
        facts(
            publication(age=15 * MINUTE, state=rotated(15 * MINUTE, retire_at=NOW + 30 * DAY)),
            request=emergency(suspect(OLD, published=True)),
        ),
        Reason.COMPROMISED,
    ),
    "a compromised key that another pass replaced works on until the grace is over, and that is noted": note(
        facts(
            publication(age=15 * MINUTE - SECOND, state=rotated(15 * MINUTE, retire_at=NOW + 30 * DAY)),
            request=emergency(suspect(OLD, published=True)),
        ),
        NOW + SECOND,
        "key2",
        "2026-11-21T03:00:01Z",
    ),
    "the grace of a key that another pass replaced counts from the last secret that it reached": note(
        pair(publication(age=DAY), publication(STRING, age=MINUTE), request=emergency(suspect(OLD, published=True))),
        NOW + 14 * MINUTE,
        targets=BOTH,
    ),
    "an emergency whose key ends for another one is noted beside it": note(
        facts(
            publication(age=MINUTE, state=rotated(MINUTE, Trigger.EMERGENCY, retire_at=NOW + 14 * MINUTE)),
            request=replace(emergency(suspect(OLD, published=True)), id="INC-7", compromised=Role.ACTIVE),
        ),
        NOW + 14 * MINUTE,
        "2026-11-21T03:14:00Z",
    ),
    "an emergency whose key ends sooner for another one keeps that end": note(
        facts(
            publication(age=MINUTE, state=rotated(MINUTE, Trigger.EMERGENCY, retire_at=NOW + 5 * MINUTE)),
            request=replace(emergency(suspect(OLD, published=True)), id="INC-7", compromised=Role.ACTIVE),
        ),
        NOW + 5 * MINUTE,
    ),
    "an emergency whose key ends later for another one brings that end forward": note(
        facts(
            publication(age=MINUTE, state=rotated(MINUTE, Trigger.EMERGENCY, retire_at=NOW + HOUR)),
            request=replace(emergency(suspect(OLD, published=True)), id="INC-7", compromised=Role.ACTIVE),
        ),
        NOW + 14 * MINUTE,
    ),
    "an emergency whose key was ended by another pass is noted": note(
        facts(
            publication(age=MINUTE),
            request=replace(
                emergency(suspect(FIRST, published=True, fingerprint="dead00dead00")),
                id="INC-7",
                compromised=Role.ACTIVE,
            ),
        ),
        None,
        "no key works any more that was declared compromised; that is to be noted",
    ),
    "without a grace a compromised key that another pass replaced ends at once, by whichever clock": retire(
        facts(
            publication(age=-policy.SKEW),
            request=emergency(suspect(OLD, published=True), grace=timedelta(0)),
        ),
        Reason.COMPROMISED,
    ),
    "a compromised key has no grace from the mark of the other slot": retire(
        facts(
            publication(age=HOUR, state=rotated(HOUR, Trigger.EMERGENCY, retire_at=NOW + HOUR, retire_slot=FIRST)),
            request=emergency(suspect(OLD, published=True)),
        ),
        Reason.COMPROMISED,
    ),
    "the grace of a published key is none for a key declared compromised while idle": retire(
        facts(
            publication(age=MINUTE, state=rotated(MINUTE, Trigger.EMERGENCY, retire_at=NOW + 14 * MINUTE)),
            request=emergency(suspect(OLD, published=False)),
        ),
        Reason.COMPROMISED,
    ),
    "a compromised key that somebody else replaced meanwhile is done": leave(
        facts(request=emergency(suspect(FIRST, published=True, fingerprint="dead00dead00"))), Reason.FRESH
    ),
    "a compromised key that was published meanwhile is replaced": rotate(
        facts(request=emergency(suspect(FIRST, published=False))), Reason.COMPROMISED
    ),
    # 10: forced
    "a forced rotation does not wait for the overlap": rotate(
        facts(publication(age=SECOND), request=Request(force=True)), Reason.FORCED, "2026-11-21T02:59:59Z"
    ),
    "a forced rotation serves every secret": rotate(
        pair(publication(), publication(STRING), request=Request(force=True)), Reason.FORCED, targets=BOTH
    ),
    # 11: the overlap
    "the previous key is left a second before its promise ends": leave(
        facts(publication(age=PROMISE - SECOND, expires=NOW)),
        Reason.OVERLAP,
        "2026-11-21T03:00:01Z",
        until=NOW + SECOND,
    ),
    "the previous key may go at the second its promise ends": rotate(
        facts(publication(age=PROMISE, expires=NOW)), Reason.DUE
    ),
    "the promise runs from the secret published last": leave(
        pair(publication(age=DUE_AGE), publication(STRING, age=HOUR)), Reason.OVERLAP, until=promised(HOUR)
    ),
    "a slot that was retired holds a key that was promised to nobody": rotate(
        facts(publication(age=HOUR, expires=NOW, state=rotated(HOUR + policy.SKEW, retire_slot=OLD))), Reason.DUE
    ),
    "a version that is younger than our note is somebody's who may have given a retired key out again": leave(
        facts(publication(age=HOUR, expires=NOW, state=rotated(HOUR + policy.SKEW + SECOND, retire_slot=OLD))),
        Reason.OVERLAP,
        until=promised(HOUR),
    ),
    "so is a version that we have not dated": leave(
        facts(publication(age=HOUR, expires=NOW, state=State(retire_slot=OLD))), Reason.OVERLAP, until=promised(HOUR)
    ),
    "one such version of two is enough": leave(
        pair(
            publication(age=HOUR, expires=NOW, state=rotated(HOUR, retire_slot=OLD)),
            publication(STRING, age=HOUR, state=rotated(DAY, retire_slot=OLD)),
        ),
        Reason.OVERLAP,
    ),
    "the promise of one slot does not end with the retirement of the other": leave(
        facts(publication(age=HOUR, expires=NOW, state=rotated(HOUR, retire_slot=FIRST))), Reason.OVERLAP
    ),
    "an event does not shorten the overlap": leave(
        facts(publication(age=HOUR, expires=NOW), request=event()), Reason.OVERLAP
    ),
    # 12: due
    "a key is replaced at the second it is due": rotate(
        facts(publication(age=DUE_AGE)), Reason.DUE, str(KEY), "expires 2026-12-11T03:00:00Z"
    ),
    "a key is not replaced a second before it is due": leave(
        facts(publication(age=DUE_AGE - SECOND)), Reason.FRESH, "2026-11-21T03:00:01Z", until=NOW + SECOND
    ),
    "the expiry that stands on the secret counts, not the one its age would give": rotate(
        facts(publication(expires=NOW + LEAD)), Reason.DUE
    ),
    "a lead of one's own is kept to the second": leave(
        facts(publication(age=DUE_AGE, lead=LEAD - SECOND)), Reason.FRESH, until=NOW + SECOND
    ),
    "one secret that is due takes the others with it": rotate(
        pair(publication(), publication(STRING, validity=12 * DAY)), Reason.DUE, str(STRING), targets=BOTH
    ),
    "an expired key is replaced": rotate(facts(publication(age=VALIDITY + DAY)), Reason.DUE),
    "an announced key that has lived half its life is replaced": rotate(
        facts(publication(age=VALIDITY / 2), request=event()), Reason.NEAR_EXPIRY, str(KEY)
    ),
    "an announced key a second short of half its life is left, else short validities would loop": leave(
        facts(publication(age=VALIDITY / 2 - SECOND), request=event()), Reason.FRESH
    ),
    "an event about one of two secrets takes both": rotate(
        pair(
            publication(age=VALIDITY / 2),
            publication(STRING, age=VALIDITY / 2, number=2),
            request=event(STRING, 2),
        ),
        Reason.NEAR_EXPIRY,
        str(STRING),
        targets=BOTH,
    ),
    # 13: fresh
    "a fresh account says when it is next due": leave(
        facts(), Reason.FRESH, "next due 2026-12-21T03:00:00Z", until=NOW - AGE + DUE_AGE
    ),
    "the next of several due times is told": leave(
        pair(publication(), publication(STRING, validity=30 * DAY)), Reason.FRESH, until=NOW - AGE + 20 * DAY
    ),
    # the guard over all that regenerates
    "no rotation while a vault could not be listed": refuse(
        facts(publication(age=DUE_AGE), unseen=("kv-billing",)), Reason.VAULT_UNSEEN, "kv-billing", "was due"
    ),
    "no retirement while a vault could not be listed": refuse(
        facts(publication(state=rotated(AGE, retire_at=NOW)), unseen=("kv-billing",)), Reason.VAULT_UNSEEN
    ),
    "no emergency either while a vault could not be listed": refuse(
        facts(request=emergency(suspect(FIRST, published=True)), unseen=("kv-x", "kv-a")),
        Reason.VAULT_UNSEEN,
        "kv-a, kv-x",
        "only where it publishes no key of these accounts",
    ),
    "what regenerates nothing goes on while a vault could not be listed": Case(
        facts(publication(holds=None, accepted=False), unseen=("kv-billing",)),
        Action.REPUBLISH,
        Reason.DRIFT,
        FIRST,
        (KEY,),
    ),
    "a staged key is published while a vault could not be listed": Case(
        facts(publication(state=State(staged_slot=OLD)), unseen=("kv-billing",)),
        Action.PUBLISH,
        Reason.STAGED,
        OLD,
        (KEY,),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_verdict(case: Case) -> None:
    """Each account of the table gets its verdict: action, reason, slot, secrets, and a sentence naming what matters."""
    verdict = judge(case.given, NOW)

    assert verdict == Verdict(
        case.action, case.reason, verdict.because, case.slot, case.targets, case.until or verdict.until
    )
    assert [words for words in case.says if words not in verdict.because] == []


def test_the_table_meets_every_reason_that_judging_can_give() -> None:
    """A reason that no account of the table shows is one that nobody has thought through."""
    given_elsewhere = {Reason.ENROLLED}

    assert {case.reason for case in CASES.values()} == set(Reason) - given_elsewhere


def test_the_table_meets_every_action() -> None:
    """Everything that can be done is asked for by some account of the table."""
    assert {case.action for case in CASES.values()} == set(Action)


def test_the_table_meets_every_rule() -> None:
    """Each rule is the first to answer for some account of the table, so none is dead."""
    answering = {next(rule for rule in policy.RULES if rule(case.given, NOW)) for case in CASES.values()}

    assert answering == set(policy.RULES)


# Where two rules would answer, the earlier one does.

CROSSED = State(staged_slot=OLD, staged_at=NOW, id="INC-42", rotated_at=NOW - AGE, retire_at=NOW)
"""A state in which several rules would like to answer."""

PAIRS: dict[str, tuple[Rule, Rule, Facts]] = {
    "an unknown kind before the allow-list": (
        policy.unknown_kind,
        policy.not_allowed,
        facts(allowed=("/subscriptions/x",), obstacles=(Obstacle(Reason.UNKNOWN_TYPE, "unknown"),)),
    ),
    "the allow-list before obstacles": (
        policy.not_allowed,
        policy.obstructed,
        facts(allowed=("/subscriptions/x",), obstacles=(Obstacle(Reason.READ_ONLY_LOCK, "a lock"),)),
    ),
    "obstacles before a missing publication": (
        policy.obstructed,
        policy.unpublished,
        replace(facts(obstacles=(Obstacle(Reason.TAGS_UNREADABLE, "unreadable"),)), publications=()),
    ),
    "an unknown slot before contradictory terms": (
        policy.unknown_slot,
        policy.contradictory,
        facts(publication(holds="Primary", validity=DAY)),
    ),
    "contradictory terms before what cannot be written": (
        policy.contradictory,
        policy.unpublishable,
        facts(publication(validity=DAY, foreign=MANY)),
    ),
    "what cannot be written before a pause": (
        policy.unpublishable,
        policy.set_aside,
        facts(publication(foreign=MANY, paused=True)),
    ),
    "a pause before drift": (
        policy.set_aside,
        policy.drifted,
        facts(publication(holds=None, accepted=False, paused=True)),
    ),
    "drift before a wrong tag": (
        policy.drifted,
        policy.mistagged,
        pair(publication(holds=None, accepted=False), publication(STRING, FIRST, tagged=OLD)),
    ),
    "drift before due": (policy.drifted, policy.due, facts(publication(holds=None, accepted=False, age=DUE_AGE))),
    "a wrong tag before a split": (
        policy.mistagged,
        policy.split,
        pair(publication(), publication(STRING, OLD, tagged=FIRST)),
    ),
    "a wrong tag before the question which key is idle": (
        policy.mistagged,
        policy.no_idle_key,
        pair(publication(), publication(STRING, OLD, tagged=FIRST), request=Request(compromised=Role.IDLE)),
    ),
    "the question which key is idle before a split": (
        policy.no_idle_key,
        policy.split,
        pair(publication(), publication(STRING, OLD), request=Request(compromised=Role.IDLE)),
    ),
    "a split before a staged key": (
        policy.split,
        policy.staged,
        pair(publication(state=State(staged_slot=OLD), age=9 * DAY), publication(STRING, OLD)),
    ),
    "a split before a retirement": (
        policy.split,
        policy.retirement_due,
        pair(publication(state=rotated(AGE, retire_at=NOW), age=9 * DAY), publication(STRING, OLD)),
    ),
    "a split before an emergency": (
        policy.split,
        policy.compromised,
        pair(publication(), publication(STRING, OLD), request=emergency(suspect(FIRST, published=True))),
    ),
    "a staged key before a stale event": (
        policy.staged,
        policy.superseded,
        facts(publication(state=State(staged_slot=OLD), number=2), request=event()),
    ),
    "a staged key before a repeated request": (
        policy.staged,
        policy.already_done,
        pair(publication(state=CROSSED), publication(STRING, state=State(id="INC-43")), request=Request(id="INC-43")),
    ),
    "a staged key before a retirement": (policy.staged, policy.retirement_due, facts(publication(state=CROSSED))),
    "a staged key before force": (
        policy.staged,
        policy.forced,
        facts(publication(state=State(staged_slot=OLD)), request=Request(force=True)),
    ),
    "a stale event before due": (
        policy.superseded,
        policy.due,
        facts(publication(age=DUE_AGE, number=2), request=event()),
    ),
    "a stale event before a repeated request": (
        policy.superseded,
        policy.already_done,
        facts(publication(number=2, state=State(id="INC-42")), request=replace(event(), id="INC-42")),
    ),
    "a retirement that was carried out before one that is due": (
        policy.retired_already,
        policy.retirement_due,
        pair(
            publication(state=rotated(AGE, retire_at=NOW)),
            publication(STRING, state=rotated(AGE, retire_at=NOW, retire_slot=OLD, retire_key=GONE)),
        ),
    ),
    "a retirement before a repeated request": (
        policy.retirement_due,
        policy.already_done,
        facts(publication(state=replace(CROSSED, staged_slot=None)), request=Request(id="INC-42")),
    ),
    "a repeated request before force": (
        policy.already_done,
        policy.forced,
        facts(publication(state=State(id="INC-42")), request=Request(id="INC-42", force=True)),
    ),
    "a retirement before an emergency": (
        policy.retirement_due,
        policy.compromised,
        facts(publication(state=rotated(AGE, retire_at=NOW)), request=emergency(suspect(FIRST, published=True))),
    ),
    "an emergency before force": (
        policy.compromised,
        policy.forced,
        facts(request=replace(emergency(suspect(FIRST, published=True)), force=True)),
    ),
    "an emergency before the overlap": (
        policy.compromised,
        policy.within_overlap,
        facts(publication(age=HOUR), request=emergency(suspect(FIRST, published=True))),
    ),
    "force before the overlap": (
        policy.forced,
        policy.within_overlap,
        facts(publication(age=HOUR), request=Request(force=True)),
    ),
    "the overlap before due": (
        policy.within_overlap,
        policy.due,
        facts(publication(age=HOUR, expires=NOW)),
    ),
}


@pytest.mark.parametrize(("earlier", "later", "given"), PAIRS.values(), ids=PAIRS.keys())
def test_the_earlier_rule_wins(earlier: Rule, later: Rule, given: Facts) -> None:
    """Both rules have an answer for these facts, and the verdict is the earlier one's."""
    first, second = earlier(given, NOW), later(given, NOW)

    assert first is not None
    assert second is not None
    assert judge(given, NOW) == first
    assert (first.action, first.reason) != (second.action, second.reason) or first.because != second.because


def test_every_rule_but_the_ends_is_compared_with_a_neighbour() -> None:
    """The order is part of the product: each rule that can be crossed with another one is."""
    crossed = {rule for earlier, later, _ in PAIRS.values() for rule in (earlier, later)}

    assert crossed | {policy.fresh} == set(policy.RULES)


# Suspects: an operator names a role, the first observation makes slots of it.


def suspects(given: Facts, role: Role) -> set[tuple[Slot, bool]] | None:
    """Tell which slots a role means, and whether applications use them; None where that cannot be known yet."""
    request = policy.with_suspects(replace(given, request=Request(Trigger.EMERGENCY, compromised=role)))
    return None if request.suspects is None else {(s.slot, s.published) for s in request.suspects}


@pytest.mark.parametrize(
    ("given", "active", "idle"),
    [
        pytest.param(facts(), {(FIRST, True)}, {(OLD, False)}, id="one secret"),
        pytest.param(facts(publication(holds=OLD, tagged=FIRST)), {(OLD, True)}, {(FIRST, False)}, id="a wrong tag"),
        pytest.param(facts(LOST), {(FIRST, True)}, {(OLD, False)}, id="drift"),
        pytest.param(pair(LOST, publication(STRING, OLD)), {(OLD, True)}, {(FIRST, False)}, id="drift of one of two"),
    ],
)
def test_roles_become_slots(given: Facts, active: set[tuple[Slot, bool]], idle: set[tuple[Slot, bool]]) -> None:
    """The active slot is what applications are given, also when its tag or its value is wrong; the other is idle."""
    assert suspects(given, Role.ACTIVE) == active
    assert suspects(given, Role.IDLE) == idle
    assert suspects(given, Role.BOTH) == active | idle


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(facts(replace(LOST, accepted=True)), id="a listing that lags"),
        pytest.param(facts(replace(LOST, accepted=None)), id="a value that nobody could try"),
        pytest.param(pair(replace(LOST, accepted=True), publication(STRING, OLD)), id="that of one of two"),
        pytest.param(obstacle(Reason.FORMAT_MISMATCH), id="a secret that cannot be judged"),
        pytest.param(replace(facts(), publications=()), id="no readable publication"),
    ],
)
def test_a_role_waits_for_a_better_look(given: Facts) -> None:
    """Who settled it now would settle it on another key than the one that is meant."""
    assert [None] * 3 == [suspects(given, role) for role in Role]


def test_in_a_split_nobody_knows_which_key_is_idle() -> None:
    """Both are published; that is known already."""
    given = pair(publication(), publication(STRING, OLD))

    assert {(FIRST, True), (OLD, True)} == suspects(given, Role.ACTIVE) == suspects(given, Role.BOTH)
    assert suspects(given, Role.IDLE) is None


def leak(ago: timedelta, grace: timedelta = HOUR) -> State:
    """Make the note of an emergency's rotation."""
    return rotated(ago, Trigger.EMERGENCY, retire_at=NOW - ago + grace, retire_slot=OLD)


def test_who_notes_the_end_of_a_leaked_key_is_followed() -> None:
    """Not who was written last, nor who is behind: what is noted there ends another key."""
    noting = publication(KEY, age=10 * MINUTE, state=leak(10 * MINUTE))
    joined = publication(STRING, age=MINUTE, state=rotated(MINUTE))
    behind = publication(OTHER, OLD, age=5 * MINUTE, state=leak(5 * MINUTE, 9 * HOUR))

    assert KEY == policy.foremost(pair(noting, joined)).ref
    assert KEY == policy.foremost(facts(noting, joined, behind)).ref
    assert KEY == policy.foremost(pair(noting, replace(joined, terms=replace(joined.terms, state=leak(MINUTE))))).ref
    assert STRING == policy.foremost(pair(replace(noting, terms=publication().terms), joined)).ref


def test_no_grace_stays_none_whatever_the_clocks_say() -> None:
    """The leaked key ends at once, also where the vault's clock is ahead of who published its successor."""
    behind = 5 * MINUTE
    at_once = publication(age=HOUR - behind, state=leak(HOUR, timedelta(0)))
    later = publication(age=HOUR - behind, state=leak(HOUR, MINUTE))

    assert NOW - HOUR == policy.emergency_mark(facts(at_once), at_once)
    assert NOW - HOUR + MINUTE + behind == policy.emergency_mark(facts(later), later)


def test_a_staged_key_is_no_suspect() -> None:
    """It was made moments ago and shown to nobody; suspecting it would make another one, again and again."""
    waiting = facts(publication(state=State(staged_slot=OLD)))

    assert suspects(waiting, Role.BOTH) == {(FIRST, True)}
    assert suspects(waiting, Role.IDLE) == set()


def test_a_key_that_a_note_calls_staged_is_a_suspect_once_it_is_published() -> None:
    """Somebody else published it, and left the note."""
    published_by_hand = facts(publication(state=State(staged_slot=FIRST, staged_at=NOW - HOUR)))

    assert suspects(published_by_hand, Role.BOTH) == {(FIRST, True), (OLD, False)}


@pytest.mark.parametrize(
    ("given", "roles"),
    [
        pytest.param(facts(), (Role.ACTIVE, Role.IDLE), id="one secret"),
        pytest.param(pair(publication(), publication(STRING, OLD)), (Role.ACTIVE, Role.ACTIVE), id="a split"),
        pytest.param(facts(publication(holds=None)), (Role.ACTIVE, Role.IDLE), id="drift"),
        pytest.param(facts(publication(state=State(staged_slot=OLD))), (Role.ACTIVE, None), id="a staged key"),
        pytest.param(obstacle(Reason.FORMAT_MISMATCH), (None, None), id="a secret that cannot be judged"),
        pytest.param(replace(facts(), publications=()), (None, None), id="no readable publication"),
    ],
)
def test_each_key_is_told_with_the_role_that_would_name_it(given: Facts, roles: tuple[Role | None, ...]) -> None:
    """Who found a key compares fingerprints, and has to know which role ends that key and no other."""
    told = policy.known_keys(given)

    assert [(slot, KEYS[slot]) for slot in (FIRST, OLD)] == [(key.slot, key.fingerprint) for key in told]
    assert roles == tuple(key.role for key in told)


def test_keys_that_are_not_listed_are_not_told() -> None:
    """A lock forbids to list them."""
    assert () == policy.known_keys(facts(keys={}))


def test_suspects_are_named_once() -> None:
    """Later observations do not turn the new key into a suspect."""
    named = Suspect(FIRST, "0ld0ld0ld0ld", published=True)
    request = Request(Trigger.EMERGENCY, compromised=Role.ACTIVE, suspects=(named,))

    assert policy.with_suspects(facts(request=request)).suspects == (named,)


def test_a_suspect_is_known_by_its_fingerprint() -> None:
    """What is recorded of a suspect is no key."""
    request = policy.with_suspects(facts(request=Request(compromised=Role.ACTIVE)))

    assert [KEYS[FIRST]] == [s.fingerprint for s in request.suspects or ()]


def test_who_meant_a_key_that_was_gone_by_then_means_no_other_one() -> None:
    """A staged key had replaced it; once that is published, the same word means the key that was active."""
    meant = policy.with_suspects(
        facts(publication(state=State(staged_slot=OLD)), request=Request(Trigger.EMERGENCY, compromised=Role.IDLE))
    )
    published = facts(publication(holds=OLD, tagged=OLD), request=meant)

    verdict = policy.judge(published, NOW)

    assert ((), meant) == (meant.suspects, policy.with_suspects(published))
    assert (Action.RETAG, Reason.COMPROMISED, None) == (verdict.action, verdict.reason, verdict.slot)


MADE = State(made_key=KEYS[FIRST], rotated_at=NOW - AGE)
"""What the rotation notes that has made the key which is published."""
IDLE = replace(emergency(suspect(FIRST, published=False)), compromised=Role.IDLE, as_of=NOW - AGE)
"""Declared when the latest secret was as old as those of these tests are."""


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        pytest.param(facts(publication(state=MADE), request=IDLE), False, id="a rotation made it since"),
        pytest.param(facts(publication(), request=IDLE), True, id="nobody noted who made it"),
        pytest.param(
            facts(publication(state=replace(MADE, made_key=KEYS[OLD])), request=IDLE), True, id="by hand, or a repair"
        ),
        pytest.param(facts(publication(state=MADE, age=AGE + SECOND), request=IDLE), True, id="it was away"),
        pytest.param(
            facts(publication(state=MADE, age=AGE - policy.SKEW - SECOND), request=IDLE), True, id="a version of before"
        ),
        pytest.param(
            pair(publication(state=MADE), publication(STRING), request=IDLE),
            False,
            id="a rotation made it since, and somebody has it by hand",
        ),
        pytest.param(
            pair(publication(state=MADE), publication(STRING, OLD), request=IDLE),
            False,
            id="a rotation made it since, and another secret is behind",
        ),
        pytest.param(facts(publication(holds=OLD, state=MADE), request=IDLE), True, id="it is not published"),
        pytest.param(
            facts(publication(state=MADE), request=replace(IDLE, compromised=Role.BOTH)), True, id="both were declared"
        ),
        pytest.param(facts(publication(state=MADE), request=replace(IDLE, as_of=None)), True, id="nobody said when"),
    ],
)
def test_an_idle_key_is_meant_unless_a_rotation_has_made_it_since(given: Facts, meant: bool) -> None:  # noqa: FBT001  # a table
    """S2: the key that another pass was just making when the idle one was declared is not the one that leaked."""
    assert (given.request.suspects if meant else ()) == policy.still_meant(given).suspects


def test_nobody_is_acquitted_before_anybody_is_meant() -> None:
    """Which key is idle is told by what comes next."""
    asked = replace(IDLE, suspects=None)
    assert asked is policy.still_meant(facts(publication(state=MADE), request=asked))


def test_when_a_key_was_declared_is_told_by_the_vaults_clock() -> None:
    """The clocks of two workers are apart, and what they note of the time is not compared."""
    noted, older = publication(state=State(rotated_at=NOW + MINUTE)), publication(OTHER, age=AGE + DAY)
    asked = replace(IDLE, suspects=None, as_of=None)

    assert NOW - AGE == policy.with_suspects(facts(noted, older, request=asked)).as_of


# Retirement: when the key published now is to end, once a new one is published.


@pytest.mark.parametrize(
    ("given", "after"),
    [
        pytest.param(facts(), None, id="never, unless somebody asked"),
        pytest.param(facts(publication(retire_after=7 * DAY)), 7 * DAY, id="as the tags ask"),
        pytest.param(
            pair(publication(retire_after=7 * DAY), publication(STRING, retire_after=9 * DAY)),
            9 * DAY,
            id="as the most patient of two secrets asks",
        ),
        pytest.param(
            facts(publication(retire_after=7 * DAY), request=emergency(suspect(FIRST, published=True), grace=MINUTE)),
            MINUTE,
            id="after the grace, when it is compromised",
        ),
        pytest.param(
            facts(request=emergency(suspect(FIRST, published=True), grace=timedelta(0))),
            timedelta(0),
            id="at once, when there is no grace",
        ),
        pytest.param(
            facts(request=emergency(suspect(OLD, published=False), grace=MINUTE)),
            None,
            id="not because the other key is compromised",
        ),
        pytest.param(
            pair(
                publication(state=State(staged_slot=OLD, staged_grace=2 * MINUTE)),
                publication(STRING, state=State(staged_slot=OLD, staged_grace=MINUTE), retire_after=7 * DAY),
            ),
            MINUTE,
            id="after the shortest grace noted with a staged key",
        ),
        pytest.param(
            facts(publication(state=State(staged_slot=OLD, staged_grace=timedelta(0)))),
            timedelta(0),
            id="at once, when a staged key was noted with no grace",
        ),
        pytest.param(
            pair(
                publication(state=State(staged_slot=OLD, staged_at=NOW - HOUR, staged_grace=MINUTE)),
                publication(STRING, state=rotated(MINUTE)),
            ),
            None,
            id="not after the grace of a staged key that was overtaken",
        ),
        pytest.param(
            facts(publication(state=State(staged_slot=FIRST, staged_at=NOW - HOUR, staged_grace=MINUTE))),
            None,
            id="not after the grace of a staged key that somebody else published",
        ),
    ],
)
def test_retirement(given: Facts, after: timedelta | None) -> None:
    """The published key's end is known when its successor is published."""
    assert policy.retirement(given, NOW) == (None if after is None else NOW + after)


def test_a_verdict_has_the_same_words_for_the_same_facts() -> None:
    """The order in which secrets were read does not show."""
    one = pair(publication(paused=True), publication(STRING, paused=True))
    two = pair(publication(STRING, paused=True), publication(paused=True))

    assert judge(one, NOW) == judge(two, NOW)


def test_a_verdict_speaks_only_of_what_there_is() -> None:
    """Nothing of a retirement where none is to come, and nothing of secrets where there are none."""
    assert judge(facts(), NOW).because == "next due 2026-12-21T03:00:00Z"
    assert judge(replace(facts(), publications=()), NOW).because == (
        "no secret with readable tags publishes this account"
    )


def test_formats_do_not_matter_to_a_verdict() -> None:
    """A rule that looked into values would see keys."""
    assert judge(facts(publication(form=Format.JSON)), NOW) == judge(facts(), NOW)


def test_no_overlap_at_all_is_allowed() -> None:
    """An overlap of nothing promises nothing."""
    given = replace(facts(publication(age=DUE_AGE)), limits=Limits(overlap=timedelta(0)))

    assert judge(given, NOW).reason is Reason.DUE
