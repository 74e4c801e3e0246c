"""What a command says: to a person as tables and sentences, to a script as one JSON document."""

import io
import json
import os
import signal
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeAlias

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from rotation.fleet import Watcher
from rotation.report import Json, Outcome

Cell: TypeAlias = str | tuple[str, ...]
"""A text, or several names that belong together."""

PIPE_WIDTH = 100_000
"""Columns of what is no terminal: nothing is wrapped there, so that one row is one line."""
SENTENCE = 40
"""The narrowest column, in characters, in which a sentence reads well."""
GAP = 2
STYLES = {
    "changed": "green",
    "failed": "bold red",
    "refused": "bold red",
    "planned": "yellow",
    "✓": "green",
    "✗": "bold red",
    "?": "yellow",
    "ok": "green",
    "FAILED": "bold red",
}
"""How the words that matter most look on a terminal."""
WORDS = {"✓": "ok", "✗": "FAILED"}
"""What stands for our signs where the encoding may lack them."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A table; its last column holds sentences, which may be wrapped, the others hold names, which never are."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    title: str = ""

    def telling(self) -> "Listing":
        """The same without the columns in which no row says anything."""
        kept = [i for i in range(len(self.columns)) if any(row[i] for row in self.rows)]
        rows = [tuple(row[i] for i in kept) for row in self.rows]
        return Listing(tuple(self.columns[i] for i in kept), rows, self.title)

    def in_words(self) -> "Listing":
        """The same without signs."""
        rows = [tuple(WORDS.get(cell, cell) if isinstance(cell, str) else cell for cell in row) for row in self.rows]
        return Listing(self.columns, rows, self.title)

    def narrowest(self) -> int:
        """How many characters a line needs at least."""
        names = sum(max(_width(row[i]) for row in (self.columns, *self.rows)) for i in range(len(self.columns) - 1))
        sentences = [_text(row[-1]) for row in self.rows]
        words = [cell_len(word) for sentence in sentences for word in sentence.split()]
        return names + GAP * len(self.columns) + max(min(SENTENCE, max(map(cell_len, sentences))), *words)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command came to: the same facts for a script and for a person, and the exit code."""

    document: Json
    parts: Sequence[Listing | str]
    exit_code: int = 0


class Terminal(Console):
    """A stream that may be a terminal; only then it has colours and a width."""

    def __init__(self, stream: TextIO) -> None:
        terminal = stream.isatty()
        super().__init__(
            file=stream,
            force_terminal=terminal,
            width=None if terminal else PIPE_WIDTH,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self.lost: OSError | None = None
        """Why what was said could not be written, where that is a failure."""

    def print(self, *objects: Any, **how: Any) -> None:  # noqa: ANN401  # whatever rich prints
        """Print, as long as that can be written; the work is done, and its exit code tells of that."""
        try:
            super().print(*objects, **how)
        except OSError as failure:
            self.lost = failure
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        """Nobody reads any more: say nothing more, and end with the command's own exit code."""
        _abandon(self.file)
        self.quiet = True

    def say(self, text: str) -> None:
        """Print lines, wrapped between words on a terminal and left alone elsewhere."""
        for line in text.splitlines():
            self.print(_wrapped(line, self.width), soft_wrap=True)

    def tabulate(self, listing: Listing) -> None:
        """Print a table, or one record per row where the terminal is too narrow for it."""
        if listing.title:
            self.print(Text(listing.title, style="bold"), soft_wrap=True)
        listing = listing.telling()
        if not self.encoding.startswith("utf"):
            listing = listing.in_words()
        if listing.narrowest() <= self.width:
            self._table(listing)
        else:
            self._records(listing)

    def _table(self, listing: Listing) -> None:
        # A box puts one character between the columns by itself.
        lines, gap = (box.SIMPLE_HEAD, GAP - 1) if self.is_terminal else (None, GAP)
        table = Table(box=lines, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))
        *names, sentence = listing.columns
        for name in names:
            table.add_column(name, no_wrap=True)
        table.add_column(sentence, no_wrap=not self.is_terminal)
        separator = "\n" if self.is_terminal else ", "
        for row in listing.rows:
            table.add_row(*(_styled(_text(cell, separator)) for cell in row))
        if self.is_terminal:
            self.print(table)
            return
        # Its own capture writes when it ends, which fails where nothing can be written.
        written = io.StringIO()
        Terminal(written).print(table)
        for line in written.getvalue().splitlines():
            self.print(line.rstrip(), soft_wrap=True)

    def _records(self, listing: Listing) -> None:
        margin = max(map(cell_len, listing.columns)) + GAP
        for row in listing.rows:
            for name, cell in zip(listing.columns, row, strict=True):
                label = name.ljust(margin)
                for text in filter(None, (cell,) if isinstance(cell, str) else cell):
                    self.print(label, _styled(_wrapped(text, self.width, margin)[margin:]), sep="", soft_wrap=True)
                    label = " " * margin
            self.print()


class Voice:
    """Answers on standard output; progress, questions and complaints go to standard error."""

    def __init__(self, *, as_json: bool) -> None:
        _open_what_is_closed()
        for stream in (sys.stdout, sys.stderr):
            # A terminal without our signs shows something in their place rather than fail.
            getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
        self.as_json = as_json
        self._out = Terminal(sys.stdout)
        self._err = Terminal(sys.stderr)

    def answer(self, answer: Answer) -> None:
        """Say what a command came to; complaints of a command that failed as a whole go to standard error."""
        self._say(answer)
        if self._out.lost:
            self.complain_of_loss(self._out.lost)

    def complain_of_loss(self, failure: OSError) -> None:
        """Say that standard output did not take an answer."""
        _abandon(sys.stdout)
        self._err.say(f"error: the answer could not be written to standard output: {failure.strerror}")

    def _say(self, answer: Answer) -> None:
        if self.as_json:
            self._out.print(json.dumps({**answer.document, "exit_code": answer.exit_code}, indent=2), soft_wrap=True)
            return
        terminal = self._err if "error" in answer.document else self._out
        for part in answer.parts:
            if isinstance(part, str):
                terminal.say(part)
            elif part.rows:
                terminal.tabulate(part)

    def note(self, text: str) -> None:
        """Say beside the answer what must be known whatever becomes of the command."""
        self._err.say(text)

    def can_ask(self) -> bool:
        """Whether a person is there to answer a question."""
        return sys.stdin.isatty() and self._err.is_terminal

    def ask(self, question: str) -> bool:
        """Ask for a yes; the end of input is none.

        Ctrl-C here is a KeyboardInterrupt at once, which asyncio would put off.
        """
        usual = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return typer.confirm(question, err=True)
        except typer.Abort as abort:
            # Both ways not to answer come under this name.
            if isinstance(abort.__context__, EOFError):
                return False
            raise KeyboardInterrupt from None
        finally:
            signal.signal(signal.SIGINT, usual)

    @contextmanager
    def progress(self, doing: str, total: int, watch: Watcher) -> Iterator[Watcher]:
        """Show a bar on a terminal while accounts are worked on; passes each outcome on to `watch`."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._err, transient=True, disable=not self._err.is_terminal) as bar:
            task = bar.add_task(doing, total=total)

            def advance(outcome: Outcome) -> None:
                watch(outcome)
                bar.advance(task)

            yield advance


def failure(code: str, message: str, exit_code: int) -> Answer:
    """Answer that a command failed as a whole."""
    return Answer({"error": {"code": code, "message": message}}, [f"error: {message}"], exit_code)


def _open_what_is_closed() -> None:
    """Read from and write to nowhere where a stream was closed; whatever is opened next would take its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # open to the end


def _abandon(stream: object) -> None:
    """Let what is still buffered go nowhere, so that Python does not complain when it ends."""
    if hasattr(stream, "fileno"):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _wrapped(line: str, width: int, indent: int = 0) -> str:
    """Break a line between words only: half a name is no name."""
    return textwrap.fill(
        line,
        max(width, indent + SENTENCE),
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _styled(text: str) -> Text:
    return Text(text, style=STYLES.get(text.split(":", maxsplit=1)[0], ""))


def _text(cell: Cell, separator: str = ", ") -> str:
    return cell if isinstance(cell, str) else separator.join(cell)


def _width(cell: Cell) -> int:
    return cell_len(cell) if isinstance(cell, str) else max(map(cell_len, cell), default=0)
