"""Training: `fit` runs the step function that a notebook wrote, and does everything around it.

A step function owns the mathematics: `step(players, batch)` computes the losses, calls
`players.update_D` and `players.update_G`, and returns what is to be measured. `fit` owns devices,
precision, processes, logs, progress, checkpoints, and stopping where numbers stop being numbers.
"""

import errno
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
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

from t2i_utils import checkpoints, files, runs
from t2i_utils.checkpoints import CHECKPOINT, CheckpointError, History
from t2i_utils.interrupts import interruptible
from t2i_utils.lesson import seed_for, working_device
from t2i_utils.logs import Log, TrainingDiverged

PRECISIONS = ("no", "bf16", "fp16")
ONE_AT_A_TIME = threading.Lock()


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
        self._masks = {name for name, buffer in self.G.named_buffers()
                       if not buffer.is_meta and buffer.isinf().any()}  # fmt: skip
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
            warnings.warn(f"update_D: D's loss sent gradients into G ({leak}); give D the fake "
                          "images detached: D(fake.detach(), ...)", stacklevel=2)

    def update_G(self, loss: Float[Tensor, ""]) -> None:
        """One step of G down its loss. Inside `frozen(D)` no gradients for D's weights are made."""
        self._update(self.opt_G, loss)

    def _update(self, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        self.opt_G.zero_grad(set_to_none=True)
        self.opt_D.zero_grad(set_to_none=True)
        kind = loss.device.type
        casts = torch.amp.is_autocast_available(kind)  # not on every device
        # backward chooses its own precision
        with torch.autocast(kind, enabled=False) if casts else nullcontext():
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
        is the first time. Whole numbers (batches seen) are copied, not averaged; so is a mask that
        holds inf.
        """
        average, G = self.G_avg.module, self.G
        seen = self.G_avg.n_averaged = self.G_avg.n_averaged.cpu()
        means = [*average.parameters(), *average.buffers()]
        current = [*G.named_parameters(), *G.named_buffers()]
        moved = []
        for mean, (name, now) in zip(means, current, strict=True):
            if seen == 0 or not mean.is_floating_point() or name in self._masks:
                mean.copy_(now)
            else:
                moved.append((mean, now))
        if moved:
            self.G_avg.multi_avg_fn(*map(list, zip(*moved, strict=True)), seen)
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


def steps_in(epochs: int, pictures: int, batch_size: int) -> int:
    """How many steps pass over so many pictures `epochs` times; the last one may begin another."""
    return -(-epochs * pictures // batch_size)


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
    interrupt, at the end. Where it holds one, fit goes on from it, on a CPU to the same bits, if it
    is the same run: see `runs.identity`; a learning rate may be another. One process at a time.
    `snapshot(players)` gives images [N, C, S, S] (uint8, or floats in [-1, 1]) for the history,
    every `snapshot_every` steps (None: with each checkpoint).
    `precision`: "no" (float32), "bf16", or "fp16" (CUDA only; its loss scaling waits for the device
    at each update unless the optimisers are made with fused=True).
    SIGINT or SIGTERM: the step is finished and saved, then the signal goes through: Interrupted, a
    KeyboardInterrupt, leaves fit, the players as they stand. A second one raises at once.

    Several processes: `torchrun --nproc-per-node 2 script.py`, on a CPU too; in a notebook
    accelerate's `notebook_launcher(function, num_processes=2)`, after other calls of fit as well,
    but on GPUs only before the kernel has used one. `accelerate launch` starts a single process on
    a CPU, whatever it is told, and does not say so.

    Raises TrainingDiverged; TypeError or ValueError for arguments, batches or values of the step
    function that are not as above; CheckpointError for a run_dir that holds another run,
    files.Held for one that another process has, OSError for one that cannot be written.
    """
    snapshot_every = snapshot_every or checkpoint_every
    _check_counts(steps=steps, log_every=log_every, checkpoint_every=checkpoint_every,
                  snapshot_every=snapshot_every)  # fmt: skip
    run_dir = _checked_folder(run_dir)
    path = run_dir / CHECKPOINT if run_dir else None
    with (
        interruptible() as interrupt,
        _accelerated(players, precision, device) as (accelerator, device),
        _alone_in(run_dir, accelerator),
        torch.random.fork_rng([device] if device.type == "cuda" else []),
    ):
        rank, processes = accelerator.process_index, accelerator.num_processes
        _check_batches(batches, steps * processes)
        what = runs.identity(players, batches, step_fn, processes, precision) if path else {}
        history = _begun(path, players, seed, steps, what, said=progress and rank == 0)
        interrupt.of(history, steps, path)
        if history.steps >= steps:
            return history
        begun = history.steps
        mine = range(begun * processes + rank, steps * processes, processes)
        with Log(history, accelerator, run_dir, steps, progress) as log:
            for step, batch in enumerate(_loader(batches, mine, device), start=begun):
                if interrupt.came and processes == 1 and step == begun:
                    break  # before the first step; later ones are done and saved
                batch = _to_device(batch, device)
                torch.manual_seed(seed_for(seed, "step", step, rank))
                with accelerator.autocast():
                    log.keep(step_fn(players, batch))
                if processes > 1:  # one model: BatchNorm's statistics too
                    buffers = [*players.G.buffers(), *players.D.buffers()]
                    _mean_over_processes(accelerator, buffers)
                players.average()
                for scheduler in players.schedulers:
                    scheduler.step()

                done = step + 1
                stop = interrupt.came
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
                        checkpoints.save(path, players, history, done, seed, what)
                    accelerator.wait_for_everyone()
                if stop:
                    interrupt.came = True
                    break
    if progress and rank == 0:
        print(f"{history.steps} steps in {history.seconds:.0f} s")
    return history


# ---- around the steps -------------------------------------------------------------------------


def _begun(
    path: Path | None, players: Players, seed: int, steps: int, what: dict, said: bool
) -> History:
    """The history to go on from: of the checkpoint, now in the players, or a new one."""
    if path is None or not path.exists():
        return History()
    checkpoint = checkpoints.read(path)
    if checkpoint.seed != seed:
        raise CheckpointError(f"{path}: found a run with seed {checkpoint.seed}, expected seed "
                              f"{seed}; use that seed or another run_dir")
    changes = runs.take_over(checkpoint, what, players)
    done = checkpoint.step
    going = f"going on from step {done} of {steps}: {path}"
    if done >= steps:
        going = f"complete, nothing to do: {path} has {done:,} steps, {steps:,} were asked for"
    if said:
        print(going)
    if players.accelerator.is_main_process:
        print(*changes, sep="\n", end="\n" if changes else "")
    return checkpoint.history


def _loader(batches: Any, mine: range, device: torch.device) -> DataLoader:
    on_gpu = device.type == "cuda"
    return DataLoader(_Numbered(batches), batch_size=None, sampler=mine, num_workers=2 * on_gpu,
                      pin_memory=on_gpu)  # fmt: skip


@dataclass
class _Numbered:
    """batches[i], where a StopIteration is an error and no end."""

    batches: Any

    def __getitem__(self, i: int) -> Any:
        try:
            return self.batches[i]
        except StopIteration as error:
            raise RuntimeError(f"fit: batches[{i}]: found StopIteration, expected a batch") \
                from error  # fmt: skip


@contextmanager
def _alone_in(run_dir: Path | None, accelerator: Accelerator) -> Iterator[None]:
    """Inside, the processes of this run alone are at run_dir; files.Held where others are."""
    with ExitStack() as stack:
        refusal = None
        if run_dir is not None and accelerator.is_main_process:
            try:
                advice = "let it end, or use another run_dir"
                stack.enter_context(files.held(run_dir / CHECKPOINT, wait=False, advice=advice))
            except OSError as error:
                refusal = error
        if accelerator.num_processes > 1 and _any_process(accelerator, refusal is not None):
            refusal = refusal or files.Held(errno.EBUSY, "refused to the first process", run_dir)
        if refusal is not None:
            raise refusal
        yield


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


@contextmanager
def _accelerated(
    players: Players, precision: str, device: torch.device | str | None
) -> Iterator[tuple[Accelerator, torch.device]]:
    """Inside, accelerate does precision and processes, and everything is on the device.

    Afterwards accelerate is as if never used: its launchers refuse to start where it was. Its state
    is the whole program's, so there is one fit at a time.
    """
    if not ONE_AT_A_TIME.acquire(blocking=False):
        raise RuntimeError("fit: found another call of fit at work in this process, expected one "
                           "at a time; train beside it in a process of its own")  # fmt: skip
    try:
        accelerator, device = _accelerator(precision, device)
        _place(players, accelerator, device)
        yield accelerator, device
    finally:
        players.accelerator = None
        AcceleratorState._reset_state(reset_partial_state=True)
        ONE_AT_A_TIME.release()


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
    # accelerate keeps one state for the whole program; somebody may have used it before
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
    raise TypeError(f"fit: a batch holds a {type(batch).__name__}, expected tensors, tuples, lists "
                    "or dicts of them, or an object with .to(device, memory_format)")


# ---- checks -----------------------------------------------------------------------------------


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"fit: {name}: found {count}, expected at least 1")


def _check_batches(batches: Any, needed: int) -> None:
    if not hasattr(batches, "__getitem__") or isinstance(batches, IterableDataset | Mapping | str):
        raise TypeError(f"fit: batches: found a {type(batches).__name__}, expected batches[i] to "
                        "be the batch of step i (such as t2i_utils.data.captioned.Batches, or a "
                        "list)")
    if hasattr(batches, "__len__") and len(batches) < needed:
        raise ValueError(f"fit: batches: found {len(batches)} of them, expected at least {needed}")


def _checked_folder(run_dir: str | Path | None) -> Path | None:
    if run_dir is None:
        return None
    if not str(run_dir):
        raise ValueError("fit: run_dir: found '', expected a folder, or None to keep nothing")
    run_dir = files.expanded(run_dir).absolute()  # wherever the training may move to
    if not run_dir.is_dir() and (run_dir.exists() or run_dir.is_symlink()):
        found = "a file" if run_dir.exists() else "a link to nothing"
        raise NotADirectoryError(
            errno.ENOTDIR, f"fit: run_dir: found {found}, expected a folder", str(run_dir)
        )
    return run_dir


def _check_weights(players: Players, step: int, run_dir: Path | None) -> None:
    """Raise TrainingDiverged naming the first weight or moment that is no number; one wait.

    A buffer, such as a mask, may hold inf.
    """
    sound = {}
    for who in checkpoints.NETWORKS:
        weights = dict(getattr(players, who).named_parameters())
        for name, value in getattr(players, who).state_dict().items():
            if value.is_floating_point():
                numbers = value.isfinite() if name in weights else ~value.isnan()
                sound[f"{who}'s {name}"] = numbers.all()
    for who in checkpoints.OPTIMISERS:
        for i, entries in getattr(players, who).state_dict()["state"].items():
            for name, value in entries.items():
                if isinstance(value, Tensor) and value.dim():
                    sound[f"{who}'s {i}/{name}"] = value.isfinite().all()
    whole = torch.stack(list(sound.values())).tolist()
    if not all(whole):
        raise TrainingDiverged(step, list(sound)[whole.index(False)], "nan or inf in it", run_dir)
