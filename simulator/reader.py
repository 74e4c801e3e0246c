"""Takes JSON from people apart and collects every complaint, each with its place."""

import math
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from simulator.durations import parse_duration

NAMES = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "an object"}


class Reader:
    """One JSON object at one place; what is absent or wrong becomes a default and a complaint."""

    def __init__(self, told: object, place: str, complaints: list[str]) -> None:
        self.complaints = complaints
        self._place = place
        self._told: dict[str, Any] = told if isinstance(told, dict) else {}
        self._known: set[str] = set()
        if not isinstance(told, dict):
            self.complain("", "has to be an object")

    def complain(self, name: str, what: str) -> None:
        """Note what is wrong with a field."""
        self.complaints.append(f"{self._at(name) or 'body'}: {what}")

    def take(self, name: str, kind: type, default: Any = None) -> Any:  # noqa: ANN401  # whatever the estate says
        """The field, or the default where it is absent or of the wrong type."""
        self._known.add(name)
        value = self._told.get(name)
        if value is None:
            return default
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.complain(name, f"has to be {NAMES[kind]}")
            return default
        return value

    def required(self, name: str) -> str:
        """A text that has to be there."""
        text: str = self.take(name, str, "")
        if self._told.get(name) in (None, ""):
            self.complain(name, "is missing")
        return text

    def number(self, name: str, default: float = 0.0, *, least: float = 0.0, most: float = math.inf) -> float:
        """A number from `least` to `most`."""
        self._known.add(name)
        value = self._told.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            self.complain(name, f"has to be a number from {least:g} to {most:g}")
            return default
        return float(value)

    def duration(self, name: str, default: timedelta | None = None) -> timedelta | None:
        """An ISO 8601 duration."""
        text = self.take(name, str)
        if text is None:
            return default
        try:
            return parse_duration(text)
        except ValueError as error:
            self.complain(name, str(error))
            return default

    def inner(self, name: str) -> "Reader":
        """A reader for an object inside; an empty one where it is absent."""
        return Reader(self.take(name, dict, {}), self._at(name), self.complaints)

    def items(self, name: str) -> Iterator["Reader"]:
        """A reader for every object of a list."""
        for position, told in enumerate(self.take(name, list, [])):
            yield Reader(told, f"{self._at(name)}[{position}]", self.complaints)

    def has(self, name: str) -> bool:
        """Whether the field was given."""
        return self._told.get(name) is not None

    def done(self) -> None:
        """Complain about fields that nobody asked for."""
        for name in self._told:
            if name not in self._known:
                self.complain(name, "is not known")

    def _at(self, name: str) -> str:
        return ".".join(part for part in (self._place, name) if part)
