"""A sweep that forgets what is fresh asks for every account that one which keeps everything would ask for."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from rotation import policy, tags
from rotation.model import AccountId, Action, Facts, Group, Reason, Request, Secret, SecretRef, State, Terms, Trigger
from rotation.observe import glance
from rotation.sieve import Sieve
from tests.properties.world import World
from tests.unit.facts import ACCOUNT, DAY, NOW, SLOTS, VALIDITY

TOOLS = World().tools()
OTHER_ACCOUNT = AccountId.parse(f"{ACCOUNT}2")
ages = st.integers(0, 70).map(lambda days: timedelta(days=days))
maybe_times = st.none() | st.integers(-30, 30).map(lambda days: NOW + timedelta(days=days))


@st.composite
def listings(draw: st.DrawFn) -> list[Secret]:
    """Secrets of two accounts as a vault lists them: of any age, in any order, some paused, disabled or staged."""
    return [draw(_secrets(SecretRef("kv-one", f"secret-{number}"))) for number in range(draw(st.integers(0, 6)))]


@st.composite
def _secrets(draw: st.DrawFn, ref: SecretRef) -> Secret:
    created = NOW - draw(ages)
    state = State(
        rotated_at=created,
        retire_at=draw(maybe_times),
        retire_slot=draw(st.none() | st.sampled_from(SLOTS)),
        staged_slot=draw(st.sampled_from((None, None, *SLOTS))),
    )
    terms = Terms(
        account=draw(st.sampled_from((ACCOUNT, OTHER_ACCOUNT))),
        active=draw(st.sampled_from(("key1", "key1", "key1", "key2", "key3"))),
        validity=VALIDITY,
        retire_after=draw(st.sampled_from((None, None, DAY, 10 * DAY))),
        paused=draw(st.sampled_from((False, False, False, True))),
        state=state,
    )
    enabled = draw(st.sampled_from((True, True, True, False)))
    return Secret(ref, created, enabled, created + VALIDITY, tags=tags.write({}, terms))


def glanced(group: Group) -> Facts:
    """What a listing tells of an account."""
    return glance(group, Request(), TOOLS)


def sifted(secrets: list[Secret]) -> tuple[Sieve, dict[AccountId, tuple[Secret, ...]]]:
    """The sieve after a listing, and what it would work on."""
    sieve = Sieve(glanced, lambda facts: policy.judge(facts, NOW))
    for secret in secrets:
        sieve.take(secret)
    return sieve, {group.account: group.secrets for group in sieve.groups()}


def grouped(secrets: list[Secret]) -> dict[AccountId, Group]:
    """All secrets by account."""
    accounts = {tags.read_account(secret.tags) for secret in secrets}
    return {a: Group(a, tuple(s for s in secrets if tags.read_account(s.tags) == a)) for a in accounts}


@given(listings())
def test_no_account_is_forgotten_that_has_something_to_do(secrets: list[Secret]) -> None:
    """Due, split, staged, to be retired or refused: judged by all of its secrets, so also by those that were kept."""
    _, asked = sifted(secrets)

    verdicts = {account: policy.judge(glanced(group), NOW) for account, group in grouped(secrets).items()}
    assert [] == [a for a, verdict in verdicts.items() if verdict.action is not Action.LEAVE and a not in asked]


@given(listings())
def test_what_is_asked_for_in_vain_is_only_held_back_by_a_younger_secret(secrets: list[Secret]) -> None:
    """Who works on it sees all secrets, and leaves it for the time that the youngest one's promise runs."""
    _, asked = sifted(secrets)

    groups = grouped(secrets)
    reasons = {policy.judge(glanced(groups[a]), NOW) for a in asked}
    assert {verdict.reason for verdict in reasons if verdict.action is Action.LEAVE} <= {Reason.OVERLAP, Reason.FRESH}


@given(listings())
def test_accounts_are_counted_once(secrets: list[Secret]) -> None:
    """However many secrets publish them."""
    sieve, _ = sifted(secrets)

    assert len(grouped(secrets)) == sieve.accounts


@given(listings())
def test_the_order_of_the_listing_does_not_matter(secrets: list[Secret]) -> None:
    """Which secret of a split is seen first decides which one is kept, and not whether the account is asked for."""
    assert sifted(secrets)[1].keys() == sifted(secrets[::-1])[1].keys()


def test_a_secret_whose_tag_and_note_contradict_each_other_is_kept() -> None:
    """Somebody has tagged it with the slot whose key leaked, and is to end: only a full look tells which is true."""
    leaked = State(trigger=Trigger.EMERGENCY, retire_at=NOW, retire_slot="key1")
    written = tags.write({}, Terms(ACCOUNT, "key1", VALIDITY, state=leaked))
    secret = Secret(SecretRef("kv-one", "secret-0"), NOW - 5 * DAY, tags=written)
    _, asked = sifted([secret])

    assert {ACCOUNT: (secret,)} == asked


def test_what_is_fresh_is_not_kept() -> None:
    """Ten thousand secrets that nothing is to be done about leave one number each behind."""
    terms = Terms(ACCOUNT, "key1", VALIDITY)
    created = NOW - 5 * DAY
    sieve = Sieve(glanced, lambda facts: policy.judge(facts, NOW))
    for number in range(10_000):
        account = AccountId.parse(f"{ACCOUNT}{number}")
        written = tags.write({}, Terms(account, terms.active, terms.validity))
        sieve.take(Secret(SecretRef("kv-one", f"secret-{number}"), created, tags=written))

    assert (10_000, 10_000, 0) == (sieve.accounts, len(sieve._held), len(sieve._kept))
