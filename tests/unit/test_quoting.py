"""What complaints repeat of what they are about, and what they do not."""

import pytest

from rotation.quoting import HIDDEN, quoted, without_keys
from tests.surface.leaks import leaked

KEY = "kEy0+/" * 14 + "kE=="
"""As long as a key of Storage or Batch, and of the same letters."""


@pytest.mark.parametrize("text", ["kv-orders", "orders-storage-key", "two words", "", "it's"])
def test_a_slip_is_repeated(text: str) -> None:
    """Who has mistyped something sees what was read."""
    assert repr(text) == quoted(text)
    assert f"no such thing: {text}!" == without_keys(f"no such thing: {text}!")


@pytest.mark.parametrize("text", [KEY, f"--key={KEY}", f"AccountName=a;AccountKey={KEY};x=y", f"?sig={KEY}&se=1"])
def test_what_looks_like_a_key_is_not(text: str) -> None:
    """Nor is what stands around it, of which nobody knows where the key begins."""
    told = without_keys(f"'{text}' is neither ({text}) nor {text}.")

    assert HIDDEN == quoted(text)
    assert [] == leaked(told, [KEY])
    assert f"'{HIDDEN}' is neither ({HIDDEN}) nor {HIDDEN}" == told


def test_a_long_text_is_cut_only_once_it_is_known_to_hold_no_key() -> None:
    """Half a key is still half a key."""
    assert repr("x y " * 5) == quoted("x y " * 20, most=20)
    assert HIDDEN == quoted(KEY, most=20)
