"""Stories that once ended badly, told in the steps of `machine` as they were found, and then shortened."""

from datetime import timedelta

import pytest

from tests.proof.orders.crew import Point
from tests.proof.orders.machine import SECRETS, EveryOrder
from tests.proof.picture import STATE


def test_s1_a_split_is_not_mended_by_a_key_that_is_not_accepted_yet(state: EveryOrder) -> None:
    """Somebody publishes a key that was made a minute ago; who reads the other secret is to keep the one that works."""
    state.begin(service="storage", neighbour=None, publications=1, fresh=True, probe="try")
    state.keys_travel(seconds=150)
    state.regenerated_in_the_portal(slot=1)
    state.enrolled(member=1, slot="idle")
    state.audit(worker=0)


def test_s1_who_is_enrolled_is_not_given_a_key_that_is_not_accepted_yet(state: EveryOrder) -> None:
    """Somebody has regenerated the published key a minute ago; a new secret is to be made from what is listed now."""
    state.begin(service="storage", neighbour=None, publications=1, fresh=True, probe="try")
    state.keys_travel(seconds=150)
    state.regenerated_in_the_portal(slot=0)
    state.enrolled_by_the_engine(holds=None, member=2, worker=0)


def test_s1_a_key_that_is_not_accepted_yet_is_not_adopted(state: EveryOrder) -> None:
    """Somebody has made a key a minute ago and put it into a secret, which is to be put under rotation."""
    state.begin(service="batch", neighbour=None, publications=1, fresh=False, probe="try")
    state.taken_away(member=0, what="deleted")
    state.keys_travel(seconds=150)
    state.regenerated_in_the_portal(slot=0)
    state.enrolled_by_the_engine(holds=0, member=0, worker=0)


def test_who_joins_does_not_end_an_emergency(state: EveryOrder) -> None:
    """A new key waits to be accepted, and only the note of it in the secret that was there tells of the leak."""
    state.begin(service="storage", neighbour=None, publications=1, fresh=True, probe="try")
    state.keys_travel(seconds=150)
    state.order(what="active", member=0, number=1, again=False)
    state.crew.queue.clear()
    state.clock.passes(timedelta(minutes=5))
    state.enrolled_by_the_engine(holds=None, member=2, worker=0)


def test_who_comes_too_late_takes_no_promise_back_for_somebody_else(state: EveryOrder) -> None:
    """Two people declare the same key compromised; the second finds it done, and the first one's order stands."""
    state.begin(service="batch", neighbour=None, publications=1, fresh=False, probe="required")
    at = Point("trying a key", 0, "before")
    state.workers_meet(at=at, lost=False, member=0, other="active", other_at=None, regenerated=None, what="active")


def test_who_corrects_a_tag_that_a_pass_is_about_to_correct_does_not_stop_it(state: EveryOrder) -> None:
    """A tag names the wrong slot; while a pass waits to write it once more somebody does that for it."""
    state.begin(service="webpubsub", neighbour=None, publications=1, fresh=True, probe="try")
    state.tags_edited(member=0, change="the other slot")
    state.edited_between_attempts(change="the other slot", member=0, what="force", when="before", writing="noting")


def test_who_takes_back_what_a_pass_has_just_corrected_is_corrected(state: EveryOrder) -> None:
    """A correction arrived but its answer did not; with the wrong tag again, all looks as if it had never arrived."""
    state.begin(service="webpubsub", neighbour=None, publications=1, fresh=True, probe="try")
    state.tags_edited(member=0, change="the other slot")
    state.edited_between_attempts(change="the other slot", member=0, what="look", when="after", writing="noting")


def test_an_edit_is_seen_by_the_write_that_is_tried_again_while_another_awaits_its_turn(state: EveryOrder) -> None:
    """The vault's quota was used up, so that of two notes one still waits to be sent when the other one fails."""
    state.begin(service="batch", neighbour=None, publications=2, fresh=True, probe="try")
    state.tags_edited(member=1, change="the other slot")
    state.accident_ahead(accident="throttled", doing="noting", skip=0, times=2, when="before")
    at_once = "both, at once"
    state.edited_between_attempts(change="the other slot", member=0, what=at_once, when="before", writing="noting")


def test_a_key_of_an_order_that_followed_an_emergency_keeps_its_promise(state: EveryOrder) -> None:
    """Both orders were cut short, so that one secret notes the end of a leaked key and another has its successor."""
    state.begin(service="batch", neighbour=None, publications=2, fresh=False, probe="try")
    state.sweep(worker=0)
    state.worker_dies(at=Point("publishing", 0, "before"), member=0, what="active")
    state.worker_dies(at=Point("publishing", 1, "before"), member=0, what="force")


@pytest.mark.parametrize("publications", [1, 2])
def test_a_wrong_tag_does_not_bring_a_leaked_key_back(state: EveryOrder, publications: int) -> None:
    """During a grace somebody tags a secret with the leaked key's slot, and ends the key that it holds."""
    state.begin(service="batch", neighbour=None, publications=publications, fresh=True, probe="try")
    state.order(what="active", member=0, number=1, again=False)
    state.tags_edited(member=publications - 1, change="the other slot")
    state.regenerated_in_the_portal(slot=1)
    state.sweep(worker=0)


def test_s2_the_idle_key_is_not_the_one_that_a_pass_is_just_making(state: EveryOrder) -> None:
    """The idle key is declared compromised while a pass has replaced it and has not published the new one yet."""
    state.begin(service="batch", neighbour=None, publications=1, fresh=False, probe="try")
    at, other_at = Point("regenerating", 0, "before"), Point("listing keys", 0, "before")
    state.workers_meet(at=at, lost=False, member=0, other="idle", other_at=other_at, regenerated=None, what="force")


def test_s2_the_note_of_a_leaked_key_says_nothing_of_its_successor(state: EveryOrder) -> None:
    """A forced order reached one of two secrets; somebody saves the other, with the note of what was there before."""
    state.begin(service="batch", neighbour=None, publications=2, fresh=True, probe="try")
    state.order(what="active", member=0, number=1, again=False)
    state.worker_dies(at=Point("publishing", 1, "before"), member=0, what="force")
    (noting,) = [n for n, ref in enumerate(SECRETS[:2]) if "retire-at" in state.judge.current[ref]["tags"][STATE]]
    state.saved_again(member=noting)
    state.audit(worker=0)
    state.time_passes(hours=0.3)
    state.audit(worker=0)


def test_a_leaked_key_is_not_taken_from_who_was_away(state: EveryOrder) -> None:
    """A secret is recovered during the grace, with the leaked key in it, and the key of the other one is ended."""
    state.begin(service="batch", neighbour=None, publications=2, fresh=True, probe="try")
    state.taken_away(member=1, what="deleted")
    state.order(what="active", member=0, number=1, again=False)
    declared = set(state.declared)
    state.enrolled(member=1, slot="published")
    state.regenerated_in_the_portal(slot=1)
    state.audit(worker=0)
    state.time_passes(hours=1)
    state.audit(worker=0)

    assert declared
    assert not declared & set(state.judge.live[state.account].values())


def test_a_leaked_key_ends_although_the_secret_that_was_named_is_deleted(state: EveryOrder) -> None:
    """An emergency meets another pass at work; before the queue brings it, somebody deletes the secret it names."""
    state.begin(service="batch", neighbour=None, publications=2, fresh=True, probe="try")
    leaked = state.judge.meant(state.account, "active")
    at = Point("describing", 0, "before")
    state.workers_meet(at=at, lost=False, member=0, other="active", other_at=None, regenerated=None, what="look")
    assert 1 == len(state.crew.queue)
    state.taken_away(member=0, what="deleted")
    state.declared |= leaked


def test_a_key_that_somebody_ends_while_a_secret_is_enrolled_with_it_is_theirs_to_mend(state: EveryOrder) -> None:
    """The secret was no publication yet when the key was regenerated in the portal."""
    state.begin(service="batch", neighbour=None, publications=1, fresh=False, probe="try")
    state.keys_travel(seconds=150)
    at = Point("publishing", 0, "before")
    state.workers_meet(at=at, lost=False, member=1, other="force", other_at=None, regenerated=0, what="enroll")


def test_an_emergency_is_over_when_its_key_is_to_end_for_an_earlier_one(state: EveryOrder) -> None:
    """Its note goes with the split that hid which key is which; who says it again does not mean the key after it."""
    state.begin(service="batch", neighbour=None, publications=2, fresh=True, probe="try")
    state.order(what="active", member=0, number=1, again=False)
    state.saved_meanwhile(member=0, what="both")
    state.regenerated_in_the_portal(slot=0)
    state.order(what="active", member=0, number=1, again=True)


def test_an_emergency_is_over_when_its_key_ends_for_an_earlier_one(state: EveryOrder) -> None:
    """The key that is meant was to be retired already; who says it again does not mean the key that came after it."""
    state.begin(service="batch", neighbour=None, publications=2, fresh=False, probe="try")
    state.audit(worker=0)
    state.saved_meanwhile(member=0, what="both, at once")
    state.regenerated_in_the_portal(slot=0)
    state.order(again=True, member=0, number=1, what="active")


@pytest.mark.parametrize("publications", [1, 2])
def test_a_leaked_key_ends_although_every_tag_names_it(state: EveryOrder, publications: int) -> None:
    """During its grace somebody tags all secrets with its slot, and only sweeps come by, which read no values."""
    state.begin(service="batch", neighbour=None, publications=publications, fresh=True, probe="try")
    leaked = state.judge.meant(state.account, "active")
    state.order(what="active", member=0, number=1, again=False)
    for member in range(publications):
        state.tags_edited(member=member, change="the other slot")
    state.time_passes(hours=1)
    state.sweep(worker=0)

    assert leaked
    assert not leaked & set(state.judge.live[state.account].values())


@pytest.mark.parametrize("what", ["force", "active"])
@pytest.mark.parametrize("publications", [1, 2])
def test_s2_who_is_given_the_key_that_waits_is_not_given_another_one(
    state: EveryOrder, publications: int, what: str
) -> None:
    """It was made for an emergency under another id; who asked for one and had this is answered when asking again."""
    state.begin(service="storage", neighbour=None, publications=publications, fresh=True, probe="try")
    state.keys_travel(seconds=150)
    state.order(what="active", member=0, number=1, again=False)
    state.time_passes(hours=0.1)
    state.order(what=what, member=0, number=2, again=True)


def test_s2_nor_is_who_repeats_what_failed_in_one_vault(state: EveryOrder) -> None:
    """The answer says to ask again with the same id; the leaked key has its whole grace, and no key is made."""
    state.begin(service="storage", neighbour=None, publications=3, fresh=True, probe="try")
    state.keys_travel(seconds=150)
    leak = {"compromised": "active", "grace": "PT6H", "request_id": "INC-1"}
    state.does(state.crew.order(SECRETS[0], leak))
    state.crew.queue.clear()
    state.time_passes(hours=0.1)
    before = dict(state.judge.live[state.account])
    refused = state.control.fault(status=503, times=9, method="PUT", path=f"^/secrets/{SECRETS[2][1]}")
    force = state.crew.order(SECRETS[0], {"force": True, "request_id": "INC-2"})

    _, failed = state.does(force)
    state.control.lift(refused)
    _, done = state.does(force)

    assert (503, 200) == (failed and failed.status, done and done.status)
    assert "ask again with request_id INC-2" in (failed.text if failed else "")
    assert before == state.judge.live[state.account]
