"""What a run says while it runs: values kept and checked, TensorBoard, a progress bar."""

import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm
from tqdm.notebook import tqdm_notebook

from t2i_utils import files
from t2i_utils.checkpoints import CHECKPOINT


class TrainingDiverged(RuntimeError):
    """A loss, a score or a weight became infinite or no number; the last good checkpoint is kept.

    The players hold what it came to: begin again with new ones. `step`: steps done when it was so,
    counted from 1; `quantity`: its name; `run_dir` and `checkpoint`: where the run is kept, None
    where nothing is.
    """

    def __init__(self, step: int, quantity: str, found: str, run_dir: Path | None):
        path = run_dir / CHECKPOINT if run_dir else None
        self.step, self.quantity, self.run_dir = step, quantity, run_dir
        self.checkpoint = path if path and path.exists() else None
        super().__init__(
            f"training diverged at step {step}: {quantity}: found {found}, expected a number. "
            f"The run: {run_dir or 'not kept'}; its last good checkpoint: {self.checkpoint}. "
            "A lower learning rate often helps: new players with one, and the same run_dir, go on "
            "from that checkpoint."
        )


class Log:
    """Keeps what steps give without waiting for the device, and spreads it at each `flush`."""

    def __init__(self, history, accelerator, run_dir, steps, progress):
        self.history, self.accelerator, self.run_dir = history, accelerator, run_dir
        self.pending: list[dict[str, Tensor]] = []
        self.board = None
        if run_dir is not None and accelerator.is_main_process:
            from torch.utils.tensorboard import SummaryWriter  # slow to import; not always needed

            with self._explained():
                self.board = SummaryWriter(run_dir, purge_step=history.steps + 1)
        self.bar = _bar(history.steps, steps, progress and accelerator.is_main_process)
        self.last = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.bar.close()
        try:
            if self.board is not None:
                with self._explained():
                    self.board.close()
        except OSError:  # on a full disk: what the checkpoint said of it is the better message
            if kind is None:
                raise

    def _explained(self):
        kept = "the last checkpoint is kept; make room, and run it again to go on from it"
        return files.explained(self.run_dir, advice=kept)

    def keep(self, measured: Any) -> None:
        """Take one step's values as they are; they may not be computed yet."""
        if not isinstance(measured, Mapping):
            found = type(measured).__name__
            raise TypeError(f"step function: it returned {found}, expected a dict of tensors")
        for name, value in measured.items():
            if not isinstance(name, str):
                raise TypeError(f"step function: found the key {name!r} ({type(name).__name__}), "
                                "expected names")
            if not isinstance(value, Tensor) or value.dim() != 0:
                shape = f" of shape {list(value.shape)}" if isinstance(value, Tensor) else ""
                raise TypeError(f"step function: {name}: found a {type(value).__name__}{shape}, "
                                "expected a tensor of one number (shape [])")  # fmt: skip
        self.pending.append({name: value.detach() for name, value in measured.items()})
        self.bar.update()

    def flush(self) -> None:
        """Fetch what is pending, check it, and add it to the history, TensorBoard and the bar."""
        keys = [(row, name) for row, measured in enumerate(self.pending) for name in measured]
        rows = {name: torch.full((len(self.pending),), torch.nan) for _, name in keys}
        if keys:
            values = torch.stack([
                self.pending[row][name].to(self.accelerator.device, torch.float32)
                for row, name in keys
            ])  # fmt: skip
            values = self.accelerator.reduce(values, "mean").tolist()
            for (row, name), value in zip(keys, values, strict=True):
                if not math.isfinite(value):
                    step = self.history.steps + row + 1
                    raise TrainingDiverged(step, name, str(value), self.run_dir)
                rows[name][row] = value
        self.history.append(rows, len(self.pending))
        self.pending, now = [], time.monotonic()
        self.history.seconds, self.last = self.history.seconds + now - self.last, now
        means = {name: float(values.nanmean()) for name, values in rows.items()}
        if self.board is not None:
            with self._explained():
                for name, mean in means.items():
                    self.board.add_scalar(name, mean, self.history.steps)
                self.board.flush()  # a disk that is full says so now, not at the end
        self.bar.set_postfix({name: f"{mean:.3g}" for name, mean in list(means.items())[:4]}, False)

    def snapshot(self, step: int, images: Tensor) -> None:
        self.history.snapshots[step] = images
        if self.board is not None and images.dim() == 4 and images.shape[1] in (1, 3):
            unit = images if images.dtype == torch.uint8 else (images.float() / 2 + 0.5).clamp(0, 1)
            with self._explained():
                self.board.add_images("snapshot", unit, step)


def _bar(done: int, steps: int, shown: bool) -> tqdm:
    """tqdm's bar; where nothing can be redrawn (a pipe, a CI log), a plain line now and then."""
    if not shown:
        return tqdm(disable=True)
    if issubclass(tqdm, tqdm_notebook) or sys.stderr.isatty():
        return tqdm(total=steps, initial=done, unit="step")
    return tqdm(total=steps, initial=done, unit="step", file=_Lines(), mininterval=10, ncols=100)


class _Lines:
    """A file for tqdm that prints each redrawn bar as a line of its own."""

    def write(self, text: str) -> None:
        if text := text.strip():
            print(text, file=sys.stderr)

    def flush(self) -> None:
        sys.stderr.flush()
