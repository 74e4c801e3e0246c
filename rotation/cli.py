"""The operator's command line: arguments in, one command, its answer out."""

import asyncio
import logging
import os
import sys
import traceback
import uuid
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

import typer
from typer.exceptions import TyperException
from typer.main import get_group

from rotation import commands, tags
from rotation.commands import Desk, Ledger
from rotation.console import Answer, Voice, failure
from rotation.doctor import examine
from rotation.durations import parse_duration
from rotation.errors import RotationError, Unexpected
from rotation.model import AccountId, Format, Request, Role, SecretRef, Trigger
from rotation.quoting import without_secret_words
from rotation.settings import Settings
from rotation.views import changes, failures

PROGRAM = "python -m rotation"
INTERRUPTED = 130

S = TypeVar("S")
T = TypeVar("T")


def _verbatim(*lines: str) -> str:
    """Lines that help shows as they are; the sign in front keeps them from being joined and wrapped."""
    return "\n".join(("\b", *lines))


def _examples(*lines: str) -> str:
    return _verbatim("Example:" if len(lines) == 1 else "Examples:", *(f"  {PROGRAM} {line}" for line in lines))


app = typer.Typer(
    name=PROGRAM,
    help="Keep the access keys of Azure Batch, Storage and Web PubSub accounts young.\n\n"
    "The settings come from the environment, above all ROTATION_VAULTS; `doctor` checks them.",
    epilog=_verbatim(
        "Exit codes:",
        "  0  fine",
        "  1  waiting helps: the same command later, or the next sweep, goes on",
        "  2  the arguments or the settings are wrong",
        "  3  a person must act; the answer says how",
        "130  interrupted; the answer says what is not finished",
    )
    + "\n\n"
    + _examples("doctor", "status", "rotate kv-orders/orders-storage-key --dry-run"),
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    # Plain text wherever it goes, and no stack trace that shows what variables hold, such as keys.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Refs: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="VAULT/SECRET", help="Secrets whose accounts are meant; every account without any."),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Answer with one JSON document on standard output.")]


@app.command(epilog=_examples("plan kv-orders/orders-storage-key"))
def plan(refs: Refs = None, as_json: AsJson = False) -> Answer:  # noqa: FBT002  # an option is a flag
    """Say what a pass would do; change nothing.

    Each account gets a full look: its properties, both keys, every secret that publishes it.
    """
    chosen = _refs(refs)
    return _run(lambda desk: commands.plan(desk, chosen), Ledger(changing=False), as_json=as_json)


@app.command(epilog=_examples("status"))
def status(refs: Refs = None, as_json: AsJson = False) -> Answer:  # noqa: FBT002  # an option is a flag
    """Say how each account stands.

    The tags tell the active slot, the age of its key, its expiry and what is due; no value is read.
    `audit` takes a full look.
    """
    chosen = _refs(refs)
    return _run(lambda desk: commands.status(desk, chosen), Ledger(changing=False), as_json=as_json)


@app.command(
    epilog=_examples(
        "rotate kv-orders/orders-storage-key",
        "rotate --due",
        "rotate kv-orders/orders-storage-key --compromised active --grace PT1H --request-id incident-7",
    )
)
def rotate(  # noqa: PLR0913  # what an operator may ask for
    refs: Annotated[
        list[str] | None, typer.Argument(metavar="VAULT/SECRET", help="Secrets whose accounts are to be rotated.")
    ] = None,
    *,
    due: Annotated[
        bool, typer.Option("--due", help="Take every account that has something to do by its tags.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Take every account, for a full look at each.")] = False,
    compromised: Annotated[
        Role | None,
        typer.Option(help="Replace the key that applications use (active), the other (idle) or both, overlap or not."),
    ] = None,
    grace: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="How long a compromised active key lives on, such as PT15M or PT0S; ROTATION_GRACE otherwise.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Rotate now, even if a key that is still promised stops working.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")] = False,
    request_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Give an earlier id again to repeat a request without doing it twice."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before --force or --compromised on more than one account.")
    ] = False,
    as_json: AsJson = False,
) -> Answer:
    """Make and publish new keys where they are due.

    What disagrees between a vault and an account is mended first.
    An account is left alone while its previous key is promised to applications.
    The answer says until when the previous key works.
    """
    chosen = _refs(refs)
    _check_selection(chosen, due=due, every=every)
    _check_urgency(compromised, grace, force=force, due=due)
    lifetime = None if grace is None else _parsed("--grace", parse_duration, grace)
    asked = str(uuid.uuid4()) if request_id is None else _parsed("--request-id", tags.request_id, request_id)

    request = Request(Trigger.OPERATOR, asked, compromised=compromised, force=force)
    selection = commands.Selection(refs=chosen, due=due, every=every)
    return _run(
        lambda desk: commands.rotate(desk, selection, request, lifetime, dry_run=dry_run, yes=yes),
        Ledger(request, changing=not dry_run),
        as_json=as_json,
    )


@app.command(epilog=_examples("audit --repair"))
def audit(
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended without regenerating a key.")
    ] = False,
    as_json: AsJson = False,
) -> Answer:
    """Look for what vaults and accounts disagree on.

    Finds keys that were regenerated elsewhere, secrets of one account on different slots, wrong tags,
    new keys that wait to be published, and whatever keeps rotation from going on.
    """
    return _run(lambda desk: commands.audit(desk, repair=repair), Ledger(changing=repair), as_json=as_json)


@app.command(
    epilog=_examples(
        "enroll kv-orders/orders-storage-key \\\n"
        "    --resource-id /subscriptions/…/resourceGroups/orders/providers/Microsoft.Storage/storageAccounts/storders",
        "enroll --manifest secrets.csv --dry-run",
    )
)
def enroll(  # noqa: PLR0913  # what identifies an enrolment, and its options
    ref: Annotated[
        str | None, typer.Argument(metavar="VAULT/SECRET", help="The secret; it is created if it does not exist.")
    ] = None,
    *,
    resource_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Resource id of the account: /subscriptions/…/providers/…")
    ] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="What the value looks like; as it is, or the bare key.")
    ] = None,
    validity_days: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=tags.MAX_VALIDITY_DAYS,
            help=f"Days from a publication to its expiry, 1 to {tags.MAX_VALIDITY_DAYS}; "
            "as the account's other secrets have it, or 90.",
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            readable=True,
            help="CSV file with many secrets: secret,resource-id,format,validity-days",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written; change nothing.")] = False,
    as_json: AsJson = False,
) -> Answer:
    """Put secrets under rotation, without regenerating a key.

    A secret that holds one of the account's keys is adopted; one that does not exist is created.
    """
    ledger = Ledger(changing=not dry_run)
    if manifest is not None:
        if ref or resource_id or form or validity_days:
            raise TyperException("--manifest says it all; leave out VAULT/SECRET and the other options")
        content = _parsed("--manifest", _content, manifest)
        return _run(lambda desk: commands.enroll_all(desk, content, dry_run=dry_run), ledger, as_json=as_json)
    if ref is None or resource_id is None:
        raise TyperException("name a secret as VAULT/SECRET and its account with --resource-id, or give a --manifest")
    (chosen,) = _refs([ref])
    account = _parsed("--resource-id", AccountId.parse, resource_id.removesuffix("/"))
    validity = None if validity_days is None else timedelta(days=validity_days)

    return _run(
        lambda desk: commands.enroll(desk, chosen, account, form, validity, dry_run=dry_run), ledger, as_json=as_json
    )


@app.command(epilog=_examples("doctor"))
def doctor(*, as_json: AsJson = False) -> Answer:
    """Check settings, sign-in and rights; change nothing.

    What cannot be seen is marked ?, what is wrong ✗ with what to do about it.
    """
    return _run(lambda desk: examine(desk.world), Ledger(changing=False), as_json=as_json)


def main(arguments: Sequence[str] | None = None, *, ready: Callable[[], None] = lambda: None) -> int:
    """Run one command and say what came of it; returns the exit code.

    `ready` is called once an interrupt can be answered, and may raise one.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    voice = Voice(as_json="--json" in arguments)
    try:
        ready()
        answer = app(arguments, prog_name=PROGRAM, standalone_mode=False)
        if answer == INTERRUPTED:
            # Typer answers for itself while it reads the arguments.
            answer = _interrupted(Ledger())
    except TyperException as wrong:
        # Typer passes on how its parser of enums begins, and quotes whatever was typed.
        complaint = without_secret_words(wrong.format_message().replace("Value error, ", ""))
        answer = failure("usage", f"{complaint}\nsee `{_help(arguments)}`", 2)
    except (KeyboardInterrupt, typer.Abort):
        answer = _interrupted(Ledger())
    except OSError as lost:
        # A command answers whatever ends it; help is written by Typer.
        voice.complain_of_loss(lost)
        return 0
    except SystemExit:
        # So does its parser end where nobody reads the help any more.
        return 0
    # What asked for help has been answered already.
    if isinstance(answer, Answer):
        voice.answer(answer)
        return answer.exit_code
    return int(answer or 0)


def _help(arguments: Sequence[str]) -> str:
    """The command that explains the one that was meant, or all of them where none was named."""
    named = next((word for word in arguments if word in get_group(app).commands), None)
    return " ".join(filter(None, (PROGRAM, named, "--help")))


def _run(command: Callable[[Desk], Awaitable[Answer]], ledger: Ledger, *, as_json: bool) -> Answer:
    """Run a command with everything it works with, and turn whatever ends it early into an answer."""
    _quiet_libraries()
    try:
        return asyncio.run(_at_desk(command, Voice(as_json=as_json), ledger))
    except RotationError as error:
        return failure(error.code, str(error), error.exit_code)
    except KeyboardInterrupt:
        return _interrupted(ledger)
    except Exception as defect:  # noqa: BLE001  # its text may hold anything, a key included
        places = " < ".join(f"{f.name}:{f.lineno}" for f in reversed(traceback.extract_tb(defect.__traceback__)[-4:]))
        return failure(Unexpected.code, f"unexpected {type(defect).__name__} in {places}; please report it", 3)


async def _at_desk(command: Callable[[Desk], Awaitable[Answer]], voice: Voice, ledger: Ledger) -> Answer:
    from rotation.wiring import engine  # noqa: PLC0415  # `--help` does not wait for the Azure SDKs

    settings = Settings.from_environment(os.environ)
    async with engine(settings) as world:
        return await command(Desk(world, voice, ledger))


def _interrupted(ledger: Ledger) -> Answer:
    answer = failure("interrupted", f"interrupted; {_left_by(ledger)}", INTERRUPTED)
    facts: dict[str, object] = {} if ledger.request is None else {"request_id": ledger.request.id}
    facts |= {"accounts": [outcome.to_json() for outcome in ledger.outcomes], "unfinished": [*ledger.unfinished]}
    return replace(
        answer,
        document={**answer.document, **facts},
        parts=[changes(ledger.outcomes), *failures(ledger.outcomes), *answer.parts],
    )


def _left_by(ledger: Ledger) -> str:
    """What an interrupt leaves behind, and how to go on."""
    if not ledger.changing:
        return "nothing was changed"
    compromised = ledger.request is not None and ledger.request.compromised
    look_first = (
        "; do so only while `python -m rotation plan` tells the fingerprint of the leaked key, "
        "and with the role that stands beside it"
    )
    if not ledger.begun:
        return "nothing was begun: repeat the command" + (look_first if compromised else "")
    failed = sum(outcome.exit_code != 0 for outcome in ledger.outcomes)
    if not ledger.unfinished and not failed:
        return "nothing was left unfinished"
    again = "run the command again: it goes on from what it finds"
    if ledger.request is not None and ledger.request.insists:
        again = (
            f"repeat the command with --request-id {ledger.request.id}: "
            "without it a key made just now is replaced again"
        )
        if compromised:
            again += look_first
        again += "; the keys that it was to end may have ended already, also one that is promised for longer"
    told = [f"{len(ledger.outcomes) - failed} done"]
    if failed:
        told.append(f"{failed} failed")
    if ledger.unfinished:
        told.append(f"{len(ledger.unfinished)} not finished: {', '.join(ledger.unfinished.values())}")
        again += "; where leases are on blobs the account is busy for up to a minute"
    return f"{', '.join(told)}; {again}"


def _refs(texts: Sequence[str] | None) -> Collection[SecretRef]:
    return [_parsed("VAULT/SECRET", SecretRef.parse, text) for text in texts or ()]


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as failure:
        raise ValueError(f"the file cannot be read: {failure.strerror}") from failure


def _parsed(name: str, parse: Callable[[S], T], text: S) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=name) from error


def _check_selection(refs: Collection[SecretRef], *, due: bool, every: bool) -> None:
    if bool(refs) + due + every != 1:
        raise TyperException("choose one: secrets as VAULT/SECRET, --due or --all")


def _check_urgency(compromised: Role | None, grace: str | None, *, force: bool, due: bool) -> None:
    if compromised and force:
        raise TyperException("--compromised does not wait for the overlap anyway; leave out --force")
    if due and (compromised or force):
        raise TyperException("--due takes what is due as it is; name secrets, or --all, for more")
    if grace is not None and compromised not in (Role.ACTIVE, Role.BOTH):
        raise TyperException("--grace goes with --compromised active or both; an idle key has no grace")


def _quiet_libraries() -> None:
    """What goes wrong is part of the answer; the SDKs' warnings about it would only repeat it in other words."""
    logging.getLogger("azure").setLevel(logging.CRITICAL)
