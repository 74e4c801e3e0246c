"""The words as types: keys that do not show, names that are read strictly, and times that follow from others."""

import copy
import json
import logging
import pickle
import traceback
from dataclasses import FrozenInstanceError, replace
from datetime import timedelta

import pytest

from rotation.errors import RotationError
from rotation.formats import Recognised, recognise
from rotation.model import (
    AccountId,
    Format,
    Group,
    Limits,
    Request,
    Role,
    Secret,
    SecretRef,
    Sensitive,
    State,
    Terms,
)
from rotation.ports import Draft
from tests.unit.facts import ACCOUNT, AGE, DAY, KEY, NOW, VALIDITY, event, facts, publication, suspect

HIDDEN = "".join(chr(97 + (7 * n) % 26) for n in range(40))
"""Made at run time, and like no other text here."""

SECRET = Secret(KEY, NOW, value=Sensitive(HIDDEN), version="1")
HOLDERS = {
    "the wrapper": Sensitive(HIDDEN),
    "a list of keys": [Sensitive(HIDDEN)],
    "keys by slot": {"key1": Sensitive(HIDDEN)},
    "a secret": SECRET,
    "a draft": Draft(Sensitive(HIDDEN), {}, NOW),
    "a publication": publication(value=Sensitive(HIDDEN)),
    "facts": facts(publication(value=Sensitive(HIDDEN))),
    "a group": Group(ACCOUNT, (SECRET,)),
    "a recognised value": recognise(Sensitive(f"AccountName=a;AccountKey={HIDDEN}")),
    "a recognised object": Recognised(Format.JSON, Sensitive(HIDDEN)),
}
PLACES = (HIDDEN[:10], HIDDEN[10:20], HIDDEN[-10:])
"""A part of a key is as bad as all of it."""


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS.keys())
def test_no_text_made_from_a_holder_shows_the_key(holder: object) -> None:
    """S6: however a value that holds a key is turned into text, the key is not in it, and its fingerprint is."""
    texts = [repr(holder), str(holder), f"{holder}", f"{holder!r}", "%s %r" % (holder, holder), ascii(holder)]  # noqa: UP031  # as in logging

    assert [text for text in texts if any(place in text for place in PLACES)] == []
    assert all(Sensitive(HIDDEN).fingerprint in text for text in texts)


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS.keys())
def test_a_key_is_not_copied_out_of_the_process(holder: object) -> None:
    """S6: neither pickling nor JSON takes a key along."""
    with pytest.raises(TypeError) as pickled:
        pickle.dumps(holder)
    with pytest.raises(TypeError) as dumped:
        json.dumps(holder)

    assert not any(place in f"{pickled.value!r}{dumped.value!r}" for place in PLACES)


def test_a_key_is_not_copied_within_the_process_either() -> None:
    """A copy would be a second place to forget about."""
    with pytest.raises(TypeError, match="not pickled"):
        copy.copy(Sensitive(HIDDEN))
    with pytest.raises(TypeError, match="not pickled"):
        copy.deepcopy(SECRET)


def test_a_traceback_and_a_log_line_show_the_fingerprint(caplog: pytest.LogCaptureFixture) -> None:
    """S6: an error that was given a key, and a log line about it, name it without giving it away."""
    error = RotationError(f"refused {Sensitive(HIDDEN)}", SECRET)
    shown = "".join(traceback.format_exception(error)) + repr(error)
    logging.getLogger("test").warning("%s %r", SECRET, error, exc_info=error)

    assert not any(place in shown + caplog.text for place in PLACES)
    assert Sensitive(HIDDEN).fingerprint in shown
    assert Sensitive(HIDDEN).fingerprint in caplog.text


def test_a_format_of_its_own_is_not_understood() -> None:
    """A width or a precision would have to look at the text."""
    with pytest.raises(TypeError):
        f"{Sensitive(HIDDEN):>50}"


def test_a_key_has_no_other_way_out() -> None:
    """Nothing but `reveal` returns the text."""
    key = Sensitive(HIDDEN)

    assert key.reveal() == HIDDEN
    assert not hasattr(key, "__dict__")
    assert [
        name for name in ("__len__", "__iter__", "__getitem__", "__bytes__", "__contains__") if hasattr(key, name)
    ] == []


def test_a_fingerprint_is_known_elsewhere() -> None:
    """It is what `printf %s "$key" | sha256sum | cut -c1-12` prints."""
    assert Sensitive("abc").fingerprint == "ba7816bf8f01"


def test_keys_are_equal_by_their_text_and_to_nothing_else() -> None:
    """A key is not equal to a string, so that none is compared by accident."""
    assert Sensitive(HIDDEN) == Sensitive(HIDDEN)
    assert hash(Sensitive(HIDDEN)) == hash(Sensitive(HIDDEN))
    assert Sensitive(HIDDEN) != Sensitive(HIDDEN[:-1])
    assert Sensitive(HIDDEN) != HIDDEN
    assert Sensitive("ключ") == Sensitive("ключ")


def test_a_text_of_broken_unicode_is_hidden_too() -> None:
    """S6: a value that UTF-8 cannot hold has a fingerprint and no error that quotes it."""
    assert len(Sensitive(f"{HIDDEN}\ud800").fingerprint) == 12
    assert Sensitive(f"{HIDDEN}\ud800") != Sensitive(HIDDEN)


SUBSCRIPTION = "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590"
GOOD_IDS = {
    "storage": f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/stgorders",
    "batch": f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Batch/batchAccounts/orders",
    "web pubsub": f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.SignalRService/WebPubSub/wps-orders",
    "all in capitals": f"{SUBSCRIPTION.upper()}/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.BATCH/BATCHACCOUNTS/ORDERS",
    "a group with every sign": f"{SUBSCRIPTION}/resourceGroups/a_b.c-(d)é/providers/Microsoft.Batch/batchAccounts/o1",
}


@pytest.mark.parametrize("text", GOOD_IDS.values(), ids=GOOD_IDS.keys())
def test_an_account_id_is_read_and_written_alike(text: str) -> None:
    """The spelling that stands on a secret is kept but for the fixed words."""
    account = AccountId.parse(text)

    assert str(account).lower() == text.lower()
    assert account.name == text.rsplit("/", 1)[1]


def test_a_resource_group_may_have_one_character() -> None:
    """Azure's limits are 1 to 90 characters."""
    assert AccountId.parse(GOOD_IDS["batch"].replace("/rg/", "/r/")).resource_group == "r"


def test_an_account_is_the_same_in_any_case() -> None:
    """ARM does not distinguish case, so two spellings are one account, and one group."""
    one, other = AccountId.parse(GOOD_IDS["batch"]), AccountId.parse(GOOD_IDS["batch"].upper())

    assert one == other
    assert hash(one) == hash(other)
    assert len({one, other}) == 1


BAD_IDS = {
    "nothing": "",
    "a vault": f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/",
    "something inside an account": GOOD_IDS["storage"] + "/blobServices/default",
    "a slash at the end": GOOD_IDS["storage"] + "/",
    "a line break at the end": GOOD_IDS["storage"] + "\n",
    "a blank before": " " + GOOD_IDS["storage"],
    "no subscription": GOOD_IDS["storage"].removeprefix(SUBSCRIPTION),
    "a subscription that is no GUID": GOOD_IDS["storage"].replace("0b1f6471", "orders"),
    "a way up": GOOD_IDS["storage"].replace("/rg/", "/../"),
    "an encoded slash": GOOD_IDS["storage"].replace("/rg/", "/rg%2fx/"),
    "a query": GOOD_IDS["storage"] + "?api-version=1",
    "a URL": "https://management.azure.com" + GOOD_IDS["storage"],
    "a dot at the end of the group": GOOD_IDS["storage"].replace("/rg/", "/rg./"),
    "a name of 64 characters": GOOD_IDS["storage"].replace("stgorders", "s" * 64),
}


@pytest.mark.parametrize("text", BAD_IDS.values(), ids=BAD_IDS.keys())
def test_anything_else_is_no_account_id(text: str) -> None:
    """S4: what is nearly an id is refused, with one that would do."""
    with pytest.raises(ValueError, match="it looks like /subscriptions/<id>"):
        AccountId.parse(text)


def test_a_secret_is_named_without_case() -> None:
    """Key Vault does not distinguish case, so neither do we."""
    assert SecretRef.parse("KV-Orders/Storage-Key") == KEY
    assert str(KEY) == "kv-orders/storage-key"


@pytest.mark.parametrize(
    "text",
    [
        *("", "kv-orders", "kv-orders/", "/storage-key", "kv-orders/a/b", "kv/x", "kv-orders/a_b", "1kv-orders/a"),
        *("kv-orders/../x", "kv-orders/x?y", "kv-orders/x\n", "kv-orders.evil.example/x", "kv-orders-/x"),
        f"kv-orders/{'x' * 128}",
    ],
)
def test_anything_else_names_no_secret(text: str) -> None:
    """S7: a name that could lead to another host or path is refused."""
    with pytest.raises(ValueError, match="is not VAULT/SECRET"):
        SecretRef.parse(text)


def test_a_key_is_due_a_third_of_its_validity_before_it_expires() -> None:
    """What the tags do not say follows from the validity."""
    p = publication(validity=90 * DAY)

    assert p.expires == NOW - AGE + 90 * DAY
    assert p.due == NOW - AGE + 60 * DAY


def test_a_lead_of_ones_own_replaces_the_third() -> None:
    """`rotate-before` counts back from the expiry that stands on the secret."""
    p = publication(lead=DAY, expires=NOW + 5 * DAY)

    assert p.due == NOW + 4 * DAY


def test_a_version_is_as_old_as_our_note_says_or_as_the_vault_does() -> None:
    """Key Vault's own time stands in where nothing is noted."""
    assert publication().rotated_at == NOW - AGE
    assert publication(state=State(rotated_at=NOW)).rotated_at == NOW


def test_taking_back_a_staged_key_keeps_the_rest() -> None:
    """Only the three notes about the staged key go."""
    state = State(rotated_at=NOW, id="INC-42", retire_at=NOW)
    staged = replace(state, staged_slot="key2", staged_at=NOW, staged_grace=timedelta(0))

    assert staged.unstaged() == state


def test_a_settled_request_asks_for_nothing_more_but_keeps_its_suspects() -> None:
    """After the step that was asked for, the pass goes on as an ordinary one, until the suspects are gone."""
    asked = replace(
        event(), id="INC-42", force=True, compromised=Role.BOTH, suspects=(suspect("key1", published=True),)
    )

    assert asked.settled() == Request(trigger=asked.trigger, suspects=asked.suspects)


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ((), True),
        ((str(ACCOUNT),), True),
        ((str(ACCOUNT).upper() + "/",), True),
        ((str(ACCOUNT).rsplit("/providers", 1)[0],), True),
        (("/subscriptions/other", str(ACCOUNT)), True),
        (("/subscriptions/other",), False),
        ((str(ACCOUNT)[:-1],), False),
        ((str(ACCOUNT) + "2",), False),
    ],
)
def test_an_account_is_allowed_by_itself_or_by_what_it_lies_in(scopes: tuple[str, ...], allowed: bool) -> None:  # noqa: FBT001  # a column of the table
    """S7: a scope is a whole path, so that no account is allowed for a name that begins alike."""
    assert Limits(accounts=scopes).allow(ACCOUNT) is allowed


def test_what_was_observed_cannot_be_changed() -> None:
    """Rules judge what was read, not what somebody made of it meanwhile."""
    with pytest.raises(FrozenInstanceError):
        publication().holds = "key2"  # type: ignore[misc]  # the mistake that is tried
    with pytest.raises(FrozenInstanceError):
        facts().request = Request()  # type: ignore[misc]  # the same


def test_the_published_slot_is_that_of_the_healthy_secret() -> None:
    """A value that is no key says nothing about which slot is in use."""
    given = facts(publication(holds=None, tagged="key1", age=DAY), publication(SecretRef("kv-b", "x"), "key2"))

    assert given.active == "key2"
    assert given.idle == "key1"
    assert [p.holds for p in given.healthy] == ["key2"]


def test_the_terms_have_defaults_for_what_is_optional() -> None:
    """Three tags are enough."""
    terms = Terms(ACCOUNT, "key1", VALIDITY)

    assert (terms.format, terms.paused, terms.retire_after, terms.lead) == (Format.KEY, False, None, VALIDITY / 3)
