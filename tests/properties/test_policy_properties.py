"""What no verdict may ever say, whatever the account looks like."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import event, given, settings
from hypothesis import strategies as st

from rotation import policy
from rotation.model import Action, Facts, Reason, Verdict
from rotation.policy import REGENERATING, judge
from tests.properties.strategies import accounts_as_found
from tests.unit.facts import NOW

often = settings(max_examples=200, deadline=None)
ASKED_FOR = {Reason.COMPROMISED, Reason.FORCED}
WRITING = set(Action) - {Action.LEAVE, Action.REFUSE}


def about(facts: Facts) -> Verdict:
    """Judge, and let Hypothesis count what came of it."""
    verdict = judge(facts, NOW)
    event(f"{verdict.action} {verdict.reason}")
    return verdict


@often
@given(accounts_as_found(), st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # the zone is drawn
def test_judging_is_total_and_deterministic(facts: Facts, now: datetime) -> None:
    """Every account has exactly one answer at any time, in words, and the same one when asked again."""
    first, again = judge(facts, now), judge(replace(facts), now)

    assert first == again
    assert first.because


@often
@given(accounts_as_found())
def test_a_published_slot_is_never_regenerated(facts: Facts) -> None:
    """S1: no secret holds the slot that is to be regenerated, and none is in doubt."""
    verdict = about(facts)

    if verdict.action in REGENERATING:
        assert {p.holds for p in facts.publications} == {facts.other(verdict.slot or "")}
        assert {p.terms.active for p in facts.publications} == {facts.other(verdict.slot or "")}


@often
@given(accounts_as_found())
def test_the_previous_key_keeps_its_promise(facts: Facts) -> None:
    """S2: within the overlap nothing is regenerated but what an operator declared compromised, or forced."""
    verdict = about(facts)

    if verdict.action in REGENERATING and verdict.reason not in ASKED_FOR:
        newest = max(p.secret.created for p in facts.publications)
        states = [p.terms.state for p in facts.publications]
        emergency = verdict.reason is Reason.RETIRE_DUE and any(s.trigger == "emergency" for s in states)
        never_given_out = any(s.retire_slot == facts.idle and s.retire_at is None for s in states)
        assert newest + facts.limits.overlap <= NOW or emergency or never_given_out


@often
@given(accounts_as_found())
def test_only_who_asked_gets_more_than_is_due(facts: Facts) -> None:
    """S2: "compromised" and "forced" are the verdicts of a request that said so, for a key that still works."""
    verdict = about(facts)

    if verdict.reason is Reason.FORCED:
        assert facts.request.force
    if verdict.reason is Reason.COMPROMISED:
        still_works = {(s.slot, s.fingerprint) for s in facts.request.suspects or ()} & set(facts.keys.items())
        assert still_works or (facts.request.compromised and verdict.action is Action.RETAG)


@often
@given(accounts_as_found())
def test_nothing_is_regenerated_in_doubt(facts: Facts) -> None:
    """S4: no doubt about any secret, any vault, or any right to touch the account goes together with a new key."""
    verdict = about(facts)
    doubtful = (
        bool(facts.unseen or facts.obstacles)
        or not facts.publications
        or not facts.limits.allow(facts.account)
        or any(p.terms.paused or not p.secret.enabled for p in facts.publications)
        or len({p.holds for p in facts.publications} | {p.terms.active for p in facts.publications}) > 1
    )

    if doubtful:
        assert verdict.action not in REGENERATING


@often
@given(accounts_as_found())
def test_only_members_change(facts: Facts) -> None:
    """S7: a verdict names secrets of the account, each once; it names some exactly if something is written."""
    verdict = about(facts)

    assert set(verdict.targets) <= {p.ref for p in facts.publications}
    assert max(Counter(verdict.targets).values(), default=1) == 1
    assert bool(verdict.targets) == (verdict.action in WRITING)


@often
@given(accounts_as_found())
def test_a_rotation_serves_every_secret(facts: Facts) -> None:
    """S1: a new key that did not go to all secrets would leave some behind."""
    verdict = about(facts)

    if verdict.action in {Action.ROTATE, Action.PUBLISH}:
        assert set(verdict.targets) == {p.ref for p in facts.publications}
        assert verdict.slot == facts.idle


@often
@given(accounts_as_found())
def test_what_is_published_is_a_live_key(facts: Facts) -> None:
    """S1: a value is only ever overwritten by the key of a slot that the service has."""
    verdict = about(facts)

    if verdict.action in {Action.REPUBLISH, Action.ALIGN}:
        assert verdict.slot in facts.slots
        assert verdict.slot == facts.active
        assert all(p.holds != verdict.slot for p in facts.publications if p.ref in verdict.targets)


@often
@given(accounts_as_found())
def test_a_value_that_works_is_not_overwritten_as_drift(facts: Facts) -> None:
    """S4: what the service accepts, or what is too young to tell, is nobody's drift."""
    verdict = about(facts)

    if verdict.action is Action.REPUBLISH:
        lost = [p for p in facts.publications if p.holds is None]
        assert not any(p.accepted for p in lost)
        assert all(p.accepted is False or NOW - p.secret.created >= policy.SETTLING for p in lost)


@often
@given(accounts_as_found())
def test_suspects_are_what_the_keys_are_now(facts: Facts) -> None:
    """Naming suspects twice gives the same, and names no key that the service does not have."""
    named = policy.with_suspects(facts)

    assert policy.with_suspects(replace(facts, request=named)) == named
    if not facts.request.suspects:
        assert {(s.slot, s.fingerprint) for s in named.suspects or ()} <= set(facts.keys.items())


@often
@given(accounts_as_found(), st.timedeltas(timedelta(0), timedelta(days=100)))
def test_resting_until_means_resting_until(facts: Facts, later: timedelta) -> None:
    """An account that was left until a time is not regenerated before it, if nothing else happens."""
    verdict = judge(facts, NOW)

    if verdict.action is Action.LEAVE and verdict.until is not None and NOW + later < verdict.until:
        assert judge(facts, NOW + later).action not in REGENERATING


@settings(max_examples=200, deadline=None)
@given(accounts_as_found())
def test_no_verdict_tells_a_value(facts: Facts) -> None:
    """S6: the sentence for a person is made of names and times."""
    verdict = judge(facts, NOW)

    for p in facts.publications:
        assert p.secret.value is None or p.secret.value.reveal() not in repr(verdict)
