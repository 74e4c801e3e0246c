"""What the command line says to pipes, terminals and people in a hurry; the real program, in its own process."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from simulator.client import ControlClient
from tests.heard import note
from tests.surface.cli.estates import BATCH, FRESH, PUBSUB, PUBSUB_ID, STORAGE

ROTATION = (sys.executable, "-m", "rotation")
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PATIENCE = 60.0

pytestmark = pytest.mark.usefixtures("simulator")


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the program with its streams in pipes."""
    return subprocess.run(  # noqa: S603  # our own program
        [*ROTATION, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
    )


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, columns: int, *arguments: str, **variables: str) -> None:
        self._here, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", **variables}
        for name in ("COLUMNS", "LINES"):
            environment.pop(name, None)
        self._process = subprocess.Popen(  # noqa: S603  # our own program
            [*ROTATION, *arguments],
            stdin=there,
            stdout=there,
            stderr=there,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # nothing else runs yet
        )
        os.close(there)
        self.raw = ""

    def until(self, words: str) -> None:
        """Read until these words appear."""
        self._read(lambda: words in self.raw)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._here, text.encode())

    def end(self, again: str = "") -> int:
        """Read to the end, and press these keys until it is there; returns the exit code."""
        self._read(lambda: False, again)
        note(self.raw)
        os.close(self._here)
        return self._process.wait(PATIENCE)

    @property
    def lines(self) -> list[str]:
        """What was shown, without colours and movements."""
        return re.split(r"[\r\n]+", ESCAPES.sub("", self.raw))

    def _read(self, enough: Callable[[], bool], again: str = "") -> None:
        ends, pressed = time.monotonic() + PATIENCE, time.monotonic()
        while not enough():
            assert time.monotonic() < ends, self.raw
            if again and time.monotonic() > pressed + 1:
                pressed = time.monotonic()
                self.type(again)
            if select.select([self._here], [], [], 0.1)[0]:
                try:
                    self.raw += os.read(self._here, 65536).decode()
                except OSError:
                    return


@contextmanager
def held(simulator: ControlClient, path: str) -> Iterator[str]:
    """Hold requests to a path until the end; yields the id of the fault."""
    fault = simulator.fault(path=path, stall=True)
    try:
        yield fault
    finally:
        simulator.lift(fault)


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1", "GITHUB_ACTIONS": "true", "PY_COLORS": "1"}])
@pytest.mark.parametrize("arguments", [("status",), ("rotate", "--due"), ("--help",), ("rotate",)])
def test_a_pipe_gets_no_colours(arguments: tuple[str, ...], variables: dict[str, str]) -> None:
    """What is no terminal gets plain text, whatever the surroundings would like."""
    ran = run(*arguments, **variables)

    assert ran.stdout + ran.stderr
    assert "\x1b" not in ran.stdout + ran.stderr


def test_a_pipe_gets_one_line_for_each_account() -> None:
    """Nothing is wrapped or cut, so that grep and awk find whole names."""
    ran = run("plan", COLUMNS="40")

    (line,) = (line for line in ran.stdout.splitlines() if line.startswith(STORAGE))
    assert "kv-billing/orders-storage-key, kv-orders/orders-storage-connection, kv-orders/orders-storage-key" in line
    assert "and was due" in line
    assert line == line.rstrip()


def test_a_wide_terminal_gets_a_table() -> None:
    """Names stand below each other, the sentence is wrapped, and words that matter have a colour."""
    terminal = Terminal(120, "rotate", "kv-orders/orders-storage-key", "--dry-run")

    assert terminal.end() == 0
    (head,) = (line for line in terminal.lines if line.startswith("Account"))
    assert head.split() == ["Account", "Secrets", "Would", "Why"]
    assert max(len(line) for line in terminal.lines) <= 120
    assert "kv-orders/orders-storage-connection" in "\n".join(terminal.lines)
    assert "\x1b[" in terminal.raw


def test_a_narrow_terminal_gets_records() -> None:
    """Where the table does not fit, each account is a block of lines with its names whole."""
    terminal = Terminal(50, "status")

    assert terminal.end() == 0
    assert f"Account  {STORAGE}" in terminal.lines
    assert "         kv-orders/orders-storage-connection" in terminal.lines
    assert max(len(line) for line in terminal.lines) <= 50


def test_no_color_is_respected() -> None:
    """A person who wants no colours gets none on a terminal either."""
    terminal = Terminal(120, "plan", NO_COLOR="1")

    assert terminal.end() == 0
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", terminal.raw)


def test_a_fleet_shows_its_progress() -> None:
    """On a terminal a bar counts the accounts, and it goes to standard error, out of the way of JSON."""
    terminal = Terminal(100, "rotate", "--all")
    assert terminal.end() == 0
    assert "rotating" in terminal.raw
    assert "3/3" in terminal.raw


def test_a_document_is_all_there_is_on_standard_output() -> None:
    """Scripts read standard output to its end and find one document, also where the command fails."""
    good, bad = run("rotate", "--due", "--json"), run("rotate", "kv-orders/nobody", "--json")

    assert (json.loads(good.stdout)["exit_code"], good.returncode, good.stderr) == (0, 0, "")
    assert (json.loads(bad.stdout)["exit_code"], bad.returncode, bad.stderr) == (3, 3, "")


def test_a_stream_that_knows_no_signs_gets_words(simulator: ControlClient) -> None:
    """Where the encoding lacks our signs, words say what is fine and what is wrong."""
    simulator.change_account(STORAGE, locked=True)

    ran = run("doctor", PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    marks = {line.split()[0] for line in ran.stdout.splitlines()[1:-1]}
    assert ran.returncode == 3
    assert marks == {"ok", "FAILED", "?"}


@pytest.mark.parametrize(
    "arguments", [("plan", "--json"), ("status",), ("--help",), ("rotate", "--help")], ids=" ".join
)
def test_a_reader_that_leaves_early_is_no_failure(arguments: tuple[str, ...]) -> None:
    """`| head -1` ends quietly, with the exit code of the work."""
    process = subprocess.Popen(  # noqa: S603  # our own program
        [*ROTATION, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()

    assert process.wait(PATIENCE) == 0
    with process.stderr as complaints:
        assert complaints.read() == b""


def redirected(redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a shell does that sends its streams elsewhere."""
    script = f'exec "$@" {redirection}'
    return subprocess.run(  # noqa: S603  # our own program
        ["/bin/sh", "-c", script, "sh", *ROTATION, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["table", "document"])
def test_an_answer_that_nobody_can_write_does_not_hide_what_was_done(
    simulator: ControlClient, form: tuple[str, ...]
) -> None:
    """A full disk is told on standard error; the exit code stays that of the work, which was done."""
    ran = redirected(">/dev/full", "rotate", FRESH, "--compromised", "idle", *form)

    lost = "error: the answer could not be written to standard output: No space left on device"
    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (0, lost)
    assert "Traceback" not in ran.stderr
    assert sum(slot["regenerated"] for slot in simulator.account(PUBSUB)["slots"].values()) == 1


@pytest.mark.parametrize("command", ["status", "plan", "doctor"])
def test_a_table_that_nobody_can_write_is_no_defect_where_nothing_is_buffered(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in most containers, each write fails at once."""
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    ran = redirected(">/dev/full", command)

    lost = "error: the answer could not be written to standard output: No space left on device\n"
    assert (ran.returncode, ran.stderr) == (0, lost)


def test_help_that_nobody_can_write_is_no_defect() -> None:
    """It ends as every answer does that does not arrive."""
    ran = redirected(">/dev/full", "--help")

    lost = "error: the answer could not be written to standard output: No space left on device\n"
    assert (ran.returncode, ran.stderr) == (0, lost)


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "2>/dev/full", ">&- 2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("code", "arguments"),
    [(0, ("status", "--json")), (0, ("rotate", FRESH, "--force")), (3, ("plan", "kv-orders/nobody")), (2, ("rotate",))],
    ids=["status", "rotate", "refused", "usage"],
)
def test_a_closed_stream_is_the_null_device(redirection: str, code: int, arguments: tuple[str, ...]) -> None:
    """Who wants to hear nothing still gets the exit code of the work."""
    ran = redirected(redirection, *arguments)

    assert ran.returncode == code
    assert "Traceback" not in ran.stdout + ran.stderr


def test_an_interrupt_says_what_is_not_finished(simulator: ControlClient) -> None:
    """Ctrl-C ends within moments, names the accounts without an outcome, and the next pass goes on from there."""
    with held(simulator, "regenerateKeys?$") as fault:
        terminal = Terminal(200, "rotate", "--due")
        assert simulator.hits(fault, wait=PATIENCE) > 0
        pressed = time.monotonic()
        terminal.type("\x03")
        code = terminal.end()

    assert code == 130
    assert time.monotonic() - pressed < 5
    (told,) = (line for line in terminal.lines if line.startswith("error: interrupted"))
    assert STORAGE in told or BATCH in told
    assert "Traceback" not in terminal.raw
    assert run("rotate", "--due").returncode == 0
    assert all(v["opens"] for v in simulator.verdict())


def test_an_interrupted_emergency_goes_on_where_it_was(simulator: ControlClient) -> None:
    """Who obeys the line that an interrupt leaves ends the leaked key, and not the good one made just before."""
    asked = ("rotate", FRESH, "--compromised", "active", "--grace", "PT0S", "--json")
    fault = simulator.fault(path=f"{PUBSUB}/regenerateKey$", stall=True, skip=1, times=1)
    process = subprocess.Popen([*ROTATION, *asked], stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own program
    assert simulator.hits(fault, wait=PATIENCE) == 1
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE)

    document = json.loads(said)
    advice = re.search(r"repeat the command with (--request-id) (\S+):", document["error"]["message"])
    assert advice
    assert document["request_id"] == advice[2]
    assert run(*asked, *advice.groups()).returncode == 0
    assert [slot["regenerated"] for slot in simulator.account(PUBSUB)["slots"].values()] == [1, 1]
    assert all(v["opens"] for v in simulator.verdict())


def interrupted(
    simulator: ControlClient, *arguments: str, until: Callable[[], bool] = lambda: True, **fault: Any
) -> Any:
    """The document of a command that is interrupted while a request is held, and not before something else is true."""
    held = simulator.fault(stall=True, **fault)
    process = subprocess.Popen([*ROTATION, *arguments, "--json"], stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own program
    assert simulator.hits(held, wait=PATIENCE) > 0
    while not until():
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE)
    simulator.lift(held)
    document = json.loads(said)
    assert (process.returncode, document["error"]["code"]) == (130, "interrupted")
    return document


@pytest.mark.parametrize("asked", [(FRESH, "--compromised", "active"), ("--due",)])
def test_an_interrupted_listing_has_begun_nothing(simulator: ControlClient, asked: tuple[str, ...]) -> None:
    """Who stops an emergency before any account is known is not to think that it was carried out."""
    document = interrupted(simulator, "rotate", *asked, "--request-id", "incident-7", host="vault")

    assert document["error"]["message"].startswith("interrupted; nothing was begun: repeat the command")
    assert document["request_id"] == "incident-7"


def test_what_failed_before_an_interrupt_is_not_told_as_done(simulator: ControlClient) -> None:
    """Two leaked keys work on: whoever interrupts has to know which."""
    simulator.fault(path="(storage|batch)Accounts/.*/regenerateKeys?$", status=200, body="{}")
    leaked = ("kv-orders/orders-storage-key", "kv-billing/rendering-key")
    asked = ("rotate", *leaked, FRESH, "--compromised", "active", "--yes")

    def have_failed() -> bool:
        """Each has been asked whether its key has changed all the same, and a moment has passed."""
        paths = [entry["path"] for entry in simulator.journal() if entry["status"] is not None]
        time.sleep(0.5)
        return all(sum(path.endswith(f"{name}/listKeys") for path in paths) >= 2 for name in (STORAGE, BATCH))

    document = interrupted(simulator, *asked, until=have_failed, path=f"{PUBSUB}/regenerateKey$")

    assert f"0 done, 2 failed, 1 not finished: {PUBSUB}; repeat the command" in document["error"]["message"]
    assert ["failed", "failed"] == [account["status"] for account in document["accounts"]]


def test_an_interrupted_enrolment_names_its_secret(simulator: ControlClient) -> None:
    """The secret may have been written, and the same command tells, and goes on."""
    asked = ("enroll", "kv-orders/another", "--resource-id", PUBSUB_ID)
    document = interrupted(simulator, *asked, method="PUT", host="vault", when="after")

    assert "1 not finished: kv-orders/another; run the command again" in document["error"]["message"]
    assert document["unfinished"] == [PUBSUB_ID]
    assert "is enrolled already" in run(*asked).stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan",),
        ("audit",),
        ("rotate", "--due", "--dry-run"),
        ("enroll", "kv-orders/another", "--resource-id", PUBSUB_ID, "--dry-run"),
        ("doctor",),
    ],
    ids=lambda arguments: " ".join(arguments[:1]),
)
def test_who_is_interrupted_while_only_looking_has_changed_nothing(
    simulator: ControlClient, arguments: tuple[str, ...]
) -> None:
    """Nobody has to wait for a lease, or to finish anything."""
    document = interrupted(simulator, *arguments, path="/subscriptions/")

    assert document["error"]["message"] == "interrupted; nothing was changed"


def test_an_interrupt_is_a_document_too(simulator: ControlClient) -> None:
    """A script that was stopped still gets JSON, with the outcomes so far and the accounts that have none."""
    with held(simulator, "batchrendering/regenerateKeys$") as fault:
        process = subprocess.Popen(  # noqa: S603  # our own program
            [*ROTATION, "rotate", "--due", "--json"], stdout=subprocess.PIPE, text=True
        )
        assert simulator.hits(fault, wait=PATIENCE) == 1
        while simulator.account(STORAGE)["slots"]["key2"]["regenerated"] == 0:
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE)

    document = json.loads(said)
    assert (process.returncode, document["error"]["code"]) == (130, "interrupted")
    assert [name.rpartition("/")[2] for name in document["unfinished"]] == [BATCH]
    assert [a["account"].rpartition("/")[2] for a in document["accounts"]] == [STORAGE]


@pytest.mark.parametrize("ignored", [False, True], ids=["ordinarily", "in the background of a script"])
def test_who_is_told_to_end_answers_as_after_ctrl_c(simulator: ControlClient, ignored: bool) -> None:  # noqa: FBT001  # a row of the table
    """A pipeline that is cancelled sends SIGTERM; where Ctrl-C is ignored that is the only way to end a command."""
    ctrl_c = signal.signal(signal.SIGINT, signal.SIG_IGN) if ignored else signal.getsignal(signal.SIGINT)
    try:
        with held(simulator, f"{PUBSUB}/regenerateKey$") as fault:
            process = subprocess.Popen(  # noqa: S603  # our own program
                [*ROTATION, "rotate", FRESH, "--force", "--json"], stdout=subprocess.PIPE, text=True
            )
            signal.signal(signal.SIGINT, ctrl_c)
            assert simulator.hits(fault, wait=PATIENCE) == 1
            process.terminate()
            said, _ = process.communicate(timeout=PATIENCE)
    finally:
        signal.signal(signal.SIGINT, ctrl_c)

    document = json.loads(said)
    assert (process.returncode, document["error"]["code"]) == (130, "interrupted")
    assert [name.rpartition("/")[2] for name in document["unfinished"]] == [PUBSUB]
    assert f"--request-id {document['request_id']}" in document["error"]["message"]
    assert "the keys that it was to end may have ended already" in document["error"]["message"]


def test_an_interrupt_while_arguments_are_read_is_a_document_too() -> None:
    """Typer would answer for itself then, with an exit code and no word."""
    script = f"""
import os, runpy, signal, sys

def press(frame, event, _):
    if event == "call" and frame.f_code.co_name == "parse_args":
        sys.setprofile(None)
        os.kill(os.getpid(), signal.SIGINT)

sys.setprofile(press)
sys.argv = ["rotation", "rotate", {FRESH!r}, "--force", "--json"]
runpy.run_module("rotation", run_name="__main__", alter_sys=True)
"""
    ended = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=PATIENCE
    )

    assert (130, "") == (ended.returncode, ended.stderr.partition("error: ")[0])
    assert "nothing was begun: repeat the command" in json.loads(ended.stdout)["error"]["message"]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["typer", "rotation.cli", "rotation.settings", "rotation.wiring", "aiohttp"])
def test_an_interrupt_in_the_first_moments_is_a_document_too(end: signal.Signals, module: str) -> None:
    """What is imported takes a second or two, and nothing was begun by then."""
    script = f"""
import os, runpy, sys

class Presser:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), {int(end)})

sys.meta_path.insert(0, Presser())
sys.argv = ["rotation", "rotate", {FRESH!r}, "--force", "--json"]
runpy.run_module("rotation", run_name="__main__", alter_sys=True)
"""
    ended = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=PATIENCE
    )

    document = json.loads(ended.stdout)
    assert (ended.returncode, document["exit_code"], document["error"]["code"]) == (130, 130, "interrupted")
    assert "nothing was begun: repeat the command" in document["error"]["message"]
    assert ([], []) == (document["accounts"], document["unfinished"])
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("answer", "code", "changed"), [("y\n", 0, 3), ("n\n", 2, 0), ("\x04", 2, 0), ("\x03", 130, 0)]
)
def test_a_person_is_asked_before_many_accounts_are_harmed(
    simulator: ControlClient, answer: str, code: int, changed: int
) -> None:
    """Only a yes goes on; anything else changes nothing."""
    terminal = Terminal(200, "rotate", "--all", "--force")
    names = "wps-contoso-live, stcontosoorders, batchrendering"
    terminal.until(f"Rotate 3 accounts ({names}) now, and end keys that are still promised to applications? [y/N]: ")
    terminal.type(answer)

    # Between the question and whoever reads the answer an interrupt is lost, and people press it again.
    assert terminal.end(again=answer if code == 130 else "") == code
    regenerated = sum(slot["regenerated"] for a in simulator.accounts() for slot in a["slots"].values())
    assert regenerated == changed
