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

    `step`: steps done when it was so, counted from 1; `quantity`: its name; `run_dir`,
    `checkpoint`: where the run is kept, None where nothing is.
    """

    def __init__(self, step: int, quantity: str, found: str, run_dir: Path | None):
        path = run_dir / CHECKPOINT if run_dir else None
        self.step, self.quantity, self.run_dir = step, quantity, run_dir
        self.checkpoint = path if path and path.exists() else None
        kept = f"the last good checkpoint is kept: {path}" if self.checkpoint else "no checkpoint yet"
        kept = kept if run_dir else "nothing was being saved (no run_dir)"
        super().__init__(
            f"training diverged at step {step}: {quantity}: found {found}, expected finite numbers; "
            f"run_dir {run_dir}; {kept}. A lower learning rate often helps."
        )


@dataclass
class Players:
    """The two players with their optimisers, and G_avg: the running average of G's weights.

    G_avg (decay `ema_decay` a step, BatchNorm's statistics too) is for sampling: in eval mode, no
    gradients. Raises ValueError where an optimiser does not hold its own player's weights.
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
        for optimiser, own, other in (("opt_G", "G", "D"), ("opt_D", "D", "G")):
            held = {id(p) for p in _parameters(getattr(self, optimiser))}
            if held & {id(p) for p in getattr(self, other).parameters()}:
                raise ValueError(f"{optimiser}: found weights of {other}, expected those of {own}")
            if not held & {id(p) for p in getattr(self, own).parameters()}:
                raise ValueError(f"{optimiser}: found no weights of {own}, expected them")

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
            if self.accelerator is None:
                loss.backward()
            else:
                self.accelerator.backward(loss)
                gradients = [p.grad for p in _parameters(optimiser) if p.grad is not None]
                _mean_over_processes(self.accelerator, gradients)
            if self.scaler is None:
                optimiser.step()
            else:
                self.scaler.step(optimiser)
                self.scaler.update()

    @torch.no_grad()
    def average(self) -> None:
        """Move G_avg a step towards G.

        As AveragedModel.update_parameters, which would wait for the device to ask it whether this
        is the first time; whole numbers (batches seen) are copied, not averaged.
        """
        pairs = [
            *zip(self.G_avg.module.parameters(), self.G.parameters(), strict=True),
            *zip(self.G_avg.module.buffers(), self.G.buffers(), strict=True),
        ]
        self.G_avg.n_averaged = self.G_avg.n_averaged.cpu()
        first = int(self.G_avg.n_averaged) == 0
        floats = [(avg, now) for avg, now in pairs if avg.is_floating_point() and not first]
        if floats:
            averaged, current = zip(*floats, strict=True)
            self.G_avg.multi_avg_fn(list(averaged), list(current), self.G_avg.n_averaged)
        for averaged, current in pairs:
            if first or not averaged.is_floating_point():
                averaged.copy_(current, non_blocking=True)
        self.G_avg.n_averaged += 1


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
    """Run `step_fn` on batches[0], batches[1], ... until `steps` steps are done; returns what it gave.

    `step_fn(players, batch)` returns name → one number, as a tensor on the device. With P processes
    each takes its own batches (i·P + rank) and gradients are averaged. torch's random numbers in
    step i depend on (seed, i) alone; numpy's and Python's are left alone. G and D train in train
    mode: a part that must not, overrides `train`.

    `run_dir` keeps a checkpoint, every `checkpoint_every` steps, on an interrupt and at the end,
    and TensorBoard's logs; where it holds a checkpoint, fit goes on from it, to the bit on a CPU.
    `snapshot(players)` gives images [N, C, S, S] (uint8, or floats in [-1, 1]) for the history.
    `precision`: "no" (float32), "bf16", or "fp16" (CUDA only; its loss scaling waits for the device
    at each update unless the optimisers are made with fused=True).
    SIGINT or SIGTERM: the step is finished, saved, and fit returns; a second one raises at once.

    Raises TrainingDiverged; TypeError or ValueError for arguments, batches or values of the step
    function that are not as above; CheckpointError for a run_dir that holds another run.
    """
    counts = {"steps": steps, "log_every": log_every, "checkpoint_every": checkpoint_every}
    counts["snapshot_every"] = snapshot_every or checkpoint_every
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"fit: {name}: found {count}, expected at least 1")
    device = torch.device(device) if device is not None else working_device()
    accelerator = _accelerator(precision, device)
    rank, processes, main = (
        accelerator.process_index, accelerator.num_processes, accelerator.is_main_process)
    device = accelerator.device if processes > 1 else device
    _check_batches(batches, steps * processes)
    _place(players, accelerator, device)

    run_dir = Path(run_dir) if run_dir is not None else None
    history, path = History(), run_dir / CHECKPOINT if run_dir else None
    if path and path.exists():
        history, _ = checkpoints.load(path, players, seed)
        if progress and main:
            print(f"going on from step {history.steps} of {steps}: {path}")
    if history.steps >= steps:
        return history

    log = _Log(history, accelerator, run_dir, steps, progress)
    devices = [device] if device.type == "cuda" else []
    with _Interrupt() as interrupt, torch.random.fork_rng(devices), log:
        loader = DataLoader(
            batches,
            batch_size=None,
            sampler=range(history.steps * processes + rank, steps * processes, processes),
            num_workers=2 if devices else 0,
            pin_memory=bool(devices),
        )
        for step, batch in enumerate(loader, start=history.steps):
            batch = _to_device(batch, device)
            _seed(device, seed_for(seed, "step", step, rank))
            with accelerator.autocast():
                measured = step_fn(players, batch)
            log.keep(measured)
            if processes > 1:  # BatchNorm's statistics, as if of one process
                _mean_over_processes(accelerator, [*players.G.buffers(), *players.D.buffers()])
            players.average()
            for scheduler in players.schedulers:
                scheduler.step()

            done = step + 1
            if done % log_every == 0 or done == steps:
                log.flush()
            stop = interrupt.asked
            if processes > 1:  # all stop at the same step; asked only where all wait anyway
                stop = done % log_every == 0 and _any_process(accelerator, stop)
            if snapshot is not None and done % counts["snapshot_every"] == 0:
                _seed(device, seed_for(seed, "snapshot", step))
                log.snapshot(done, _snapshot(players, snapshot))
            if stop or done % checkpoint_every == 0 or done == steps:
                log.flush()
                _check_weights(players, done, run_dir)
                if path and main:
                    checkpoints.save(path, players, history, done, seed)
                accelerator.wait_for_everyone()
            if stop:
                history.interrupted = done < steps
                break
    if history.interrupted and main:
        saved = f"saved in {path}; call fit again to go on" if path else (
            "nothing was saved: with a run_dir, calling fit again would go on")
        print(f"interrupted after step {history.steps} of {steps}: {saved}")
    return history


# ---- around the step --------------------------------------------------------------------------


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

    def __exit__(self, *_):
        self.bar.close()
        if self.board is not None:
            self.board.close()

    def keep(self, measured: Mapping[str, Tensor]) -> None:
        if not isinstance(measured, Mapping):
            found = type(measured).__name__
            raise TypeError(f"step function: found a returned {found}, expected a dict of tensors")
        for name, value in measured.items():
            if not isinstance(value, Tensor) or value.dim() != 0:
                shape = f" of shape {list(value.shape)}" if isinstance(value, Tensor) else ""
                raise TypeError(
                    f"step function: {name}: found a {type(value).__name__}{shape}, "
                    "expected a tensor of one number (shape [])"
                )
        self.pending.append({name: value.detach() for name, value in measured.items()})
        self.bar.update()

    def flush(self) -> None:
        """Fetch what is pending, check it, and add it to the history, TensorBoard and the bar."""
        keys = [(row, name) for row, measured in enumerate(self.pending) for name in measured]
        rows = {name: torch.full((len(self.pending),), torch.nan) for _, name in keys}
        if keys:
            device = self.accelerator.device
            values = [self.pending[row][name].to(device, torch.float32) for row, name in keys]
            for (row, name), value in zip(
                keys, self.accelerator.reduce(torch.stack(values), "mean").tolist(), strict=True
            ):
                if not math.isfinite(value):
                    step = self.history.steps + row + 1
                    raise TrainingDiverged(step, name, str(value), self.run_dir)
                rows[name][row] = value
        self.history.append(rows, len(self.pending))
        self.history.seconds += (now := time.monotonic()) - self.last
        self.last, means = now, {name: float(row.nanmean()) for name, row in rows.items()}
        if self.board is not None and self.pending:
            for name, mean in means.items():
                self.board.add_scalar(name, mean, self.history.steps)
        self.bar.set_postfix({name: f"{mean:.3g}" for name, mean in list(means.items())[:4]}, False)
        self.pending = []

    def snapshot(self, step: int, images: Tensor) -> None:
        self.history.snapshots[step] = images
        if self.board is not None and images.dim() == 4 and images.shape[1] in (1, 3):
            shown = images if images.dtype == torch.uint8 else (images.float() / 2 + 0.5).clamp(0, 1)
            self.board.add_images("snapshot", shown, step)


class _Interrupt:
    """Turns the first SIGINT or SIGTERM into a wish (`asked`); a second one raises at once."""

    def __init__(self):
        self.asked, self.before = False, {}

    def _note(self, number, frame):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():  # others cannot have handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


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


def _accelerator(precision: str, device: torch.device) -> Accelerator:
    if precision not in PRECISIONS:
        raise ValueError(f"fit: precision: found {precision!r}, expected one of {PRECISIONS}")
    if precision == "fp16" and device.type != "cuda":
        raise ValueError(f"fit: precision: found 'fp16' on {device}, expected 'no' or 'bf16' there")
    if precision == "bf16" and device.type == "cuda":
        if not torch.cuda.is_bf16_supported(including_emulation=False):
            name = torch.cuda.get_device_name(device)
            raise ValueError(f"fit: precision: found 'bf16' on {name}, expected 'no' or 'fp16' there")
    # accelerate keeps one state for the whole program; a notebook fits more than once
    AcceleratorState._reset_state(reset_partial_state=True)
    # a cached cast of a weight would outlive that weight's update: D's within one step
    uncached = AutocastKwargs(cache_enabled=False)
    return Accelerator(
        mixed_precision=precision, cpu=device.type == "cpu", kwargs_handlers=[uncached]
    )


def _place(players: Players, accelerator: Accelerator, device: torch.device) -> None:
    """Move everything to the device, channels last; every process starts from the first one's."""
    players.accelerator = accelerator
    for module in (players.G, players.D, players.G_avg.module):
        module.to(device=device, memory_format=torch.channels_last)
        for tensor in (*module.parameters(), *module.buffers()) if accelerator.num_processes > 1 else ():
            tensor.data.copy_(broadcast(tensor.data.contiguous()))
    for optimiser in (players.opt_G, players.opt_D):
        optimiser.load_state_dict(optimiser.state_dict())  # an earlier fit's state follows its weights
    players.G.train()
    players.D.train()


def _seed(device: torch.device, seed: int) -> None:
    # torch.manual_seed would also ask after devices that this run does not use, at each step
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def _parameters(optimiser: torch.optim.Optimizer) -> list[Tensor]:
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


def _check_batches(batches: Any, needed: int) -> None:
    if not hasattr(batches, "__getitem__") or isinstance(batches, IterableDataset | Mapping | str):
        raise TypeError(
            f"fit: batches: found a {type(batches).__name__}, expected batches[i] to be the batch "
            "of step i (such as t2i_utils.data.captioned.Batches, or a list)"
        )
    if hasattr(batches, "__len__") and len(batches) < needed:
        raise ValueError(f"fit: batches: found {len(batches)} of them, expected at least {needed}")


def _to_device(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, Tensor):
        layout = torch.channels_last if batch.dim() == 4 else torch.preserve_format
        return batch.to(device, non_blocking=True, memory_format=layout)
    if hasattr(batch, "to"):
        return batch.to(device, torch.channels_last)
    if isinstance(batch, Mapping):
        return {name: _to_device(part, device) for name, part in batch.items()}
    if isinstance(batch, tuple | list):
        return type(batch)([_to_device(part, device) for part in batch])
    if batch is None or isinstance(batch, str | bool | int | float):
        return batch
    raise TypeError(
        f"fit: a batch holds a {type(batch).__name__}, expected tensors, tuples, lists or dicts of "
        "them, or an object with .to(device, memory_format)"
    )


@torch.no_grad()
def _snapshot(players: Players, snapshot: Callable[[Players], Tensor]) -> Tensor:
    """What the caller draws, on the CPU; every module is left in the mode it was in."""
    modules = [m for who in (players.G, players.D, players.G_avg) for m in who.modules()]
    modes = [module.training for module in modules]
    images = snapshot(players)
    for module, mode in zip(modules, modes, strict=True):
        module.training = mode
    if not isinstance(images, Tensor):
        raise TypeError(f"snapshot: found a {type(images).__name__}, expected a tensor of images")
    return images.detach().cpu().clone(memory_format=torch.contiguous_format)


def _check_weights(players: Players, step: int, run_dir: Path | None) -> None:
    """Raise TrainingDiverged naming the first weight that is not finite; one wait for all of them."""
    named = {
        f"{who}'s {name}": value
        for who in ("G", "D", "G_avg")
        for name, value in getattr(players, who).state_dict().items()
        if value.is_floating_point()
    }
    finite = torch.stack([value.isfinite().all() for value in named.values()]).tolist()
    for name, good in zip(named, finite, strict=True):
        if not good:
            raise TrainingDiverged(step, name, "nan or inf in it", run_dir)
