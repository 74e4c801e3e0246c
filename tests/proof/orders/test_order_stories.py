"""Stories that once ended badly, told in the steps of `machine` as they were found, and then shortened."""

from tests.proof.orders.machine import EveryOrder


def test_s1_a_split_is_not_mended_by_a_key_that_is_not_accepted_yet(state: EveryOrder) -> None:
    """Somebody publishes a key that was made a minute ago; who reads the other secret is to keep the one that works."""
    state.begin(service="storage", neighbour=None, publications=1, fresh=True, probe="try")
    state.keys_travel(seconds=150)
    state.regenerated_in_the_portal(slot=1)
    state.enrolled(member=1, slot="idle")
    state.audit(worker=0)
