"""What is written can be read again, what is not ours stays as it was, and no text is too strange to be judged."""

import json
import re
from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rotation import tags
from rotation.durations import LONGEST, format_duration, parse_duration
from rotation.errors import BadInput
from rotation.events import read_event
from rotation.formats import recognise, rekey
from rotation.model import AccountId, Format, SecretRef, Sensitive, State, Terms
from tests.properties.strategies import (
    OURS,
    connection_strings,
    durations,
    foreign_tags,
    json_texts,
    json_values,
    keys,
    moments,
    near_tags,
    states,
    terms,
    values,
)

BARE = "rotation-policy", "rotation-state"


def renamed(written: Mapping[str, str], names: frozenset[str]) -> dict[str, str]:
    """Give some of our tags the names that Microsoft's rotation functions use."""
    return {tags.MICROSOFT[name] if name in names else name: text for name, text in written.items()}


@given(terms, foreign_tags, st.sets(st.sampled_from(sorted(tags.MICROSOFT))).map(frozenset))
def test_written_tags_are_read_as_they_were_meant(said: Terms, foreign: dict[str, str], other: frozenset[str]) -> None:
    """What one pass writes the next one reads, under either convention's names, mixed ones too."""
    written = renamed(tags.write(foreign, said), other)

    assert tags.read(written) == said
    assert tags.read(tags.write(written, said)) == said


@given(terms, terms, foreign_tags, st.sets(st.sampled_from(sorted(tags.MICROSOFT))).map(frozenset))
def test_other_tags_and_the_convention_survive(
    before: Terms, after: Terms, foreign: dict[str, str], other: frozenset[str]
) -> None:
    """S3: writing replaces our tags where they stand, and touches no other."""
    raw = renamed(tags.write(foreign, before), other)
    written = tags.write(raw, after)

    assert {name: text for name, text in written.items() if name not in OURS} == foreign
    assert set(written) - set(BARE) == set(raw) - set(BARE)
    assert tags.read(written) == after


@given(terms, foreign_tags)
def test_writing_twice_changes_nothing_more(said: Terms, foreign: dict[str, str]) -> None:
    """What we write is in its final form."""
    written = tags.write(foreign, said)

    assert tags.write(written, tags.read(written)) == written


@given(terms)
def test_both_conventions_at_once_agree(said: Terms) -> None:
    """A secret that carries a tag under both names has both replaced."""
    written = tags.write({}, said)
    doubled = written | renamed(written, frozenset(tags.MICROSOFT))

    assert tags.read(tags.write(doubled, said)) == said


@given(terms, states)
def test_our_own_tags_always_fit(said: Terms, state: State) -> None:
    """S8: no state that a pass may note is too long for Key Vault, so checking any one of them is enough."""
    assert len(tags.write({}, said).get(tags.POLICY, "")) <= tags.MAX_TAG_LENGTH
    assert len(tags._state(state)) <= tags.MAX_TAG_LENGTH


@given(near_tags)
@example({"resource-id": "", "ProviderAddress": "", "rotation-state": "rotated-at=0001-01-01T00:00:00Z"})
def test_unreadable_tags_say_which(raw: dict[str, str]) -> None:
    """S4: any tags are either read, or refused by the name of one of ours."""
    try:
        tags.read(raw)
        complaint = None
    except tags.TagError as error:
        complaint = error

    assert complaint is None or complaint.tag in OURS
    assert complaint is None or str(complaint).startswith(f"tag {complaint.tag}: ")


@given(near_tags)
def test_what_can_be_read_is_known_to_be_ours(raw: dict[str, str]) -> None:
    """No secret with readable tags is overlooked when secrets are listed."""
    try:
        tags.read_account(raw)
    except tags.TagError:
        return

    assert tags.managed(raw)


@given(durations)
def test_durations_survive(duration: object) -> None:
    """A duration that we write is the duration that we read."""
    assert parse_duration(format_duration(duration)) == duration  # type: ignore[arg-type]  # drawn as timedelta


@given(st.text(alphabet="PTWDHMS0123456789٣. -", max_size=16) | st.text(max_size=5))
@example("P9999W99999D")
def test_a_duration_is_read_or_refused(text: str) -> None:
    """Whatever is read can be written, and is then read as the same."""
    try:
        duration = parse_duration(text)
    except ValueError:
        return

    assert parse_duration(format_duration(duration)) == duration
    assert duration <= LONGEST


@given(moments)
def test_times_are_written_alike_in_every_year(moment: object) -> None:
    """A time in a tag always has the same form, which is the one that is read."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", tags.format_time(moment))  # type: ignore[arg-type]  # drawn as datetime


@given(values, keys)
def test_a_new_key_is_found_where_it_was_put(value: str, key: str) -> None:
    """Replacing keeps the format, and what is found afterwards is the new key."""
    before = recognise(Sensitive(value))
    after = recognise(rekey(Sensitive(value), Sensitive(key)))

    assert (after.format, after.key, after.owner) == (before.format, Sensitive(key), before.owner)


@given(values)
def test_a_key_put_in_its_own_place_changes_nothing(value: str) -> None:
    """S3: everything of a value but the key stays as it was, to the last character that carries meaning."""
    found = recognise(Sensitive(value))
    again = rekey(Sensitive(value), found.key).reveal()

    if found.format is Format.JSON:
        assert json.loads(again, parse_float=str, parse_constant=str) == json.loads(
            value, parse_float=str, parse_constant=str
        )
    else:
        assert again == value


@given(json_texts, keys)
def test_the_rest_of_a_json_value_stays(text: str, key: str) -> None:
    """Fields that a person added keep their text: order, spelling, spaces and every digit."""
    old = json.loads(text)["key"]
    rekeyed = rekey(Sensitive(text), Sensitive(key)).reveal()

    assert recognise(Sensitive(text)).format is Format.JSON
    assert rekeyed in {text[:at] + key + text[at + len(old) :] for at in range(len(text)) if text[at:].startswith(old)}


@given(connection_strings, keys)
def test_the_rest_of_a_connection_string_stays(text: str, key: str) -> None:
    """Every other field keeps its place and its text."""
    old = recognise(Sensitive(text)).key.reveal()

    assert recognise(Sensitive(text)).format is Format.CONNECTION_STRING
    assert rekey(Sensitive(text), Sensitive(key)).reveal() == text.replace(old, key)


events = st.dictionaries(
    st.sampled_from(["eventType", "type", "EventType ", "id", "data", "Data "]) | st.text(max_size=4),
    st.sampled_from(["Microsoft.KeyVault.SecretNearExpiry", "microsoft.keyvault.secretexpired", "other"])
    | json_values
    | st.dictionaries(
        st.sampled_from(["VaultName", "ObjectName", "ObjectName ", "Version", "version"]) | st.text(max_size=4),
        st.sampled_from(["kv-a", "one", " 0123456789abcdef0123456789abcdef"]) | json_values,
    ),
)


@given(events)
def test_an_event_is_read_ignored_or_refused(event: dict[str, object]) -> None:
    """Any event at all is ours, somebody else's, or bad input; nothing else ever happens."""
    try:
        read, complaint = read_event(event), ""
    except BadInput as error:
        read, complaint = None, str(error)

    assert complaint == "" or complaint.isprintable()
    assert read is None or SecretRef.parse(str(read.occasion.ref)) == read.occasion.ref
    assert read is None or read.occasion.version == read.occasion.version.strip().lower()


LOOKALIKES = "\u212a\u017f\u0131\u0130\u0430\uff41\u2215\u2044\uff0f\u200b\u202e\u0000\n\r\t\x1b\x7f\u0661"
"""Kelvin sign, long s, dotless and dotted i, Cyrillic a, wide letters and slashes, what is not seen, controls."""
harmful = st.sampled_from([*LOOKALIKES, "..", "/", "//", "%2f", "?", "#", "@", ":", "\\", "&", " "])


def inserted(text: str, harm: str, at: float) -> str:
    """Put something harmful somewhere into a text."""
    place = int(at * len(text))
    return text[:place] + harm + text[place:]


@given(harmful, st.floats(0, 1))
def test_a_secret_is_named_in_plain_letters(harm: str, at: float) -> None:
    """S7: whatever else stands in `VAULT/SECRET` is refused, so that no name leads out of its vault."""
    with pytest.raises(ValueError, match="is not VAULT/SECRET"):
        SecretRef.parse(inserted("kv-orders/storage-key", harm, at))


ID_START = "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/"
ID_END = "/providers/Microsoft.Storage/storageAccounts/stgorders"


@given(harmful, st.floats(0, 1), st.sampled_from(["before", "after"]))
@example("\u212a", 1.0, "after")
def test_an_account_is_named_in_plain_letters(harm: str, at: float, where: str) -> None:
    """S7: but for its resource group, which may have any letters, an account's id is plain ASCII without tricks."""
    start, end = (inserted(ID_START, harm, at), ID_END) if where == "before" else (ID_START, inserted(ID_END, harm, at))
    text = f"{start}rg{end}"
    try:
        AccountId.parse(text)
    except ValueError:
        return

    # What was put next to the resource group has become part of its name, where letters and dots are fine.
    assert text.startswith(ID_START)
    assert text.endswith(ID_END)
    assert harm.isalnum() or harm == ".."


@given(st.text(max_size=30))
def test_a_resource_group_leads_nowhere_else(group: str) -> None:
    """Any letters, but no slash, no control character, no dots that mean another place."""
    try:
        account = AccountId.parse(f"{ID_START}{group}{ID_END}")
    except ValueError:
        return

    assert account.resource_group == group
    assert group.isprintable()
    assert not set(group) & set("/\\?#%: @&")
    assert not group.endswith(".")
