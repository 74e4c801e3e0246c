"""Help and docs/command-line.md say the same as the program, in both directions."""

import re
from pathlib import Path

import pytest
from typer.main import get_group

from rotation import cli
from rotation.errors import NeedsOperator, RotationError, Transient
from tests.surface.cli.command import Command

PAGE = (Path(cli.__file__).parent.parent / "docs/command-line.md").read_text()
COMMANDS = get_group(cli.app).commands
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}


def options(name: str) -> set[str]:
    """The long options and arguments of a command, as the program has them."""
    return {
        (parameter.metavar or "") if parameter.param_type_name == "argument" else parameter.opts[-1]
        for parameter in COMMANDS[name].params
    }


def test_every_command_is_documented_and_no_other() -> None:
    """The page has one section for each command, after the one about answers."""
    assert {"How it answers", *COMMANDS} == set(SECTIONS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_is_documented_and_no_other(name: str) -> None:
    """The table of a section has a row for each argument and option."""
    documented = set(re.findall(r"^\| `([^`]+)` \|", SECTIONS[name], re.MULTILINE))

    assert options(name) == documented


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_with_an_example(command: Command, name: str) -> None:
    """Each command and each option says what it does, and an example shows it."""
    ran = command(name, "--help")

    assert ran.code == 0
    assert COMMANDS[name].help
    assert re.search(rf"^  Examples?:\n    python -m rotation {name}\b", ran.out, re.MULTILINE)
    assert all(getattr(parameter, "help", None) for parameter in COMMANDS[name].params)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_page_shows_the_examples_of_the_help(command: Command, name: str) -> None:
    """Both show the same lines to type."""
    shown = re.findall(r"^\$ (python -m rotation .*)$", SECTIONS[name], re.MULTILINE)
    helped = re.findall(r"^    (python -m rotation .*)$", command(name, "--help").out, re.MULTILINE)

    assert shown
    assert helped == shown


def test_every_exit_code_is_documented_and_no_other() -> None:
    """The codes of the page are those of the errors, of success and of an interrupt; help has them too."""
    documented = {int(code) for code in re.findall(r"^\| `(\d+)` \|", SECTIONS["How it answers"], re.MULTILINE)}
    helped = {int(code) for code in re.findall(r"^ *(\d+)  \w", cli.app.info.epilog or "", re.MULTILINE)}

    codes = {kind.exit_code for kind in _kinds(RotationError)}
    assert {0, cli.INTERRUPTED, *codes} == documented == helped


def _kinds(kind: type[RotationError]) -> set[type[RotationError]]:
    below = {k for child in kind.__subclasses__() for k in _kinds(child)}
    return below | ({kind} if kind in (Transient, NeedsOperator) or hasattr(kind, "exit_code") else set())
