"""Runs the command line in this process, and keeps an eye on what it says."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from rotation.cli import main
from simulator.client import ControlClient
from tests.heard import note

ESCAPE = "\x1b"


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output; anything beside it fails."""
        document = json.loads(self.out)
        assert document["exit_code"] == self.code
        return document

    @property
    def words(self) -> str:
        """Everything it said with single spaces, so that columns do not matter."""
        return re.sub(r"\s+", " ", f"{self.out} {self.err}")

    def row(self, start: str) -> str:
        """The line of standard output that begins with these words, with single spaces."""
        rows = [re.sub(r"\s+", " ", line).strip() for line in self.out.splitlines()]
        (row,) = (row for row in rows if row.startswith(start))
        return row


Command = Callable[..., Ran]
"""Takes the arguments of one command."""


def command(simulator: ControlClient, capsys: pytest.CaptureFixture[str]) -> Command:
    """A runner that checks after each command that no key was shown and no colour was used."""

    def run(*arguments: str) -> Ran:
        code = main(arguments)
        said = capsys.readouterr()
        note(said.out)
        note(said.err)
        shown = [number for number, key in enumerate(simulator.keys()) if key in said.out or key in said.err]
        assert shown == []
        assert ESCAPE not in said.out + said.err
        return Ran(code, said.out, said.err)

    return run
