"""No key that ever existed is in anything that was printed, logged, raised, answered or written to a file."""

import json
import re
import secrets
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from simulator.client import ControlClient
from simulator.running import simulator as running_simulator
from tests.surface.cli.test_output import Terminal
from tests.surface.leaks import ENOUGH, leaked

ROOT = Path(__file__).parents[2]
MARK = secrets.token_hex(16)
"""Stands for a key in what is said through every channel; a real one would fail the search."""

LENGTHS = (44, 88)
"""Those of the keys of Web PubSub, and of the others."""

Printed = Callable[[], str]
Keys = Callable[[], list[str]]
FORMS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "its beginning": lambda key: f"{key[:ENOUGH]}…",
    "its end": lambda key: f"…{key[-ENOUGH:]}",
    "JSON": json.dumps,
    "JSON with escaped slashes": lambda key: key.replace("/", "\\/"),
    "an address": quote,
    "a query": lambda key: quote(key, ""),
    "a form": quote_plus,
    "an address with small letters": lambda key: re.sub("%..", lambda code: code[0].lower(), quote(key, "")),
    "an address in an address": lambda key: quote(quote(key, ""), ""),
    "a connection string": lambda key: f"AccountName=a;AccountKey={key};EndpointSuffix=core.windows.net",
    "base64": lambda key: b64encode(key.encode()).decode(),
    "base64 behind a letter": lambda key: b64encode(f"x{key}".encode()).decode(),
    "base64 behind two letters": lambda key: b64encode(f"xx{key}xx".encode()).decode(),
    "base64 of a connection string": lambda key: b64encode(f"Endpoint=https://w/;AccessKey={key};".encode()).decode(),
    "base64 for addresses": lambda key: urlsafe_b64encode(f"?{key}".encode()).decode(),
    "the alphabet of addresses": lambda key: key.replace("+", "-").replace("/", "_"),
    "hex": lambda key: key.encode().hex(),
    "bytes": lambda key: repr(key.encode()),
}


def test_nothing_that_the_tests_said_holds_a_key(keys: Keys, printed: Printed) -> None:
    """S6: everything that can be searched, against every key that any simulator ever made."""
    known, said = keys(), printed()
    print(f"searched {len(said):,} characters for {len(known):,} keys")  # noqa: T201  for whoever runs it with -s

    assert known
    assert [] == leaked(said, known)


def test_the_keys_of_other_simulators_are_known(keys: Keys) -> None:
    """Those of an estate before, too; a test or a program may have started it, and it has stopped."""
    before = len(keys())
    with running_simulator() as another:
        first = set(another.control.keys())
        another.control.reset()
        second = set(another.control.keys())
    program = [sys.executable, "-m", "simulator", "run", "--", "true"]
    subprocess.run(program, cwd=ROOT, check=True)  # noqa: S603  our own program

    assert first < second
    assert second <= set(keys())
    assert len(keys()) > before + len(second)


def some(simulator: ControlClient, length: int) -> list[str]:
    """A few keys of a length; to look for each of thousands in a text of its own takes minutes."""
    known: list[str] = simulator.keys()
    keys = [key for key in known if len(key) == length]
    assert keys
    return keys[:4]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_search_finds_a_key_in_every_form(simulator: ControlClient, form: Callable[[str], str]) -> None:
    """A search that finds nothing must be able to find something, of keys of every length."""
    keys = [key for length in LENGTHS for key in some(simulator, length)]

    assert [[n] for n in range(len(keys))] == [leaked(f"before {form(key)} after", keys) for key in keys]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_search_finds_a_key_among_other_characters(simulator: ControlClient, form: Callable[[str], str]) -> None:
    """It need not stand by itself."""
    keys = some(simulator, 88)

    assert [1] == leaked(f"https://host/path={form(keys[1])}&x=1", keys)


def test_the_search_does_not_take_other_things_for_keys(simulator: ControlClient) -> None:
    """Fingerprints and parts that are too short are no leaks."""
    keys = simulator.keys()
    fingerprints = [slot["fingerprint"] for account in simulator.accounts() for slot in account["slots"].values()]

    assert [] == leaked(" ".join((*fingerprints, *(key[: ENOUGH - 1] for key in keys))), keys)


@pytest.mark.usefixtures("printed")
def test_something_is_printed() -> None:
    """What the next test looks for in the report of this one."""
    print(f"printed {MARK}")  # noqa: T201  what it is for
    sys.stderr.write(f"complained {MARK}\n")


def test_what_a_test_prints_is_searched(printed: Printed) -> None:
    """On either stream."""
    assert {f"printed {MARK}", f"complained {MARK}"} <= set(printed().splitlines())


def test_what_a_test_expects_to_be_raised_is_searched(printed: Printed) -> None:
    """With what caused it, and what is noted on it."""
    raised = KeyError()
    raised.answer = f"noted {MARK}"  # type: ignore[attr-defined]  # as the SDKs do
    with pytest.raises(KeyError):
        raise raised from ValueError(f"caused {MARK}")

    assert f"caused {MARK}" in printed()
    assert f"noted {MARK}" in printed()


def test_what_a_program_says_is_searched(printed: Printed, tmp_path: Path) -> None:
    """However the test reads it, and also from a terminal and from a file."""

    def program(how: str) -> list[str]:
        return [
            sys.executable,
            "-c",
            f"import sys; print('{how}', '{MARK}'); print('{how} err', '{MARK}', file=sys.stderr)",
        ]

    subprocess.run(program("run"), capture_output=True, check=True)  # noqa: S603  our own program
    with subprocess.Popen(program("read"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:  # noqa: S603  the same
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.read()
    with subprocess.Popen(program("lines"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as lines:  # noqa: S603  the same
        assert lines.stdout is not None
        assert lines.stderr is not None
        _ = [*lines.stdout, *lines.stderr.readlines()]
    terminal = Terminal(80, "rotate", f"terminal-{MARK}")
    terminal.end()
    (tmp_path / "file").write_text(f"file {MARK}")

    said = printed()
    heard = [how for how in ("run", "read", "lines") if f"{how} {MARK}" in said and f"{how} err {MARK}" in said]
    assert ["run", "read", "lines"] == heard
    assert f"terminal-{MARK}" in said
    assert f"file {MARK}" in said
