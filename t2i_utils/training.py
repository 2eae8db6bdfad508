"""Training: `fit` runs the step function that a notebook wrote, and does everything around it.

A step function owns the mathematics: `step(players, batch)` computes the losses, calls
`players.update_D` and `players.update_G`, and returns what is to be measured. `fit` owns devices,
precision, processes, logs, progress, checkpoints, and stopping where numbers stop being numbers.
"""

import math
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import AutocastKwargs, broadcast
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, IterableDataset
from tqdm.auto import tqdm
from tqdm.notebook import tqdm_notebook

from t2i_utils import checkpoints
from t2i_utils.checkpoints import History
from t2i_utils.lesson import seed_for, working_device

CHECKPOINT = "checkpoint.safetensors"
PRECISIONS = ("no", "bf16", "fp16")


class TrainingDiverged(RuntimeError):
    """A loss, a score or a weight became infinite or no number; the last good checkpoint is kept.

    `step`: steps done when it was so, counted from 1; `quantity`: its name; `run_dir` and
    `checkpoint`: where the run is kept, None where nothing is.
    """

    def __init__(self, step: int, quantity: str, found: str, run_dir: Path | None):
        path = run_dir / CHECKPOINT if run_dir else None
        self.step, self.quantity, self.run_dir = step, quantity, run_dir
        self.checkpoint = path if path and path.exists() else None
        super().__init__(
            f"training diverged at step {step}: {quantity}: found {found}, expected a number. "
            f"The run: {run_dir or 'not kept'}; its last good checkpoint: {self.checkpoint}. "
            "A lower learning rate often helps."
        )


@dataclass
class Players:
    """The two players with their optimisers, and G_avg: the running average of G's weights.

    G_avg (decay `ema_decay` a step, BatchNorm's statistics too) is for sampling: in eval mode, no
    gradients. Raises ValueError where an optimiser holds other weights than its player's.
    """

    G: nn.Module
    D: nn.Module
    opt_G: torch.optim.Optimizer
    opt_D: torch.optim.Optimizer
    schedulers: Sequence[Any] = ()  # learning-rate schedulers; fit steps each once a step
    ema_decay: float = 0.999
    G_avg: AveragedModel = field(init=False, repr=False)
    accelerator: Accelerator | None = field(init=False, repr=False, default=None)  # set by fit

    def __post_init__(self) -> None:
        average = get_ema_multi_avg_fn(self.ema_decay)
        self.G_avg = AveragedModel(self.G, multi_avg_fn=average, use_buffers=True)
        self.G_avg.requires_grad_(False).eval()
        weights = {"G": set(self.G.parameters()), "D": set(self.D.parameters())}
        for own, other in ("GD", "DG"):
            held = set(_weights(getattr(self, f"opt_{own}")))
            if held & weights[other] or not held & weights[own]:
                found = f"weights of {other}" if held & weights[other] else f"no weights of {own}"
                raise ValueError(f"opt_{own}: found {found}, expected {own}'s")

    @property
    def scaler(self) -> torch.amp.GradScaler | None:
        """The loss scaler of fp16 training, else None."""
        return self.accelerator.scaler if self.accelerator is not None else None

    def update_D(self, loss: Float[Tensor, ""]) -> None:
        """One step of D down its loss. Warns where the loss also reaches into G (no detach)."""
        self._update(self.opt_D, loss)
        leak = next((name for name, p in self.G.named_parameters() if p.grad is not None), None)
        if leak is not None:
            warnings.warn(
                f"update_D: D's loss sent gradients into G ({leak}); give D the fake images "
                "detached: D(fake.detach(), ...)",
                stacklevel=2,
            )

    def update_G(self, loss: Float[Tensor, ""]) -> None:
        """One step of G down its loss. Inside `frozen(D)` no gradients for D's weights are made."""
        self._update(self.opt_G, loss)

    def _update(self, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        self.opt_G.zero_grad(set_to_none=True)
        self.opt_D.zero_grad(set_to_none=True)
        with torch.autocast(loss.device.type, enabled=False):  # backward chooses its own precision
            if self.accelerator is None:  # outside fit, as when a notebook tries its step once
                loss.backward()
            else:
                self.accelerator.backward(loss)
                gradients = [p.grad for p in _weights(optimiser) if p.grad is not None]
                _mean_over_processes(self.accelerator, gradients)
            if self.scaler is None:
                optimiser.step()
            else:
                self.scaler.step(optimiser)
                self.scaler.update()

    @torch.no_grad()
    def average(self) -> None:
        """Move G_avg a step towards G; the first time, copy it.

        As AveragedModel.update_parameters, which would wait for the device to ask it whether this
        is the first time. Whole numbers (batches seen) are copied, not averaged.
        """
        average, G = self.G_avg.module, self.G
        seen = self.G_avg.n_averaged = self.G_avg.n_averaged.cpu()
        pairs = [*zip(average.parameters(), G.parameters(), strict=True),
                 *zip(average.buffers(), G.buffers(), strict=True)]  # fmt: skip
        for averaged, current in pairs:
            if seen == 0 or not averaged.is_floating_point():
                averaged.copy_(current)
        if seen > 0:
            floats = [pair for pair in pairs if pair[0].is_floating_point()]
            self.G_avg.multi_avg_fn(*map(list, zip(*floats, strict=True)), seen)
        seen += 1


@contextmanager
def frozen(module: nn.Module) -> Iterator[nn.Module]:
    """Inside, `module` passes gradients on to its input but collects none for its own weights."""
    thawed = [p for p in module.parameters() if p.requires_grad]
    for p in thawed:
        p.requires_grad_(False)
    try:
        yield module
    finally:
        for p in thawed:
            p.requires_grad_(True)


def fit(
    players: Players,
    batches: Any,
    step_fn: Callable[[Players, Any], Mapping[str, Tensor]],
    *,
    steps: int,
    run_dir: str | Path | None = None,
    seed: int = 0,
    precision: str = "no",
    log_every: int = 50,
    checkpoint_every: int = 500,
    snapshot: Callable[[Players], Tensor] | None = None,
    snapshot_every: int | None = None,
    progress: bool = True,
    device: torch.device | str | None = None,
) -> History:
    """Run `step_fn` on batches[0], batches[1], ... until `steps` are done; returns what it gave.

    `step_fn(players, batch)` returns name → one number, as a tensor on the device. With P processes
    step i takes batch i·P + rank in each, and gradients are averaged. torch's random numbers in
    step i depend on (seed, i, rank) alone; numpy's and Python's are left alone. G and D train in
    train mode: a part that must not, overrides `train`.

    `run_dir` keeps TensorBoard's logs and a checkpoint: every `checkpoint_every` steps, on an
    interrupt, at the end. Where it holds one, fit goes on from it, on a CPU to the same bits.
    `snapshot(players)` gives images [N, C, S, S] (uint8, or floats in [-1, 1]) for the history,
    every `snapshot_every` steps (None: with each checkpoint).
    `precision`: "no" (float32), "bf16", or "fp16" (CUDA only; its loss scaling waits for the device
    at each update unless the optimisers are made with fused=True).
    SIGINT or SIGTERM: the step is finished, saved, and fit returns; a second one raises at once.

    Raises TrainingDiverged; TypeError or ValueError for arguments, batches or values of the step
    function that are not as above; CheckpointError for a run_dir that holds another run.
    """
    snapshot_every = snapshot_every or checkpoint_every
    _check_counts(steps=steps, log_every=log_every, checkpoint_every=checkpoint_every,
                  snapshot_every=snapshot_every)  # fmt: skip
    accelerator, device = _accelerator(precision, device)
    rank, processes = accelerator.process_index, accelerator.num_processes
    _check_batches(batches, steps * processes)
    _place(players, accelerator, device)

    run_dir = Path(run_dir) if run_dir is not None else None
    history, path = History(), run_dir / CHECKPOINT if run_dir else None
    if path and path.exists():
        history, _ = checkpoints.load(path, players, seed)
        if progress and rank == 0:
            print(f"going on from step {history.steps} of {steps}: {path}")
    if history.steps >= steps:
        return history

    on_gpu = device.type == "cuda"
    log = _Log(history, accelerator, run_dir, steps, progress)
    with _interruptible() as interrupt, torch.random.fork_rng([device] if on_gpu else []), log:
        mine = range(history.steps * processes + rank, steps * processes, processes)
        loader = DataLoader(batches, batch_size=None, sampler=mine, num_workers=2 * on_gpu,
                            pin_memory=on_gpu)  # fmt: skip
        for step, batch in enumerate(loader, start=history.steps):
            batch = _to_device(batch, device)
            torch.manual_seed(seed_for(seed, "step", step, rank))
            with accelerator.autocast():
                log.keep(step_fn(players, batch))
            if processes > 1:  # one model: BatchNorm's statistics too
                _mean_over_processes(accelerator, [*players.G.buffers(), *players.D.buffers()])
            players.average()
            for scheduler in players.schedulers:
                scheduler.step()

            done = step + 1
            stop = interrupt.is_set()
            if processes > 1:  # all stop at the same step; asked only where all wait anyway
                stop = done % log_every == 0 and _any_process(accelerator, stop)
            save = stop or done % checkpoint_every == 0 or done == steps
            if save or done % log_every == 0:
                log.flush()
            if snapshot is not None and done % snapshot_every == 0:
                torch.manual_seed(seed_for(seed, "snapshot", step))
                log.snapshot(done, _snapshot(players, snapshot))
            if save:
                _check_weights(players, done, run_dir)
                if path and rank == 0:
                    checkpoints.save(path, players, history, done, seed)
                accelerator.wait_for_everyone()
            if stop:
                history.interrupted = done < steps
                break
    if history.interrupted and rank == 0:
        how = f"saved in {path}; call fit again to go on" if path else (
            "not saved; with a run_dir, another call of fit would go on")
        print(f"interrupted after step {history.steps} of {steps}: {how}")
    elif progress and rank == 0:
        print(f"{history.steps} steps in {history.seconds:.0f} s")
    return history


# ---- logs -------------------------------------------------------------------------------------


class _Log:
    """Keeps what steps give without waiting for the device, and spreads it at each `flush`."""

    def __init__(self, history, accelerator, run_dir, steps, progress):
        self.history, self.accelerator, self.run_dir = history, accelerator, run_dir
        self.pending: list[dict[str, Tensor]] = []
        self.board = None
        if run_dir is not None and accelerator.is_main_process:
            from torch.utils.tensorboard import SummaryWriter  # slow to import; not always needed

            self.board = SummaryWriter(run_dir, purge_step=history.steps + 1)
        self.bar = _bar(history.steps, steps, progress and accelerator.is_main_process)
        self.last = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.bar.close()
        try:
            if self.board is not None:
                self.board.close()
        except OSError:  # on a full disk: what the checkpoint said of it is the better message
            if kind is None:
                raise

    def keep(self, measured: Any) -> None:
        """Take one step's values as they are; they may not be computed yet."""
        if not isinstance(measured, Mapping):
            found = type(measured).__name__
            raise TypeError(f"step function: it returned {found}, expected a dict of tensors")
        for name, value in measured.items():
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
        for name, mean in means.items() if self.board is not None else ():
            self.board.add_scalar(name, mean, self.history.steps)
        self.bar.set_postfix({name: f"{mean:.3g}" for name, mean in list(means.items())[:4]}, False)

    def snapshot(self, step: int, images: Tensor) -> None:
        self.history.snapshots[step] = images
        if self.board is not None and images.dim() == 4 and images.shape[1] in (1, 3):
            unit = images if images.dtype == torch.uint8 else (images.float() / 2 + 0.5).clamp(0, 1)
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


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """The first SIGINT or SIGTERM sets the event; a second one raises at once."""
    asked = threading.Event()

    def note(number, frame):
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    main = threading.current_thread() is threading.main_thread()  # others cannot have handlers
    before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM) if main}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


@torch.no_grad()
def _snapshot(players: Players, snapshot: Callable[[Players], Any]) -> Tensor:
    """What the caller draws, on the CPU; every module is left in the mode it was in."""
    modules = [m for who in (players.G, players.D, players.G_avg) for m in who.modules()]
    modes = [module.training for module in modules]
    images = snapshot(players)
    for module, mode in zip(modules, modes, strict=True):
        module.training = mode
    if not isinstance(images, Tensor):
        raise TypeError(f"snapshot: found a {type(images).__name__}, expected a tensor of images")
    return images.detach().cpu().clone(memory_format=torch.contiguous_format)


# ---- devices and processes --------------------------------------------------------------------


def _accelerator(
    precision: str, device: torch.device | str | None
) -> tuple[Accelerator, torch.device]:
    device = torch.device(device) if device is not None else working_device()
    if precision not in PRECISIONS:
        raise ValueError(f"fit: precision: found {precision!r}, expected one of {PRECISIONS}")
    if precision == "fp16" and device.type != "cuda":
        raise ValueError(f"fit: precision: found 'fp16' on {device}, expected 'no' or 'bf16' there")
    if precision == "bf16" and device.type == "cuda":
        if not torch.cuda.is_bf16_supported(including_emulation=False):
            name = torch.cuda.get_device_name(device)
            raise ValueError(f"fit: precision: found 'bf16' on {name}, expected 'no' or 'fp16'")
    # accelerate keeps one state for the whole program; a notebook fits more than once
    AcceleratorState._reset_state(reset_partial_state=True)
    # a cached cast of a weight would outlive that weight's update within the step
    uncached = AutocastKwargs(cache_enabled=False)
    accelerator = Accelerator(
        mixed_precision=precision, cpu=device.type == "cpu", kwargs_handlers=[uncached]
    )
    return accelerator, accelerator.device if accelerator.num_processes > 1 else device


def _place(players: Players, accelerator: Accelerator, device: torch.device) -> None:
    """Move everything to the device, channels last; every process starts from the first one's."""
    players.accelerator = accelerator
    for module in (players.G, players.D, players.G_avg.module):
        module.to(device=device, memory_format=torch.channels_last)
        for tensor in module.state_dict().values():
            if accelerator.num_processes > 1:
                tensor.copy_(broadcast(tensor.contiguous()))
    for optimiser in (players.opt_G, players.opt_D):  # an earlier fit's state goes with the weights
        optimiser.load_state_dict(optimiser.state_dict())
    players.G.train()
    players.D.train()


def _weights(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimiser.param_groups for p in group["params"]]


def _mean_over_processes(accelerator: Accelerator, tensors: Sequence[Tensor]) -> None:
    """Replace the floating-point tensors by their means over all processes, in one message."""
    tensors = [t for t in tensors if t.is_floating_point()]
    if accelerator.num_processes == 1 or not tensors:
        return
    mean = accelerator.reduce(torch.cat([t.reshape(-1) for t in tensors]), "mean")
    for tensor, part in zip(tensors, mean.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(part.view(tensor.shape))


def _any_process(accelerator: Accelerator, flag: bool) -> bool:
    return bool(accelerator.reduce(torch.tensor(float(flag), device=accelerator.device), "sum") > 0)


def _to_device(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, Tensor):
        layout = torch.channels_last if batch.dim() == 4 else torch.preserve_format
        return batch.to(device, non_blocking=True, memory_format=layout)
    if hasattr(batch, "to"):
        return batch.to(device, torch.channels_last)
    if isinstance(batch, Mapping):
        return {name: _to_device(part, device) for name, part in batch.items()}
    if isinstance(batch, tuple | list):
        return [_to_device(part, device) for part in batch]
    if batch is None or isinstance(batch, str | bool | int | float):
        return batch
    raise TypeError(
        f"fit: a batch holds a {type(batch).__name__}, expected tensors, tuples, lists or dicts of "
        "them, or an object with .to(device, memory_format)"
    )


# ---- checks -----------------------------------------------------------------------------------


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"fit: {name}: found {count}, expected at least 1")


def _check_batches(batches: Any, needed: int) -> None:
    if not hasattr(batches, "__getitem__") or isinstance(batches, IterableDataset | Mapping | str):
        raise TypeError(
            f"fit: batches: found a {type(batches).__name__}, expected batches[i] to be the batch "
            "of step i (such as t2i_utils.data.captioned.Batches, or a list)"
        )
    if hasattr(batches, "__len__") and len(batches) < needed:
        raise ValueError(f"fit: batches: found {len(batches)} of them, expected at least {needed}")


def _check_weights(players: Players, step: int, run_dir: Path | None) -> None:
    """Raise TrainingDiverged naming the first weight that is not finite; one wait for all."""
    named = {
        f"{who}'s {name}": value
        for who in ("G", "D", "G_avg")
        for name, value in getattr(players, who).state_dict().items()
        if value.is_floating_point()
    }
    finite = torch.stack([value.isfinite().all() for value in named.values()]).tolist()
    if not all(finite):
        raise TrainingDiverged(step, list(named)[finite.index(False)], "nan or inf in it", run_dir)
