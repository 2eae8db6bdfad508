"""Checkpoints that lose nothing: one safetensors file, written whole or not at all, no pickles.

A checkpoint is everything that a run needs to go on as if it had never stopped: both players, the
averaged generator, both optimisers, the schedulers, the loss scaler, what was measured so far, and
what the run is (see `runs`). Randomness is not in it: step i seeds itself (see `training.fit`).
Each file carries the SHA-256 of its content: a bit that flipped on the way is noticed.
"""

import errno
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from t2i_utils import files

CHECKPOINT = "checkpoint.safetensors"  # in a run_dir
FORMAT = "t2i_utils checkpoint 2"
PARTS = "t2i_utils parts 2"
NETWORKS = ("G", "D", "G_avg")
OPTIMISERS = ("opt_G", "opt_D")
Network = TypeVar("Network", bound=nn.Module)


class CheckpointError(RuntimeError):
    """A file is not what it should be: says which file, what was found, what is expected."""


class History(dict):
    """What a run measured: name → Float32 [steps], one value per step (NaN where a step gave none).

    `steps`: steps done; `seconds`: time they took, all sittings together; `snapshots`: step →
    images as the caller's `snapshot` gave them.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.steps: int = 0
        self.seconds: float = 0.0
        self.snapshots: dict[int, Tensor] = {}
        self._room: dict[str, Tensor] = {}  # longer than what it holds: see `append`

    def append(self, values: dict[str, Tensor], steps: int) -> None:
        """Add `steps` more steps; `values` maps a name to its Float32 [steps]."""
        done, self.steps = self.steps, self.steps + steps
        for name in dict.fromkeys([*self, *values]):
            before = self.get(name, torch.full((done,), torch.nan))
            room = self._room.get(name, before)
            own = room.data_ptr() == before.data_ptr()  # and not what a reader put there
            if not own or len(room) < self.steps:
                # twice as much as needed: then it is seldom copied
                self._room[name] = room = torch.full((2 * self.steps,), torch.nan)
                room[:done] = before
            room[done : self.steps] = values.get(name, torch.tensor(torch.nan))
            self[name] = room[: self.steps]


# ---- whole runs -------------------------------------------------------------------------------


@dataclass
class Checkpoint:
    """A run's state as it was read, whole and unchanged: not yet in any players."""

    path: Path
    step: int
    seed: int
    run: dict[str, Any]  # what the run is, as `save` was told
    kinds: dict[str, Any]  # of optimisers and schedulers
    networks: dict[str, dict[str, Tensor]]
    optimisers: dict[str, dict]
    schedulers: list[dict]
    scaler: dict | None
    history: History = field(repr=False)


def save(
    path: str | Path, players, history: History, step: int, seed: int,
    run: Mapping[str, Any] | None = None,
) -> None:
    """Write a run's whole state to `path`, atomically: a failure leaves the file before it.

    `players` is a `training.Players`; `run` says in JSON's terms what the run is. Raises OSError
    naming file, bytes needed and bytes free where the disk refuses, TypeError naming what cannot
    be stored.
    """
    tensors = {f"{name}/{key}": value for name in NETWORKS
               for key, value in getattr(players, name).state_dict().items()}
    rest = {name: getattr(players, name).state_dict() for name in OPTIMISERS}
    rest["schedulers"] = [scheduler.state_dict() for scheduler in players.schedulers]
    rest["scaler"] = players.scaler.state_dict() if players.scaler is not None else None
    rest["history"] = dict(history)
    rest["snapshots"] = history.snapshots
    metadata = {
        "format": FORMAT, "step": str(step), "seed": str(seed), "seconds": repr(history.seconds),
        "run": json.dumps(dict(run or {})),
        "kinds": json.dumps(_kinds(players)),
        "rest": json.dumps(_pack(rest, "rest", tensors)),
    }
    _write(Path(path), tensors, metadata)


def load(path: str | Path, players, seed: int | None = None) -> tuple[History, int]:
    """Read a run's state from `path` into `players`; returns its history and the steps done.

    Everything is checked before anything is loaded: after an error `players` is as it was.
    Raises FileNotFoundError, and CheckpointError for a file that is cut short or damaged, is no
    checkpoint, is another model's (naming the first tensor that differs), holds what is no number,
    or was run with another seed.
    """
    checkpoint = read(path)
    if seed is not None and checkpoint.seed != seed:
        raise CheckpointError(f"{path}: found a run with seed {checkpoint.seed}, expected seed "
                              f"{seed}; use that seed or another run_dir")
    restore(checkpoint, players)
    return checkpoint.history, checkpoint.step


def read(path: str | Path) -> Checkpoint:
    """Read and check a checkpoint, without players. Raises as `load` does."""
    tensors, metadata = _read(path)
    _check_format(path, metadata, FORMAT)
    try:
        rest = _unpack(json.loads(metadata["rest"]), tensors)
        history = History(rest["history"])
        history.steps, history.seconds = int(metadata["step"]), float(metadata["seconds"])
        history.snapshots = rest["snapshots"]
        networks = {name: _without(f"{name}/", tensors) for name in NETWORKS}
        checkpoint = Checkpoint(
            Path(path), history.steps, int(metadata["seed"]), json.loads(metadata["run"]),
            json.loads(metadata["kinds"]), networks, {name: rest[name] for name in OPTIMISERS},
            rest["schedulers"], rest["scaler"], history,
        )  # fmt: skip
    except Exception as error:  # whatever a file written by something else may lead to
        words = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{path}: found no complete run in it ({words})") from error
    _check_history(path, history)
    for name, state in networks.items():
        _check_finite(path, name, state, inf=True)
    for name, state in checkpoint.optimisers.items():
        _check_finite(path, name, state)
    return checkpoint


def restore(checkpoint: Checkpoint, players) -> None:
    """Load what was read into `players`, if all of it fits; else CheckpointError, nothing changed.

    A scheduler's or an optimiser's settings are those of the checkpoint: see `runs.take_over`.
    """
    path = checkpoint.path
    for name in NETWORKS:
        state, part = checkpoint.networks[name], getattr(players, name)
        _check_part(path, name, part, state)
        _check_finite(path, name, {key: state[key] for key, _ in part.named_parameters()})
    for name, expected in _kinds(players).items():
        if (found := checkpoint.kinds.get(name)) != expected:
            raise CheckpointError(f"{path}: {name}: found {found}, expected {expected}")
    for name in OPTIMISERS:
        _check_part(path, name, getattr(players, name), checkpoint.optimisers[name])
    for scheduler, state in zip(players.schedulers, checkpoint.schedulers, strict=True):
        found, expected = sorted(state), sorted(scheduler.state_dict())
        if found != expected:
            kind = type(scheduler).__name__
            raise CheckpointError(f"{path}: {kind}: found {found}, expected {expected}")

    for name in NETWORKS:
        getattr(players, name).load_state_dict(checkpoint.networks[name])
    for name in OPTIMISERS:
        _load_optimiser(getattr(players, name), checkpoint.optimisers[name])
    for scheduler, state in zip(players.schedulers, checkpoint.schedulers, strict=True):
        scheduler.load_state_dict(state)
    if players.scaler is not None and checkpoint.scaler:
        players.scaler.load_state_dict(checkpoint.scaler)


def save_parts(path: str | Path, step: int, **parts) -> None:
    """Write the states of networks and optimisers to `path`, atomically; a run without players."""
    tensors: dict[str, Tensor] = {}
    rest = {name: part.state_dict() for name, part in parts.items()}
    packed = json.dumps(_pack(rest, "parts", tensors))
    _write(Path(path), tensors, {"format": PARTS, "step": str(step), "rest": packed})


def load_parts(path: str | Path, **parts) -> int:
    """Read what `save_parts` wrote into the same parts; returns the step.

    Raises FileNotFoundError, and CheckpointError for a file of another kind or of other parts,
    naming the first tensor that differs; then the parts are as they were.
    """
    tensors, metadata = _read(path)
    _check_format(path, metadata, PARTS)
    try:
        states, step = _unpack(json.loads(metadata["rest"]), tensors), int(metadata["step"])
    except Exception as error:  # whatever a file written by something else may lead to
        words = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{path}: found no complete parts in it ({words})") from error
    if states.keys() != parts.keys():
        raise CheckpointError(f"{path}: found {sorted(states)}, expected {sorted(parts)}")
    for name, part in parts.items():
        _check_part(path, name, part, states[name])
        _check_finite(path, name, states[name])
    for name, part in parts.items():
        if isinstance(part, torch.optim.Optimizer):
            _load_optimiser(part, states[name])
        else:
            part.load_state_dict(states[name])
    return step


# ---- weights alone ----------------------------------------------------------------------------


def save_weights(
    path: str | Path, module: nn.Module, card: dict[str, str], dtype: torch.dtype | None = None
) -> None:
    """Write a module's weights and a card (what they are, from where) to `path`, atomically.

    `dtype=torch.float16` halves the file; buffers stay as they are (a batch norm's variance may be
    larger than float16 can say). Raises ValueError naming a weight that does not fit into `dtype`,
    and OSError as `save` does.
    """
    tensors, buffers = {}, {name for name, _ in module.named_buffers()}
    for name, value in module.state_dict().items():
        halved = dtype and value.is_floating_point() and name not in buffers
        value = value.to(dtype) if halved else value
        if not torch.isfinite(value).all():
            raise ValueError(f"{path}: weight {name}: found inf or nan, expected {value.dtype}")
        tensors[name] = value
    _write(Path(path), tensors, dict(card))


def load_weights(path: str | Path, module: nn.Module) -> dict[str, str]:
    """Read weights into `module`, in the module's own precision; returns the card.

    Raises FileNotFoundError, and CheckpointError as `load` does; then `module` is as it was.
    """
    tensors, card = _read(path)
    _check_tensors(path, "", tensors, module.state_dict())
    _check_finite(path, "weights", tensors)
    module.load_state_dict(tensors)
    return card


def load_network(path: str | Path, kind: type[Network]) -> Network:
    """A `kind` of the widths in a file's card, with its weights: on the CPU, frozen, in eval mode.

    Raises FileNotFoundError, and CheckpointError where the file does not hold such a network.
    """
    card, name = read_card(path), kind.__name__
    if "widths" not in card:
        raise CheckpointError(f"{path}: found no widths in its card, expected those of a {name}")
    try:
        network = kind(**json.loads(card["widths"]))
    except TypeError as error:
        found = card["widths"]
        raise CheckpointError(f"{path}: found widths {found}, expected a {name}'s") from error
    load_weights(path, network)
    return network.eval().requires_grad_(False)


def read_card(path: str | Path) -> dict[str, str]:
    """The card of a file of weights: what they are, from where. Raises as `load_weights` does."""
    return _read(path)[1]


# ---- does it fit? -----------------------------------------------------------------------------


def _check_format(path, metadata: dict[str, str], expected: str) -> None:
    if (found := metadata.get("format")) != expected:
        raise CheckpointError(f"{path}: found format {found!r}, expected {expected!r}")


def _check_history(path, history: History) -> None:
    """Raise CheckpointError unless the history is one of that many steps."""
    if history.steps < 0:
        raise CheckpointError(f"{path}: found step {history.steps}, expected 0 or more")
    for name, values in history.items():
        if not isinstance(name, str) or not isinstance(values, Tensor):
            raise CheckpointError(f"{path}: history {name!r}: found a {type(values).__name__}")
        if values.shape != (history.steps,):
            shapes = f"found {list(values.shape)}, expected [{history.steps}], one a step"
            raise CheckpointError(f"{path}: history {name}: {shapes}")
    for step, images in history.snapshots.items():
        if not isinstance(step, int) or step > history.steps or not isinstance(images, Tensor):
            expected = f"images, of steps up to {history.steps}"
            raise CheckpointError(f"{path}: snapshot of step {step!r}: expected {expected}")


def _check_finite(path, name: str, value: Any, inf: bool = False) -> None:
    """Raise CheckpointError naming the first tensor in a state that holds nan, or inf.

    `inf`: that may be; a constant buffer, such as a mask, may hold it.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            _check_finite(path, f"{name}/{key}", item, inf)
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _check_finite(path, f"{name}/{i}", item, inf)
    elif isinstance(value, Tensor):
        if not (~value.isnan() if inf else value.isfinite()).all():
            raise CheckpointError(f"{path}: {name}: found nan or inf, expected numbers")


def _kinds(players) -> dict[str, Any]:
    """What must agree besides the weights for a state to be loadable."""
    kinds: dict[str, Any] = {}
    for name in OPTIMISERS:
        optimiser = getattr(players, name)
        groups = [len(group["params"]) for group in optimiser.param_groups]
        kinds[name] = f"{type(optimiser).__name__} of {groups} parameters"
    kinds["schedulers"] = [
        f"{type(scheduler).__name__} of {_driven_by(scheduler, players)}"
        for scheduler in players.schedulers
    ]
    return kinds


def _driven_by(scheduler, players) -> str:
    """Which optimiser a scheduler drives, by name."""
    owner = getattr(scheduler, "optimizer", None)
    return next((name for name in OPTIMISERS if getattr(players, name) is owner), "another")


def _check_part(path, name: str, part, state: dict) -> None:
    """Raise CheckpointError where a network's or an optimiser's state does not fit it."""
    if not isinstance(part, torch.optim.Optimizer):
        return _check_tensors(path, f"{name}/", state, part.state_dict(), same_type=True)
    try:
        sizes = [len(group["params"]) for group in state["param_groups"]]
        moments = [(int(i), key, value) for i, entries in state["state"].items()
                   for key, value in entries.items() if isinstance(value, Tensor)]  # fmt: skip
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{path}: {name}: found no optimiser's state ({words})") from error
    weights = [p for group in part.param_groups for p in group["params"]]
    expected = [len(group["params"]) for group in part.param_groups]
    if sizes != expected:
        raise CheckpointError(f"{path}: {name}: found {sizes} parameters, expected {expected}")
    for i, key, value in moments:
        shape = list(weights[i].shape) if 0 <= i < len(weights) else None
        if shape is None or not _spreads_over(value.shape, shape):
            shapes = f"found {list(value.shape)}, expected {shape}"
            raise CheckpointError(f"{path}: {name}: {i}/{key}: {shapes}")


def _spreads_over(shape, weight: list[int]) -> bool:
    """Whether a moment is one number, of its weight's shape, or of some of its rows or columns."""
    few = len(shape) == len(weight)
    return not shape or few and all(n in (1, m) for n, m in zip(shape, weight, strict=True))


def _load_optimiser(optimiser: torch.optim.Optimizer, state: dict) -> None:
    # In the memory format of its parameter, as a fresh state would be: sums in another order of
    # memory could round differently, and the resumed run would no longer be the same run.
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    for index, entries in state["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor) and value.shape == parameters[index].shape and value.dim():
                entries[key] = torch.empty_like(parameters[index], dtype=value.dtype).copy_(value)
    optimiser.load_state_dict(state)


def _check_tensors(
    path, prefix: str, found: dict[str, Tensor], expected: dict[str, Tensor], same_type=False
) -> None:
    """Raise CheckpointError naming the first tensor that is missing, misshapen, or too many."""

    def described(tensors, name):
        if name not in tensors:
            return "none"
        precision = f" {tensors[name].dtype}".replace("torch.", "") if same_type else ""
        return f"{list(tensors[name].shape)}{precision}"

    for name in [*expected, *(name for name in found if name not in expected)]:
        ours, theirs = described(found, name), described(expected, name)
        if ours != theirs:
            words = f"tensor {prefix}{name}: found {ours}, expected {theirs}"
            raise CheckpointError(f"{path} does not fit this model: {words}")


# ---- the file ---------------------------------------------------------------------------------


def _without(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those of the tensors whose name begins so, by the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _pack(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON that gives it back exactly; its tensors go to `tensors` under `name`/…"""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):  # as pairs: JSON would turn the numbers of parameters into strings
        pairs = [[key, _pack(item, f"{name}/{key}", tensors)] for key, item in value.items()]
        return {"counter" if isinstance(value, Counter) else "dict": pairs}
    if isinstance(value, list | tuple):
        items = [_pack(item, f"{name}/{i}", tensors) for i, item in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": items}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name}: found {type(value).__name__}, expected tensors, numbers and strings")


def _unpack(packed: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(packed, dict):
        return packed
    (kind, value), = packed.items()
    if kind == "tensor":
        return tensors[value]
    if kind in ("dict", "counter"):
        pairs = {key: _unpack(item, tensors) for key, item in value}
        return Counter(pairs) if kind == "counter" else pairs
    items = [_unpack(item, tensors) for item in value]
    return tuple(items) if kind == "tuple" else items


def _digest(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    """SHA-256 over everything that a file holds: names, types, shapes, bytes, metadata."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _read(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """A file's tensors and metadata, as they were written. Raises as `load` does."""
    path = files.expanded(path)
    if path.is_dir():
        raise CheckpointError(f"{path}: found a folder, expected a safetensors file")
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "no such safetensors file", str(path))
    before = path.stat().st_ino
    try:
        return _read_once(path)
    except CheckpointError:
        if path.stat().st_ino == before:  # else a run has put a newer one in its place meanwhile
            raise
        return _read_once(path)


def _read_once(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except Exception as error:  # SafetensorError, JSONDecodeError, UnicodeDecodeError, ...
        raise CheckpointError(f"{path}: found {path.stat().st_size} bytes, cut short or of "
                              f"something else ({error}), expected a whole safetensors "
                              "file") from error
    found = metadata.pop("sha256", None)
    ours = metadata.get("format") in (FORMAT, PARTS)  # other files of weights may have none
    if (found is not None or ours) and found != (expected := _digest(tensors, metadata)):
        raise CheckpointError(f"{path}: damaged since it was written: found content of SHA-256 "
                              f"{expected[:12]}…, expected {str(found)[:12]}…")
    return tensors, metadata


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors and metadata, with the hash of both, whole or not at all."""
    whole: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        if tensor.untyped_storage().data_ptr() in storages:  # shared weights are stored twice
            tensor = tensor.clone()
        storages.add(tensor.untyped_storage().data_ptr())
        whole[name] = tensor
    needed = sum(tensor.nbytes for tensor in whole.values())
    there = files.expanded(path).exists()
    kept = "the one before it is kept" if there else "nothing was written"
    with files.whole(path, needed, f"{kept}; make room, or choose another folder") as draft:
        save_file(whole, draft, metadata | {"sha256": _digest(whole, metadata)})
