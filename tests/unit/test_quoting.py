"""What complaints repeat of what they are about, and what they do not."""

import base64
import os

import pytest

from rotation.quoting import HIDDEN, looks_secret, quoted, without_keys, without_secret_words
from tests.surface.leaks import leaked

KEY = "kEy0+/" * 14 + "kE=="
"""As long as a key of Storage or Batch, and of the same letters."""


@pytest.mark.parametrize("text", ["kv-orders", "orders-storage-key", "two words", "", "it's"])
def test_a_slip_is_repeated(text: str) -> None:
    """Who has mistyped something sees what was read."""
    assert repr(text) == quoted(text)
    assert f"no such thing: {text}!" == without_secret_words(f"no such thing: {text}!")


@pytest.mark.parametrize("text", [KEY, f"--key={KEY}", f"AccountName=a;AccountKey={KEY};x=y", f"?sig={KEY}&se=1"])
def test_what_looks_like_a_key_is_not(text: str) -> None:
    """Nor is what stands around it, of which nobody knows where the key begins."""
    told = without_secret_words(f"'{text}' is neither ({text}) nor {text}.")

    assert HIDDEN == quoted(text)
    assert [] == leaked(told, [KEY])
    assert f"'{HIDDEN}' is neither ({HIDDEN}) nor {HIDDEN}" == told


@pytest.mark.parametrize("size", [32, 64])
def test_what_an_url_has_made_of_a_key_is_one(size: int) -> None:
    """A + that is not encoded arrives as a space, wherever in a key it stands; and some write bytes as digits."""
    for _ in range(1_000):
        raw = os.urandom(size)
        made = base64.b64encode(raw).decode()
        for key in (made.replace("+", " "), made.replace("+", "%20"), f"kv-orders/{raw.hex()}{raw.hex()}"):
            told = without_secret_words(f"'{key}' is none of 'active', 'idle'; extra ({key}); No such option: --{key}")

            assert HIDDEN == quoted(key)
            assert f"'{HIDDEN}' is none of 'active', 'idle'; extra ({HIDDEN}); No such option: {HIDDEN}" == told


def test_a_key_may_be_made_of_words() -> None:
    """Between what was a + or a slash; the sign at its end tells that it is one."""
    assert HIDDEN == quoted("wordsLIKEthese MANY/ofThemIN7/whatSHOULDbeAkeyPLEASE=")
    assert HIDDEN != quoted("wordsLIKEthese MANY/ofThemIN7/whatSHOULDbeAkeyPLEASE=not")


@pytest.mark.parametrize(
    "text",
    [
        "/Users/alice/Key Rotation/Batch Accounts/orders-2026-West-Europe.csv",
        "kv-orders/OrdersKey1 kv-billing/BillingKey2 kv-payments/PaymentsKey3",
        "Connection String For Storage Accounts V2 Of The North Europe Team",
    ],
)
def test_words_are_no_key(text: str) -> None:
    """However many capitals they have."""
    assert repr(text) == quoted(text)
    assert f"'{text}' is none" == without_secret_words(f"'{text}' is none")


def test_a_long_text_is_cut_only_once_it_is_known_to_hold_no_key() -> None:
    """Half a key is still half a key."""
    assert repr("x y " * 5) == quoted("x y " * 20, most=20)
    assert HIDDEN == quoted(KEY, most=20)


RIGHT = (
    "action 'Microsoft.SignalRService/webPubSub/regenerateKey/action' over scope '/subscriptions/"
    "0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/RG-Orders-Prod-West-Europe-2/providers/Microsoft.Batch/"
    "batchAccounts/orders'"
)
LINK = "https://contoso.example/browse/OPS-1234/incident/8f3c0f53-6bb0-4e3f-92d5-9b1ab5df1ab2"
NAME = "kv-orders/orders-storage-account-primary-connection-string-2"


@pytest.mark.parametrize("text", [RIGHT, LINK, NAME], ids=["right", "link", "name"])
def test_a_long_name_is_no_key(text: str) -> None:
    """What Azure and people write in one word: rights, resource ids, links."""
    assert (False, text) == (looks_secret(text), without_keys(text, "…"))


@pytest.mark.parametrize(
    "part", [KEY[:60], KEY.rstrip("="), KEY.replace("/", "\\/"), KEY.replace("+", "\\u002B"), "eyJ0eXAiOiJK"]
)
def test_a_part_of_a_key_is_one(part: str) -> None:
    """However it was cut and escaped; what stands around it is kept."""
    assert "AccountKey=…; and so on" == without_keys(f"AccountKey={part}; and so on", "…")
