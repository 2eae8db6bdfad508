"""Checkpoints that lose nothing: one safetensors file, written whole or not at all, no pickles.

A checkpoint is everything that a run needs to go on as if it had never stopped: both players, the
averaged generator, both optimisers, the schedulers, the loss scaler, and what was measured so far.
Randomness is not in it: step i seeds itself (see `training.fit`).
"""

import errno
import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

FORMAT = "t2i_utils checkpoint 1"
PARTS = "t2i_utils parts 1"
NETWORKS = ("G", "D", "G_avg")
OPTIMISERS = ("opt_G", "opt_D")


class CheckpointError(RuntimeError):
    """A file is not what it should be: says which file, what was found, what is expected."""


class History(dict):
    """What a run measured: name → Float32 [steps], one value per step (NaN where a step gave none).

    `steps`: steps done; `seconds`: time they took, all sittings together; `snapshots`: step →
    images as the caller's `snapshot` gave them; `interrupted`: whether the last `fit` was stopped.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.steps: int = 0
        self.seconds: float = 0.0
        self.snapshots: dict[int, Tensor] = {}
        self.interrupted: bool = False

    def append(self, values: dict[str, Tensor], steps: int) -> None:
        """Add `steps` more steps; `values` maps a name to its Float32 [steps]."""
        for name in dict.fromkeys([*self, *values]):
            before = self.get(name, torch.full((self.steps,), torch.nan))
            self[name] = torch.cat([before, values.get(name, torch.full((steps,), torch.nan))])
        self.steps += steps


# ---- whole runs -------------------------------------------------------------------------------


def save(path: str | Path, players, history: History, step: int, seed: int) -> None:
    """Write a run's whole state to `path`, atomically: a failure leaves the file before it.

    `players` is a `training.Players`. Raises OSError naming file, bytes needed and bytes free when
    the disk is full, TypeError naming what cannot be stored.
    """
    tensors = _network_tensors(players)
    rest = {name: getattr(players, name).state_dict() for name in OPTIMISERS}
    rest["schedulers"] = [scheduler.state_dict() for scheduler in players.schedulers]
    rest["scaler"] = players.scaler.state_dict() if players.scaler is not None else None
    rest["history"] = dict(history)
    rest["snapshots"] = history.snapshots
    metadata = {
        "format": FORMAT,
        "step": str(step),
        "seed": str(seed),
        "seconds": repr(history.seconds),
        "kinds": json.dumps(_kinds(players)),
        "rest": json.dumps(_pack(rest, "rest", tensors)),
    }
    _write(Path(path), tensors, metadata)


def load(path: str | Path, players, seed: int | None = None) -> tuple[History, int]:
    """Read a run's state from `path` into `players`; returns its history and the steps done.

    Everything is checked before anything is loaded: after an error `players` is as it was.
    Raises FileNotFoundError, and CheckpointError for a file that is cut short, is no checkpoint, is
    another model's (naming the first tensor that differs), or was run with another seed.
    """
    with _open(path) as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise CheckpointError(
                f"{path}: found format {metadata.get('format')!r}, expected {FORMAT!r}"
            )
        if seed is not None and int(metadata["seed"]) != seed:
            raise CheckpointError(
                f"{path}: found a run with seed {metadata['seed']}, expected seed {seed}; "
                "use that seed or another run_dir"
            )
        networks = _network_tensors(players)
        stored = [name for name in file.keys() if name.startswith(NETWORKS_PREFIXES)]
        _check_tensors(path, file, stored, networks)
        for kind, expected in _kinds(players).items():
            found = json.loads(metadata["kinds"]).get(kind)
            if found != expected:
                raise CheckpointError(f"{path}: {kind}: found {found}, expected {expected}")
        rest = _unpack(json.loads(metadata["rest"]), file)
        values = {name: file.get_tensor(name) for name in stored}

    for name in NETWORKS:
        cut = len(name) + 1
        state = {key[cut:]: value for key, value in values.items() if key[:cut] == f"{name}/"}
        getattr(players, name).load_state_dict(state)
    for name in OPTIMISERS:
        _load_optimiser(getattr(players, name), rest[name])
    for scheduler, state in zip(players.schedulers, rest["schedulers"], strict=True):
        scheduler.load_state_dict(state)
    if players.scaler is not None and rest["scaler"]:
        players.scaler.load_state_dict(rest["scaler"])
    history = History(rest["history"])
    history.steps, history.seconds = int(metadata["step"]), float(metadata["seconds"])
    history.snapshots = rest["snapshots"]
    return history, history.steps


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
    with _open(path) as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != PARTS:
            raise CheckpointError(
                f"{path}: found format {metadata.get('format')!r}, expected {PARTS!r}"
            )
        states = _unpack(json.loads(metadata["rest"]), file)
    if states.keys() != parts.keys():
        raise CheckpointError(f"{path}: found {sorted(states)}, expected {sorted(parts)}")
    for name, part in parts.items():
        _check_part(path, name, part, states[name])
    for name, part in parts.items():
        if isinstance(part, torch.optim.Optimizer):
            _load_optimiser(part, states[name])
        else:
            part.load_state_dict(states[name])
    return int(metadata["step"])


def _check_part(path, name: str, part, state: dict) -> None:
    """Raise CheckpointError where a part's state does not fit it."""
    if isinstance(part, torch.optim.Optimizer):
        weights = [p for group in part.param_groups for p in group["params"]]
        expected = {f"{i}/{key}": weights[i].shape if value.dim() else value.shape
                    for i, entries in state["state"].items() if i < len(weights)
                    for key, value in entries.items() if isinstance(value, Tensor)}  # fmt: skip
        found = {f"{i}/{key}": value.shape for i, entries in state["state"].items()
                 for key, value in entries.items() if isinstance(value, Tensor)}  # fmt: skip
    else:
        expected = {key: value.shape for key, value in part.state_dict().items()}
        found = {key: value.shape for key, value in state.items()}
    for key in [*expected, *(key for key in found if key not in expected)]:
        if found.get(key) != expected.get(key):
            shapes = [list(s[key]) if key in s else "none" for s in (found, expected)]
            raise CheckpointError(f"{path}: {name}: {key}: found {shapes[0]}, expected {shapes[1]}")


# ---- weights alone ----------------------------------------------------------------------------


def save_weights(
    path: str | Path, module: nn.Module, card: dict[str, str], dtype: torch.dtype | None = None
) -> None:
    """Write a module's weights and a card (what they are, from where) to `path`, atomically.

    `dtype=torch.float16` halves the file; integers stay as they are. Raises ValueError naming a
    weight that does not fit into `dtype`, and OSError as `save` does.
    """
    tensors = {}
    for name, value in module.state_dict().items():
        value = value.to(dtype) if dtype and value.is_floating_point() else value
        if not torch.isfinite(value).all():
            raise ValueError(f"{path}: weight {name}: found inf or nan, expected {value.dtype}")
        tensors[name] = value
    _write(Path(path), tensors, dict(card))


def load_weights(path: str | Path, module: nn.Module) -> dict[str, str]:
    """Read weights into `module`, in the module's own precision; returns the card.

    Raises FileNotFoundError, and CheckpointError as `load` does; then `module` is as it was.
    """
    with _open(path) as file:
        stored = list(file.keys())
        _check_tensors(path, file, stored, module.state_dict())
        module.load_state_dict({name: file.get_tensor(name) for name in stored})
        return file.metadata() or {}


def read_card(path: str | Path) -> dict[str, str]:
    """The card of a file of weights: what they are, from where. Raises as `load_weights` does."""
    with _open(path) as file:
        return file.metadata() or {}


# ---- what they stand on -----------------------------------------------------------------------

NETWORKS_PREFIXES = tuple(f"{name}/" for name in NETWORKS)


def _network_tensors(players) -> dict[str, Tensor]:
    return {
        f"{name}/{key}": value
        for name in NETWORKS
        for key, value in getattr(players, name).state_dict().items()
    }


def _kinds(players) -> dict[str, Any]:
    """What must agree besides the weights for a state to be loadable."""
    kinds: dict[str, Any] = {}
    for name in OPTIMISERS:
        optimiser = getattr(players, name)
        groups = [len(group["params"]) for group in optimiser.param_groups]
        kinds[name] = f"{type(optimiser).__name__} of {groups} parameters"
    kinds["schedulers"] = [type(scheduler).__name__ for scheduler in players.schedulers]
    return kinds


def _load_optimiser(optimiser: torch.optim.Optimizer, state: dict) -> None:
    # In the memory format of its parameter, as a fresh state would be: sums in another order of
    # memory could round differently, and the resumed run would no longer be the same run.
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    for index, entries in state["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor) and value.shape == parameters[index].shape and value.dim():
                entries[key] = torch.empty_like(parameters[index], dtype=value.dtype).copy_(value)
    optimiser.load_state_dict(state)


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


def _unpack(packed: Any, file) -> Any:
    if not isinstance(packed, dict):
        return packed
    (kind, value), = packed.items()
    if kind == "tensor":
        return file.get_tensor(value)
    if kind in ("dict", "counter"):
        pairs = {key: _unpack(item, file) for key, item in value}
        return Counter(pairs) if kind == "counter" else pairs
    items = [_unpack(item, file) for item in value]
    return tuple(items) if kind == "tuple" else items


def _open(path: str | Path):
    if not Path(path).is_file():
        raise FileNotFoundError(errno.ENOENT, "no such safetensors file", str(path))
    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: found {Path(path).stat().st_size} bytes, cut short or of something else "
            f"({error}), expected a whole safetensors file"
        ) from error


def _check_tensors(path, file, stored: list[str], expected: dict[str, Tensor]) -> None:
    """Raise CheckpointError naming the first tensor that is missing, misshapen, or too many."""
    other = f"{path} does not fit this model: tensor"
    for name, value in expected.items():
        if name not in stored:
            raise CheckpointError(f"{other} {name}: found none, expected {list(value.shape)}")
        shape = list(file.get_slice(name).get_shape())
        if shape != list(value.shape):
            raise CheckpointError(f"{other} {name}: found {shape}, expected {list(value.shape)}")
    for name in stored:
        if name not in expected:
            shape = list(file.get_slice(name).get_shape())
            raise CheckpointError(f"{other} {name}: found {shape}, expected none")


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write beside `path`, see that it is on the disk, and only then put it in its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Always the same name: what a killed process left there, the next save writes over.
    temporary = path.with_name(f".{path.name}.tmp")
    whole: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        if tensor.untyped_storage().data_ptr() in storages:  # shared weights are stored twice
            tensor = tensor.clone()
        storages.add(tensor.untyped_storage().data_ptr())
        whole[name] = tensor
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(whole, temporary, metadata)
        temporary.chmod(mode)  # as any new file here; safetensors would let only its owner read it
        _to_disk(temporary)
        os.replace(temporary, path)
        _to_disk(path.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if not _is_disk_full(error):
            raise
        needed = sum(tensor.nbytes for tensor in whole.values())
        free = shutil.disk_usage(path.parent).free
        kept = "the one before it is kept" if path.exists() else "nothing was written"
        message = f"disk full: {needed:,} bytes needed, {free:,} free; {kept}"
        raise OSError(errno.ENOSPC, message, str(path)) from error


def _is_disk_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, SafetensorError) and "No space left" in str(error)


def _to_disk(path: Path) -> None:
    if os.name == "nt" and path.is_dir():  # Windows has no handle to a folder
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
