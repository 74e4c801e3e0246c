"""A value together with everything it ever was, so that a late replica can be played back."""

from typing import Generic, TypeVar

Value = TypeVar("Value")

ALWAYS = float("-inf")


class Timeline(Generic[Value]):
    """The states of one thing, each with the running time from which it held."""

    __slots__ = ("_states",)

    def __init__(self, first: Value, since: float = ALWAYS) -> None:
        self._states: list[tuple[float, Value]] = [(since, first)]

    @property
    def now(self) -> Value:
        """The latest state."""
        return self._states[-1][1]

    @property
    def first(self) -> Value:
        """The state it began with."""
        return self._states[0][1]

    def become(self, value: Value, since: float) -> None:
        """From `since` on (running time) the thing is `value`."""
        self._states.append((since, value))

    def at(self, moment: float) -> Value | None:
        """The state that held at `moment`, or None when the thing did not exist yet."""
        for since, value in reversed(self._states):
            if since <= moment:
                return value
        return None

    def changes(self) -> list[tuple[float, Value]]:
        """Every state with the running time from which it held, oldest first."""
        return list(self._states)

    def states(self) -> list[Value]:
        """Every state, oldest first."""
        return [value for _, value in self._states]
