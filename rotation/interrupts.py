"""Ctrl-C and SIGTERM end a command in the same way, from its first moment on."""

import signal
from types import FrameType


class Interrupts:
    """Takes note of interrupts while nobody can answer them yet, and lets them through from then on."""

    def __init__(self) -> None:
        """Hold interrupts back: what is being imported would be torn in the middle."""
        self._noted = False
        self._ctrl_c = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGTERM, self._note)
        if self._ctrl_c is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._note)

    def let_through(self) -> None:
        """Raise interrupts where they come from now on, and now the one that has come before."""
        signal.signal(signal.SIGINT, self._ctrl_c)
        # Whoever takes Ctrl-C in another way, as asyncio does, is told of both; a shell lets its jobs in the background
        # ignore Ctrl-C, and those have to end too.
        ignored = self._ctrl_c is signal.SIG_IGN
        signal.signal(signal.SIGTERM, signal.default_int_handler if ignored else _as_ctrl_c)
        if self._noted:
            raise KeyboardInterrupt

    def _note(self, _: int, __: FrameType | None) -> None:
        self._noted = True


def _as_ctrl_c(_: int, __: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)
