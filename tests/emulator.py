"""The storage emulator Azurite in a process of its own, for tests and for `make serve`."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

PROGRAM = Path(__file__).parent.parent / "node_modules/azurite/dist/src/azurite.js"
FLAGS = ("--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck")
PATIENCE = 30.0


def installed() -> bool:
    """Whether `make setup` found Node.js."""
    return shutil.which("node") is not None and PROGRAM.exists()


@contextmanager
def azurite(log: Path | None = None) -> Iterator[str]:
    """Start an empty emulator; the connection string of its account. Every request is a line of `log`."""
    key = b64encode(secrets.token_bytes(64)).decode()
    blob, queue, table = (_free_port() for _ in range(3))
    ports = ("--blobPort", str(blob), "--queuePort", str(queue), "--tablePort", str(table))
    with (
        (log or Path(os.devnull)).open("w") as output,
        subprocess.Popen(  # noqa: S603  our own command
            [shutil.which("node") or "node", PROGRAM, *FLAGS, *ports],
            env={**os.environ, "AZURITE_ACCOUNTS": f"stlocal:{key}"},
            stdout=output,
            process_group=0,  # who interrupts a terminal still needs it while what is under way ends
        ) as process,
    ):
        try:
            for port in (blob, queue):
                _wait_for(port)
            yield (
                f"DefaultEndpointsProtocol=http;AccountName=stlocal;AccountKey={key};"
                f"BlobEndpoint=http://127.0.0.1:{blob}/stlocal;QueueEndpoint=http://127.0.0.1:{queue}/stlocal"
            )
        finally:
            process.terminate()


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
