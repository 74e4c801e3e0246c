"""The simulator's command line."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from simulator import estate as estates
from simulator.azure import Azure
from simulator.certificates import Authority
from simulator.control import Control
from simulator.entra import Issuer
from simulator.environment import environment, write_environment
from simulator.estate import EstateError
from simulator.server import Server
from simulator.world import World

PROGRAM = "python -m simulator"
USAGE_ERROR = 2
INTERRUPTED = 130
HIGHEST_PORT = 65535

app = typer.Typer(
    help="Azure on one machine, at the wire.",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
EstateOption = Annotated[
    Path | None,
    typer.Option(
        "--estate", help="Estate file (JSON); a small one is made up without it.", dir_okay=False, exists=True
    ),
]
KeysOption = Annotated[
    Path | None,
    typer.Option(
        "--keys-file",
        envvar="SIMULATOR_KEYS_FILE",
        help="Where to add every key that there was when the simulator stops, to search what was said for them.",
    ),
]


@app.command()
def serve(
    estate: EstateOption = None,
    keys_file: KeysOption = None,
    env_file: Annotated[
        Path | None, typer.Option(help="Where to write the client's environment once the simulator is ready.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=HIGHEST_PORT, help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
) -> None:
    """Simulate until interrupted."""
    asyncio.run(_serve(_world(estate), env_file, keys_file, port))


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def run(
    command: Annotated[list[str], typer.Argument(help="The command and its arguments, after `--`.")],
    estate: EstateOption = None,
    keys_file: KeysOption = None,
) -> None:
    """Run a command against a simulator of its own, and exit with its code."""
    raise typer.Exit(asyncio.run(_run(_world(estate), keys_file, command)))


def main() -> int:
    """Run one command; returns the exit code, and says in one line what is wrong with the arguments."""
    try:
        code = app(sys.argv[1:] or ["--help"], prog_name=PROGRAM, standalone_mode=False)
    except TyperException as wrong:
        typer.echo(f"error: {wrong.format_message().rstrip('.')}; see `{PROGRAM} --help`", err=True)
        return USAGE_ERROR
    except typer.Abort:
        return INTERRUPTED
    return int(code or 0)


async def _serve(world: World, env_file: Path | None, keys_file: Path | None, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with _running(world, keys_file, port) as variables:
        if env_file:
            _write(env_file, variables)
        print(f"simulator ready at {variables['SIMULATOR_URL']}", flush=True)  # noqa: T201  # the ready line
        await stop.wait()


def _write(env_file: Path, variables: dict[str, str]) -> None:
    try:
        write_environment(env_file, variables)
    except OSError as error:
        raise TyperException(f"cannot write {env_file}: {error.strerror}") from error


def _add(file: Path, keys: list[str]) -> None:
    with file.open("a") as lines:
        lines.writelines(f"{key}\n" for key in keys)


async def _run(world: World, keys_file: Path | None, command: list[str]) -> int:
    async with _running(world, keys_file, 0) as variables:
        try:
            process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **variables})
        except OSError as error:
            typer.echo(f"cannot run {command[0]}: {error.strerror}", err=True)
            return 127
        loop = asyncio.get_running_loop()
        # The terminal sends the interrupt to the command too; what it does then decides how we end.
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        loop.add_signal_handler(signal.SIGTERM, process.terminate)
        code = await process.wait()
        return code if code >= 0 else 128 - code


@asynccontextmanager
async def _running(world: World, keys_file: Path | None, port: int) -> AsyncIterator[dict[str, str]]:
    """A listening simulator; yields the environment of its clients."""
    issuer, authority = Issuer(), Authority()
    azure = Azure(world, issuer)
    control = Control(azure)
    server = Server(azure, control, authority)
    with tempfile.TemporaryDirectory(prefix="simulator-") as folder:
        ca = Path(folder) / "ca.pem"
        authority.write(ca)
        try:
            taken = await server.start(port)
        except OSError as error:
            raise TyperException(f"cannot listen on port {port}: {os.strerror(error.errno or 0)}") from error
        try:
            yield environment(world, issuer, f"http://127.0.0.1:{taken}", ca)
        finally:
            await server.stop()
            await azure.close()
            if keys_file:
                _add(keys_file, control.keys())


def _world(path: Path | None) -> World:
    try:
        return estates.build(json.loads(path.read_text()) if path else estates.default_estate())
    except EstateError as bad:
        complaints = bad.complaints
    except ValueError as error:
        complaints = [f"not JSON: {error}"]
    for complaint in complaints:
        typer.echo(f"{path}: {complaint}", err=True)
    sys.exit(USAGE_ERROR)
