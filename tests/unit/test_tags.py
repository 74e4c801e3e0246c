"""The tags of a publication, as people write them and as we do."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from rotation import tags
from rotation.model import Format, State, Terms, Trigger
from rotation.tags import TagError
from tests.unit.facts import ACCOUNT, DAY, NOW, VALIDITY

OURS = {"resource-id": str(ACCOUNT), "active-slot": "key1", "validity-days": "60"}
THEIRS = {"ProviderAddress": str(ACCOUNT), "CredentialId": "key1", "ValidityPeriodDays": "60"}
TERMS = Terms(ACCOUNT, "key1", VALIDITY)
STATE = State(
    rotated_at=NOW,
    id="INC-42",
    trigger=Trigger.EMERGENCY,
    retire_at=NOW,
    retire_slot="key1",
    retire_key="11aa11aa11aa",
    made_key="22bb22bb22bb",
    staged_slot="key2",
    staged_at=NOW,
    staged_grace=timedelta(minutes=15),
    also="INC-41:active",
)


@pytest.mark.parametrize("raw", [OURS, THEIRS, OURS | THEIRS, OURS | {"rotation-policy": " ; ", "rotation-state": ""}])
def test_three_tags_are_enough(raw: Mapping[str, str]) -> None:
    """Under our names, under Microsoft's, or under both."""
    assert tags.read(raw) == TERMS


def test_the_policy_says_more() -> None:
    """Order and blanks do not matter."""
    policy = "paused=true; rotate-before = P5D ;format=connection-string;;retire-after=P7D;"

    assert tags.read(OURS | {"rotation-policy": policy}) == Terms(
        ACCOUNT,
        "key1",
        VALIDITY,
        format=Format.CONNECTION_STRING,
        rotate_before=5 * DAY,
        retire_after=7 * DAY,
        paused=True,
    )


def test_the_policy_is_written_as_it_was_said() -> None:
    """In one tag, in one order, and without what goes without saying."""
    terms = Terms(
        ACCOUNT, "key1", VALIDITY, format=Format.JSON, rotate_before=5 * DAY, retire_after=7 * DAY, paused=True
    )

    assert tags.write(OURS, terms)["rotation-policy"] == ("format=json;rotate-before=P5D;retire-after=P7D;paused=true")


def test_the_state_stands_in_one_tag() -> None:
    """What a pass noted, in a form that a person can read."""
    written = tags.write(OURS, Terms(ACCOUNT, "key1", VALIDITY, state=STATE))

    assert written["rotation-state"] == (
        "rotated-at=2026-11-21T03:00:00.000Z;id=INC-42;also=INC-41:active;trigger=emergency;retire-at=2026-11-21T03:00:00Z;"
        "retire-slot=key1;retire-key=11aa11aa11aa;made-key=22bb22bb22bb;staged-slot=key2;staged-at=2026-11-21T03:00:00.000Z;staged-grace=PT15M"
    )
    assert tags.read(written).state == STATE


UNKNOWN_ACCOUNT = (
    "not the resource id of an account; it looks like "
    "/subscriptions/<id>/resourceGroups/<group>/providers/<namespace>/<type>/<name>, "
    "and the name has letters, digits and hyphens"
)
NO_SLOT = "it is not the name of a slot, such as key1 or Primary"
NO_DAYS = "it must be a number of days from 1 to 3650"
NO_POLICY = "it holds something else than format=…, paused=…, retire-after=…, rotate-before=…; take that out"
NO_FORMAT = "format: it must be one of key, connection-string, json"
NO_DURATION = "retire-after: 'soon' is not an ISO 8601 duration in weeks, days or shorter, such as P2D or PT15M"
NO_TIME = "it must be a time in UTC, such as 2026-11-21T03:00:00Z"
NO_ID = "id: a request id has 1 to 40 letters, digits or . _ : - and does not end in :active, :idle or :both"

BAD: dict[str, tuple[Mapping[str, str | None], str, str]] = {
    "no account": ({"resource-id": None}, "resource-id", "it is missing; give it the resource id of the account"),
    "an account that is none": ({"resource-id": "stgorders"}, "resource-id", UNKNOWN_ACCOUNT),
    "no slot": (
        {"active-slot": None},
        "active-slot",
        "it is missing; give it the name of either slot, a wrong one is corrected",
    ),
    "an empty slot": ({"active-slot": ""}, "active-slot", NO_SLOT),
    "a slot with more behind it": ({"active-slot": "key1;key2"}, "active-slot", NO_SLOT),
    "no validity": (
        {"validity-days": None},
        "validity-days",
        "it is missing; give it the days for which a new key is good",
    ),
    "a validity of nothing": ({"validity-days": "0"}, "validity-days", NO_DAYS),
    "a negative validity": ({"validity-days": "-1"}, "validity-days", NO_DAYS),
    "a validity of ten years and a day": ({"validity-days": "3651"}, "validity-days", NO_DAYS),
    "half a day": ({"validity-days": "0.5"}, "validity-days", NO_DAYS),
    "a validity in other digits": ({"validity-days": "٦٠"}, "validity-days", NO_DAYS),
    "a validity with a line break": ({"validity-days": "60\n"}, "validity-days", NO_DAYS),
    "two conventions that disagree": (
        {"CredentialId": "key2"},
        "active-slot",
        "it says key1 and CredentialId says key2; give both the same value, either will do: a wrong slot is corrected",
    ),
    "two accounts": (
        {"ProviderAddress": f"{ACCOUNT}2"},
        "resource-id",
        f"it says {ACCOUNT} and ProviderAddress says {ACCOUNT}2; give both the right value, or remove one",
    ),
    "a bad tag of the other convention": ({"ValidityPeriodDays": "x"}, "ValidityPeriodDays", NO_DAYS),
    "a policy that is none": ({"rotation-policy": "never"}, "rotation-policy", NO_POLICY),
    "a word that the policy does not have": ({"rotation-policy": "pause=true"}, "rotation-policy", NO_POLICY),
    "a word that belongs to the state": ({"rotation-policy": "id=x"}, "rotation-policy", NO_POLICY),
    "a policy that says a thing twice": (
        {"rotation-policy": "paused=true;paused=false"},
        "rotation-policy",
        "it holds paused twice",
    ),
    "a pause that is maybe": ({"rotation-policy": "paused=yes"}, "rotation-policy", "paused: it must be true or false"),
    "an unknown format": ({"rotation-policy": "format=xml"}, "rotation-policy", NO_FORMAT),
    "no lead": (
        {"rotation-policy": "rotate-before=PT0S"},
        "rotation-policy",
        "rotate-before: it must be longer than nothing",
    ),
    "a retirement in words": ({"rotation-policy": "retire-after=soon"}, "rotation-policy", NO_DURATION),
    "a state that somebody edited": ({"rotation-state": "retire-at=soon"}, "rotation-state", f"retire-at: {NO_TIME}"),
    "a key that is no fingerprint": (
        {"rotation-state": "retire-key=11AA11AA11AA"},
        "rotation-state",
        "retire-key: it is not the fingerprint of a key, which has 12 hex digits",
    ),
    "a local time": (
        {"rotation-state": "rotated-at=2026-11-21T03:00:00+01:00"},
        "rotation-state",
        f"rotated-at: {NO_TIME}",
    ),
    "a year before there was any vault": (
        {"rotation-state": "rotated-at=1999-12-31T23:59:59Z"},
        "rotation-state",
        "rotated-at: its year must be from 2000 to 2999",
    ),
    "a year near the end of the calendar": (
        {"rotation-state": "retire-at=3000-01-01T00:00:00Z"},
        "rotation-state",
        "retire-at: its year must be from 2000 to 2999",
    ),
    "a value with more behind it": ({"rotation-policy": "format=key=x"}, "rotation-policy", NO_FORMAT),
    "an id that is too long before its role": ({"rotation-state": f"id={'x' * 41}:idle"}, "rotation-state", NO_ID),
    "an id with a role that is none": ({"rotation-state": f"id={'x' * 39}:none"}, "rotation-state", NO_ID),
    "an id with a blank": ({"rotation-state": "id=INC 42"}, "rotation-state", NO_ID),
    "an unknown trigger": (
        {"rotation-state": "trigger=me"},
        "rotation-state",
        "trigger: it must be one of schedule, event, operator, emergency",
    ),
}


@pytest.mark.parametrize(("change", "tag", "complaint"), BAD.values(), ids=BAD.keys())
def test_an_unreadable_tag_is_named(change: Mapping[str, str | None], tag: str, complaint: str) -> None:
    """S4: nothing is guessed; the message says which tag, and what it should hold."""
    raw = {name: text for name, text in {**OURS, **change}.items() if text is not None}

    with pytest.raises(TagError) as refused:
        tags.read(raw)

    assert refused.value.tag == tag
    assert f"tag {tag}: {complaint}" == str(refused.value)


@pytest.mark.parametrize(("text", "days"), [("1", 1), ("3650", 3650), ("007", 7)])
def test_a_validity_lasts_from_a_day_to_ten_years(text: str, days: int) -> None:
    """Both ends are among what is taken."""
    assert tags.read(OURS | {"validity-days": text}).validity == days * DAY


@pytest.mark.parametrize("slot", ["Primary", "key1", "Z", "9", "abcdefghijkl"])
def test_a_slot_is_read_as_it_is_spelled(slot: str) -> None:
    """Each service has its own names for its slots."""
    assert tags.read(OURS | {"active-slot": slot}).active == slot


@pytest.mark.parametrize("text", ["2000-01-01T00:00:00Z", "2999-12-31T23:59:59Z"])
def test_a_time_of_these_thousand_years_is_read(text: str) -> None:
    """Both ends are among what is taken."""
    noted = tags.read(OURS | {"rotation-state": f"rotated-at={text}"}).state.rotated_at

    assert noted is not None
    assert tags.format_time(noted) == text


def test_what_was_done_within_one_second_has_an_order() -> None:
    """A pass may align and rotate within a second, and be cut short: what it did last has to be told from before."""
    first, then = (State(rotated_at=NOW + timedelta(milliseconds=n), staged_at=NOW) for n in (7, 8))

    for state in (first, then):
        assert tags.read(tags.write(OURS, Terms(ACCOUNT, "key1", VALIDITY, state=state))).state == state


def test_two_spellings_of_one_account_do_not_contradict() -> None:
    """ARM ids differ in case from tool to tool; each tag keeps its account, in the first one's spelling."""
    raw = OURS | {"ProviderAddress": str(ACCOUNT).upper()}

    assert tags.read(raw) == TERMS
    assert tags.write(raw, TERMS)["ProviderAddress"] == str(ACCOUNT)


def test_the_spelling_of_an_account_is_kept() -> None:
    """A tag that needs no change is not changed."""
    raw = OURS | {"resource-id": str(ACCOUNT).upper()}

    assert tags.write(raw, TERMS)["resource-id"] == str(ACCOUNT).upper()


def test_another_account_replaces_the_spelling() -> None:
    """What stands there is kept only if it says the same."""
    raw = OURS | {"resource-id": str(ACCOUNT).replace("stgorders", "stgbilling")}

    assert tags.write(raw, TERMS)["resource-id"] == str(ACCOUNT)


def test_a_secret_keeps_the_names_it_came_with() -> None:
    """S3: Microsoft's rotation functions find their own names again."""
    assert tags.write(THEIRS | {"owner": "team"}, TERMS) == THEIRS | {"owner": "team"}


def test_what_is_not_said_any_more_is_not_written() -> None:
    """An empty policy or state takes no tag, of which there are only fifteen."""
    raw = OURS | {"rotation-policy": "paused=true", "rotation-state": "id=INC-42"}

    assert tags.write(raw, TERMS) == OURS


@pytest.mark.parametrize(
    ("raw", "managed"),
    [
        (OURS, True),
        (THEIRS, True),
        ({"active-slot": "key1"}, True),
        ({"rotation-policy": ""}, True),
        ({"rotation-state": "?"}, True),
        ({"validity-days": "60"}, False),
        ({"CredentialId": "key1"}, False),
        ({}, False),
    ],
)
def test_a_secret_asks_for_rotation_by_any_name_that_is_ours_alone(raw: Mapping[str, str], managed: bool) -> None:  # noqa: FBT001  # a column of the table
    """A secret whose tags are half lost is complained about, not overlooked."""
    assert tags.managed(raw) is managed


@pytest.mark.parametrize(
    ("raw", "borrowed"),
    [
        ({"ProviderAddress": str(ACCOUNT)}, True),
        ({"ProviderAddress": str(ACCOUNT), "CredentialId": "key1", "ValidityPeriodDays": "60", "owner": "x"}, True),
        ({"ProviderAddress": str(ACCOUNT), "validity-days": "60"}, True),
        ({"ProviderAddress": str(ACCOUNT), "rotation-policy": "paused=true"}, False),
        ({"ProviderAddress": str(ACCOUNT), "resource-id": str(ACCOUNT)}, False),
        ({"CredentialId": "key1"}, False),
        ({}, False),
    ],
)
def test_tags_that_were_never_meant_for_us_are_known(raw: Mapping[str, str], borrowed: bool) -> None:  # noqa: FBT001
    """One tag of ours is enough to be meant."""
    assert tags.borrowed(raw) is borrowed


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ({str(n): "" for n in range(15)}, None),
        ({str(n): "" for n in range(16)}, "16 tags and Key Vault allows 15; remove 1"),
        ({"owner": "x" * 256}, None),
        ({"owner": "x" * 257}, "tag 'owner' would be longer than 256"),
        ({"x" * 256: ""}, None),
        ({"x" * 257: ""}, f"tag {'x' * 40!r} would be longer than 256"),
        ({"\x1b[2J\n" + "x" * 257: ""}, f"tag '\\x1b[2J\\n{'x' * 35}' would be longer than 256"),
    ],
)
def test_key_vaults_limits_are_known(written: Mapping[str, str], complaint: str | None) -> None:
    """S8: what Key Vault would refuse is refused before anything is regenerated."""
    found = tags.problem(written)

    assert found == complaint if complaint is None else complaint in (found or "")


def test_the_longest_note_fits() -> None:
    """S8: two marks of emergencies, and the end of a key in the slot with the longest name."""
    marks = [f"{number}{'x' * (tags.MAX_ID - 1)}:active" for number in range(2)]
    noted = State(NOW, marks[0], Trigger.EMERGENCY, NOW, "Secondary", "0" * 12, made_key="1" * 12, also=marks[1])

    assert tags.MAX_TAG_LENGTH == len(tags.write({}, replace(TERMS, state=noted))[tags.STATE])


@pytest.mark.parametrize("text", ["INC-42", "a", "A.b_c:d-9", "x" * 40])
def test_a_request_id_is_taken_as_it_is(text: str) -> None:
    """Ticket numbers and GUIDs will do."""
    assert tags.request_id(text) == text


@pytest.mark.parametrize("identity", ["INC-42", "INC:1", "x" * 40])
@pytest.mark.parametrize("role", ["", ":active", ":idle", ":both"])
def test_an_id_is_noted_with_its_role(identity: str, role: str) -> None:
    """An incident may name one key after another; an id of full length leaves room for that."""
    noted = State(id=f"{identity}{role}")

    assert tags.read(tags.write(OURS, Terms(ACCOUNT, "key1", VALIDITY, state=noted))).state == noted


@pytest.mark.parametrize("text", ["false", "true"])
def test_a_pause_can_be_said_and_denied(text: str) -> None:
    """`paused=false` is as good as nothing."""
    assert tags.read(OURS | {"rotation-policy": f"paused={text}"}).paused is (text == "true")


@pytest.mark.parametrize("text", ["", "x" * 41, "a b", "a;retire-at=2026-11-21T03:00:00Z", "a=b", "ä", "a\n", "\u212a"])
def test_a_request_id_cannot_say_more_than_that(text: str) -> None:
    """An id stands between other notes in a tag, so it must not be able to add one."""
    with pytest.raises(ValueError, match="1 to 40 letters, digits"):
        tags.request_id(text)


def test_times_are_written_in_utc() -> None:
    """A time of another zone is the same time."""
    assert tags.format_time(NOW.astimezone(timezone(timedelta(hours=-5)))) == "2026-11-21T03:00:00Z"
    assert tags.format_time(NOW.replace(year=1, microsecond=999_999)) == "0001-11-21T03:00:00Z"


def test_the_zone_of_the_machine_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time has its own zone."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "EAST-12")
        time.tzset()
        written = tags.format_time(NOW)
    time.tzset()

    assert written == "2026-11-21T03:00:00Z"
