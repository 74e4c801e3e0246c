"""The tree of errors, as its own docstring draws it."""

import re
from collections.abc import Iterator

import pytest

from rotation import errors
from rotation.errors import NeedsOperator, RotationError, Throttled, Transient


def family(root: type[RotationError] = RotationError) -> Iterator[type[RotationError]]:
    """Walk an error and everything below it."""
    yield root
    for child in root.__subclasses__():
        yield from family(child)


OURS = [kind for kind in family() if kind.__module__ == errors.__name__]
NAMED = [kind for kind in OURS if kind is not RotationError]
LINE = re.compile(r"(?P<depth>(?:[│ ]   )*(?:[├└]── )?)(?P<name>[A-Z]\w+)(?: {2,}\S.*)?")


def drawn() -> dict[str, str | None]:
    """Read each error's parent from the drawing."""
    parents: dict[str, str | None] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines()[2:]:
        match = LINE.fullmatch(line)
        assert match, f"not a branch: {line!r}"
        del above[len(match["depth"]) // 4 :]
        parents[match["name"]] = above[-1] if above else None
        above.append(match["name"])
    return parents


def test_the_drawing_is_the_tree() -> None:
    """Every class stands in the drawing, below its parent, and nothing else does."""
    classes = {kind.__name__: kind.__bases__[0].__name__ for kind in NAMED}

    assert drawn() == {"RotationError": None} | classes


def test_every_code_is_unique() -> None:
    """A script that sees a code knows the error."""
    codes = [kind.code for kind in NAMED]

    assert len(set(codes)) == len(codes)
    assert [code for code in codes if not re.fullmatch(r"[a-z]+(-[a-z]+)*", code)] == []


def test_a_code_is_the_name_of_its_class() -> None:
    """Who meets a code in a log finds the class."""
    assert {kind.code: kind.__name__ for kind in NAMED} == {
        kind.code: "".join(word.capitalize() for word in kind.code.split("-")) for kind in NAMED
    }


@pytest.mark.parametrize("kind", NAMED, ids=lambda kind: kind.code)
def test_every_error_has_the_exit_code_of_its_branch(kind: type[RotationError]) -> None:
    """1 try again, 2 what was typed or set, 3 a person must act."""
    usage = {"bad-settings", "bad-input"}
    expected = 1 if issubclass(kind, Transient) else 2 if kind.code in usage else 3

    assert kind.exit_code == expected


@pytest.mark.parametrize("kind", NAMED, ids=lambda kind: kind.code)
def test_every_error_says_who_acts_next(kind: type[RotationError]) -> None:
    """Either waiting helps or a person does; never both."""
    assert issubclass(kind, Transient) != issubclass(kind, NeedsOperator)


@pytest.mark.parametrize("kind", NAMED, ids=lambda kind: kind.code)
def test_every_error_is_its_message(kind: type[RotationError]) -> None:
    """The text that was given is the text that is shown."""
    assert str(kind("kv-orders: make it readable")) == "kv-orders: make it readable"


def test_a_throttled_service_may_say_how_long() -> None:
    """Where it says nothing, nothing is made up."""
    assert Throttled("slow down", 7.0).retry_after == 7.0
    assert Throttled("slow down").retry_after is None
