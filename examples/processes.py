"""The processes that the demo starts: applications that read along, and the operator's command line."""

import os
import pty
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Self

PATIENCE_SECONDS = 30.0
COLUMNS, LINES = 120, 40
"""The size of a terminal where there is none."""


class Surprise(Exception):  # noqa: N818  # it is no error of the program
    """Something that the demo relies on did not happen; the message says what."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What an application said at its end."""

    requests: int
    failures: int
    repeated: int

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read `storage: 7 requests, 0 failures, 0 repeated`."""
        numbers = re.fullmatch(r"\w+: (\d+) requests, (\d+) failures, (\d+) repeated", line)
        if not numbers:
            raise Surprise(f"an application ended with {line!r}")
        return cls(*map(int, numbers.groups()))


class Application:
    """A consumer in a process of its own."""

    def __init__(self, service: str, secret: str, max_age: float) -> None:
        self.service = service
        self.secret = secret
        command = [sys.executable, "-m", f"examples.{service}_consumer", secret, "--max-age", str(max_age)]
        # In a group of its own, Ctrl-C does not reach it: the demo ends it.
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0)  # noqa: S603  # ours
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        with self._process.stdout or nullcontext(()) as lines:
            for line in lines:
                self._lines.put(line.strip())

    def next_key(self) -> str:
        """Wait until it says that it uses another key; the key's fingerprint."""
        return self._next_line().rpartition(" ")[2]

    def stop(self) -> Tally:
        """Let it finish its last request, and hear how it went."""
        self._process.send_signal(signal.SIGINT)
        return Tally.parse(self._next_line())

    def end(self) -> None:
        """Make sure that it is gone."""
        self._process.kill()
        self._process.wait()
        self._listener.join()

    def _next_line(self) -> str:
        try:
            return self._lines.get(timeout=PATIENCE_SECONDS)
        except queue.Empty:
            raise Surprise(f"the {self.service} application said nothing for {PATIENCE_SECONDS:.0f} s") from None


@contextmanager
def applications(*told: tuple[str, str, float]) -> Iterator[list[Application]]:
    """Start one application per service, secret and seconds between two looks at it; all are gone afterwards."""
    with ExitStack() as stack:
        started = []
        for service, secret, max_age in told:
            started.append(Application(service, secret, max_age))
            stack.callback(started[-1].end)
        yield started


def rotation(*arguments: str) -> str:
    """Run the operator's command line as if on a terminal; what it answers."""
    width = str(shutil.get_terminal_size((COLUMNS, LINES)).columns)
    # A terminal that knows no colours, unless ours does: what is read from a log has no use for them.
    kind = os.environ.get("TERM", "dumb") if sys.stdout.isatty() else "dumb"
    environment = {**os.environ, "TERM": kind, "COLUMNS": width, "LINES": str(LINES)}
    ours, its = pty.openpty()
    with subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-m", "rotation", *arguments], stdout=its, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        os.close(its)
        answer = b"".join(_chunks(ours)).decode().replace("\r\n", "\n")
        os.close(ours)
        _, complaint = process.communicate()
    if process.returncode:
        raise Surprise(f"{' '.join(arguments)} ended with {process.returncode}: {answer}{complaint}")
    return "\n".join(line.rstrip() for line in answer.splitlines())


def _chunks(terminal: int) -> Iterator[bytes]:
    # Linux reports the end of a terminal as an error.
    with suppress(OSError):
        while chunk := os.read(terminal, 4096):
            yield chunk
