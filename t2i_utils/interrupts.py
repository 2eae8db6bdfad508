"""One press of stop stops: a signal amid a run is noted, and goes through when all is saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from t2i_utils.checkpoints import History


class Interrupted(KeyboardInterrupt):
    """fit was stopped by a signal, after a whole step; `history` is what was measured until then.

    The players stand as that step left them.
    """

    def __init__(self, message: str, history: History):
        super().__init__(message)
        self.history = history


class Interrupt:
    """Whether a signal came, which one, and the run that it came to."""

    def __init__(self) -> None:
        self.came, self.number = False, signal.SIGINT
        self.of(History(), 0, None)

    def of(self, history: History, steps: int, path: Path | None) -> None:
        self.history, self.steps, self.path = history, steps, path

    def note(self, number: int, frame: Any) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came, self.number = True, number

    def go_on(self) -> NoReturn:
        """Let the signal through, now that all is saved: the cell, the queue, the process ends."""
        done = self.history.steps
        how = "not saved; with a run_dir, another call of fit would go on"
        if self.path is not None:
            how = f"saved in {self.path}; run it again to go on" if done else "nothing done"
        message = f"interrupted after step {done} of {self.steps}: {how}"
        if self.number == signal.SIGTERM:
            print(message, flush=True)
            signal.raise_signal(signal.SIGTERM)  # ends the process, where nobody handles it
        raise Interrupted(message, self.history)


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """The first SIGINT or SIGTERM is noted, and goes through when what is inside has ended well.

    A second one raises at once. Ignored ones stay so.
    """
    interrupt = Interrupt()
    before = {}
    if threading.current_thread() is threading.main_thread():  # others cannot have handlers
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, interrupt.note)
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
    if interrupt.came:
        interrupt.go_on()
