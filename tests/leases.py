"""Leases of which no pass is part."""

import time

from rotation.cloud.lease import InProcessLease
from rotation.errors import LeaseLost

HELD = InProcessLease()
"""One that goes on for ever."""


class Passing:
    """One that is lost after it was looked at so many times."""

    def __init__(self, looks: int) -> None:
        self._looks = looks

    def ensure(self) -> None:
        """Raise LeaseLost once it is lost."""
        if not self._looks:
            raise LeaseLost("the lease was lost")
        self._looks -= 1

    def abandon(self) -> None:
        """Keep nobody out."""


class Ending:
    """One that is lost after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def ensure(self) -> None:
        """Raise LeaseLost once they are over."""
        if time.monotonic() >= self._ends:
            raise LeaseLost("the lease was lost")

    def abandon(self) -> None:
        """Keep nobody out."""


LOST = Passing(0)
"""One that has ended."""
