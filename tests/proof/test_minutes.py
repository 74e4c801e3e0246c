"""A soak says so when it is asked to try nothing."""

import sys

import pytest

from tests.proof.minutes import asked_minutes


@pytest.mark.parametrize("arguments", [[], ["0"], ["-1"], ["nan"], ["inf"], ["an hour"], ["1", "2"]], ids=" ".join)
def test_a_soak_that_would_try_nothing_is_refused(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what is wrong, and not with a stack trace."""
    monkeypatch.setattr(sys, "argv", ["soak", *arguments])
    with pytest.raises(SystemExit) as refused:
        asked_minutes()

    assert 2 == refused.value.code
    assert "usage: soak [-h] [--share SHARE] minutes" in capsys.readouterr().err


def test_minutes_may_be_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make soak` divides them."""
    monkeypatch.setattr(sys, "argv", ["soak", "1", "--share", "0.5"])
    assert 0.5 == asked_minutes()
