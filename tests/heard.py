"""What tests hear from the programs and functions that they call, for the search for keys in the end.

pytest knows what is printed and logged in its own process, unless a test takes it away to look at it.
"""

import subprocess
import traceback
from typing import Any, Self

import pytest

HEARD: list[str] = []


def note(said: Any) -> Any:
    """Keep what was said; returns it."""
    if said:
        HEARD.append(said.decode(errors="replace") if isinstance(said, bytes) else str(said))
    return said


def listen() -> None:
    """Keep from now on what every process says to the test that started it, and every error that a test expects."""
    subprocess.Popen = _Process  # type: ignore[misc]  # also for subprocess.run
    end = pytest.RaisesExc.__exit__

    def hear(raises: Any, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if error is not None:
            note("".join(traceback.format_exception(error)))
            note(vars(error))
        return end(raises, kind, error, trace)

    pytest.RaisesExc.__exit__ = hear  # type: ignore[method-assign]  # what is raised as expected is in no report


class _Process(subprocess.Popen[Any]):
    def __init__(self, *args: Any, **told: Any) -> None:
        super().__init__(*args, **told)
        self.stdout = self.stdout and _Stream(self.stdout)  # type: ignore[assignment]  # as good as one
        self.stderr = self.stderr and _Stream(self.stderr)  # type: ignore[assignment]  # the same

    def communicate(self, input: Any = None, timeout: float | None = None) -> tuple[Any, Any]:  # noqa: A002  its name
        out, err = super().communicate(input, timeout)
        return note(out), note(err)


class _Stream:
    """The end of a pipe."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def read(self, *size: int) -> Any:
        return note(self._stream.read(*size))

    def readline(self, *size: int) -> Any:
        return note(self._stream.readline(*size))

    def readlines(self) -> list[Any]:
        return [note(line) for line in self._stream.readlines()]

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return note(next(self._stream))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
