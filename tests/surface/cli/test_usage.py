"""Wrong arguments and settings: exit code 2, every complaint, and one JSON document where one was asked for."""

import re
import secrets
import subprocess
import sys
from base64 import b64encode

import pytest
from typer.main import get_group

from rotation import cli
from rotation.cli import app
from rotation.commands import Desk, Ledger
from rotation.console import Answer
from rotation.settings import SETTINGS
from simulator.client import ControlClient
from tests.surface.cli.command import Command
from tests.surface.cli.estates import DUE, FRESH, PUBSUB_ID
from tests.surface.leaks import leaked

WRONG = {
    "no account is chosen": ("rotate",),
    "two ways to choose": ("rotate", "--due", "--all"),
    "secrets and all": ("rotate", DUE, "--all"),
    "not a reference": ("rotate", "orders-storage-key"),
    "not a reference to plan": ("plan", "kv-orders/orders/storage"),
    "not a reference to show": ("status", "kv_orders/x"),
    "no duration": ("rotate", DUE, "--compromised", "active", "--grace", "15m"),
    "no role": ("rotate", DUE, "--compromised", "primary"),
    "a grace without a compromise": ("rotate", DUE, "--grace", "PT15M"),
    "a grace for an idle key": ("rotate", DUE, "--compromised", "idle", "--grace", "PT15M"),
    "forced and compromised": ("rotate", DUE, "--compromised", "active", "--force"),
    "due and forced": ("rotate", "--due", "--force"),
    "due and compromised": ("rotate", "--due", "--compromised", "idle"),
    "an id that does not fit a tag": ("rotate", DUE, "--request-id", "change 17"),
    "no such option": ("plan", "--repair"),
    "no such command": ("rotat",),
    "a manifest that is not there": ("enroll", "--manifest", "nowhere.csv"),
    "a manifest and a secret": ("enroll", FRESH, "--manifest", "README.md"),
    "nothing to enroll": ("enroll",),
    "no account to enroll": ("enroll", FRESH),
    "no resource id": ("enroll", FRESH, "--resource-id", "stcontosoorders"),
    "no validity": ("enroll", FRESH, "--resource-id", PUBSUB_ID, "--validity-days", "0"),
    "no format": ("enroll", FRESH, "--resource-id", PUBSUB_ID, "--format", "yaml"),
    "no number": ("enroll", FRESH, "--resource-id", PUBSUB_ID, "--validity-days", "P90D"),
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_refused_before_anything_is_asked(
    command: Command, simulator: ControlClient, arguments: tuple[str, ...]
) -> None:
    """The complaint says where help is, nothing is on standard output, and Azure hears nothing of it."""
    simulator.clear_journal()

    told, asked = command(*arguments), command(*arguments, "--json")

    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("error: ")
    assert "Value error" not in told.err
    assert "--help" in told.err
    assert (asked.document["error"]["code"], asked.err) == ("usage", "")
    assert simulator.journal() == []


PASTED = {
    "as a command": ("{}",),
    "as a secret": ("rotate", "{}"),
    "behind a vault": ("plan", "kv-orders/{}"),
    "as an option": ("rotate", "--{}"),
    "as a value": ("rotate", DUE, "--compromised", "{}"),
    "behind a sign": ("rotate", DUE, "--compromised={}"),
    "as a flag's value": ("rotate", "--due={}"),
    "as a duration": ("rotate", DUE, "--compromised", "active", "--grace", "{}"),
    "as an id": ("rotate", DUE, "--request-id", "{}"),
    "as an account": ("enroll", FRESH, "--resource-id", "{}"),
    "as a format": ("enroll", FRESH, "--resource-id", PUBSUB_ID, "--format", "{}"),
    "as a number": ("enroll", FRESH, "--resource-id", PUBSUB_ID, "--validity-days", "{}"),
    "as a file": ("enroll", "--manifest", "{}"),
    "one too many": ("enroll", FRESH, "{}", "--resource-id", PUBSUB_ID),
}


@pytest.mark.parametrize("around", ["{}", "AccountName=storders;AccountKey={};EndpointSuffix=core.windows.net"])
@pytest.mark.parametrize("arguments", PASTED.values(), ids=PASTED)
def test_a_key_that_was_pasted_is_not_said_again(command: Command, arguments: tuple[str, ...], around: str) -> None:
    """S6: the complaint tells its place, and goes to the log of whatever runs the command."""
    key = b64encode(secrets.token_bytes(64)).decode()

    told = command(*(argument.format(around.format(key)) for argument in arguments))

    assert told.code == 2
    assert told.err.startswith("error: ")
    assert [] == leaked(told.out + told.err, [key])


@pytest.mark.parametrize(
    "name", [setting.name for setting in SETTINGS if setting.name.startswith(("ROTATION", "AZURE"))]
)
def test_a_key_in_a_setting_is_not_said_again(command: Command, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """S6: the complaint names the setting."""
    key = b64encode(secrets.token_bytes(64)).decode()
    monkeypatch.setenv(name, key)

    told = command("plan")

    assert (told.code, told.out) == (2, "")
    assert name in told.err
    assert [] == leaked(told.err, [key])


@pytest.mark.parametrize(
    ("arguments", "help_"),
    [
        (("rotate",), "python -m rotation rotate --help"),
        (("--json", "enroll"), "python -m rotation enroll --help"),
        (("rotat",), "python -m rotation --help"),
        (("--nothing",), "python -m rotation --help"),
    ],
)
def test_the_help_that_is_pointed_at_can_be_typed(command: Command, arguments: tuple[str, ...], help_: str) -> None:
    """It is that of the command that was meant, or of all where none was."""
    ran = command(*arguments)

    assert f"see `{help_}`" in ran.words
    assert 0 == command(*help_.split()[3:]).code


@pytest.mark.parametrize("name", sorted(get_group(app).commands))
def test_every_command_tells_all_that_is_wrong_with_the_settings(
    command: Command, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """One run is enough to learn of every setting that has to be changed."""
    monkeypatch.delenv("ROTATION_VAULTS")
    monkeypatch.setenv("ROTATION_OVERLAP", "two days")
    monkeypatch.setenv("ROTATION_CONCURRENCY", "0")
    arguments = {"rotate": ("--due",), "enroll": (FRESH, "--resource-id", PUBSUB_ID)}.get(name, ())

    told, asked = command(name, *arguments), command(name, *arguments, "--json")

    assert (told.code, told.out) == (2, "")
    for setting in ("ROTATION_VAULTS", "ROTATION_OVERLAP", "ROTATION_CONCURRENCY"):
        assert setting in told.err
        assert setting in asked.document["error"]["message"]
    assert asked.document["error"]["code"] == "bad-settings"


def test_without_arguments_help_is_shown(command: Command) -> None:
    """Who types nothing learns what there is."""
    ran = command()

    assert ran.code == 0
    assert ran.out.startswith("Usage: python -m rotation")


def test_without_its_packages_it_says_how_to_get_them() -> None:
    """The engine needs no command line, so its packages may be missing."""
    asked = subprocess.run([sys.executable, "-S", "-m", "rotation"], capture_output=True, text=True, check=False)

    assert asked.returncode == 2
    assert 'pip install ".[cli]"' in asked.stderr


def test_help_does_not_wait_for_azure() -> None:
    """The SDKs take seconds to import, and help needs none of them."""
    code = "import sys; from rotation.cli import main; main(['rotate', '--help']); print(sorted(sys.modules))"

    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # our own

    assert "Usage: python -m rotation rotate" in asked.stdout
    assert "'rotation.cli'" in asked.stdout
    assert "'azure" not in asked.stdout
    assert "'aiohttp'" not in asked.stdout


@pytest.mark.usefixtures("simulator")
def test_an_unforeseen_failure_says_where_and_not_what() -> None:
    """The text of an exception that nobody foresaw may hold anything, so only its kind and its place are told."""
    secret = secrets.token_urlsafe()

    async def broken(_: Desk) -> Answer:
        raise LookupError(secret)

    answer = cli._run(broken, Ledger(), as_json=False)

    assert answer.exit_code == 3
    assert re.search(r"unexpected LookupError in broken:\d+ < _at_desk:\d+", str(answer.parts))
    assert secret not in f"{answer.parts} {answer.document}"
