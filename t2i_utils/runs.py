"""What a run is: what must be the same for another sitting to go on with it, and what may change.

A checkpoint that fits the networks may still be another run's: of another batch size, other
pictures, other settings, another step function. `identity` says what a run is, in words and
numbers that a file can keep; `take_over` compares two of them, name by name.
"""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from t2i_utils.checkpoints import OPTIMISERS, Checkpoint, CheckpointError, restore
from t2i_utils.lesson import seed_for
from t2i_utils.sources import PLAIN, plain, source, sources, unwrapped

COMPARED = ("G", "D", "classes", "ema_decay", "processes", "batches", "first batch",
            "step function")  # fmt: skip
RATES = ("lr", "initial_lr", "max_lr", "min_lr")  # some of them where a scheduler drives


def identity(
    players, batches: Any, step_fn: Callable, processes: int = 1, precision: str = "no"
) -> dict[str, Any]:
    """What a run is, as JSON holds it: call it before the first step.

    Both networks as they print and the source of those of the step function's module, the average's
    decay, the optimisers' and schedulers' settings, what `batches.identity` says where it has that,
    the first batch in a few numbers, the source of the step function and of what it uses of its own
    module, the number of processes, the precision. Raises TypeError where `batches.identity` is no
    mapping.
    """
    named = getattr(batches, "identity", {})
    if not isinstance(named, Mapping):
        found = type(named).__name__
        raise TypeError(f"batches.identity: found a {found}, expected a mapping of names to values")
    what = {
        "G": plain(players.G), "D": plain(players.D), "classes": _classes(players, step_fn),
        "ema_decay": players.ema_decay,
        **{name: _settings(getattr(players, name)) for name in OPTIMISERS},
        "schedulers": [_scheduler_settings(scheduler) for scheduler in players.schedulers],
        "batches": plain(named), "first batch": _first_batch(batches),
        "step function": sources(step_fn), "processes": processes, "precision": precision,
    }
    return json.loads(json.dumps(what))


def _classes(players, step_fn: Callable) -> dict[str, str]:
    """The source of the networks' classes that stand where the step function does."""
    own = ("__main__", getattr(unwrapped(step_fn), "__module__", None))
    kinds = {type(part) for net in (players.G, players.D) for part in net.modules()}
    texts = {kind.__qualname__: source(kind) for kind in kinds if kind.__module__ in own}
    return {name: text for name, text in sorted(texts.items()) if text is not None}


def take_over(checkpoint: Checkpoint, run: dict[str, Any], players) -> list[str]:
    """Load a checkpoint into the players of the run that is to go on; what changed, in sentences.

    A learning rate may change: the one that the players came with holds from here on (under a
    scheduler, as if it had been so from the start); and so may the precision. `run` becomes what
    the next checkpoint is to say. Anything else that differs raises CheckpointError naming all of
    it, and the players stay as they were.
    """
    stored, path = checkpoint.run, checkpoint.path
    if not stored:
        restore(checkpoint, players)
        return [f"{path} does not say what run it is: only the networks were compared"]
    faults = [
        fault for name in COMPARED for fault in _differences(name, stored.get(name), run[name])
    ]
    rates = {name: _compare_settings(name, checkpoint, run, faults) for name in OPTIMISERS}
    _compare_schedulers(checkpoint, run, faults)
    fresh = all(getattr(scheduler, "last_epoch", 0) == 0 for scheduler in players.schedulers)
    for name in OPTIMISERS:
        if rates[name] and players.schedulers and not fresh:
            faults.append(f"{rates[name]}, under schedulers that have begun; expected new players")
    if faults:
        raise CheckpointError(f"{path} is another run: {'; '.join(faults)}. Use another run_dir, "
                              "or the same settings")
    given = {name: [dict(group) for group in getattr(players, name).param_groups]
             for name in OPTIMISERS if rates[name]}  # fmt: skip
    schedules = [scheduler.state_dict() for scheduler in players.schedulers]
    restore(checkpoint, players)
    for name, groups in given.items():
        for group, asked in zip(getattr(players, name).param_groups, groups, strict=True):
            group.update({key: asked[key] for key in asked if key != "params"})
    for scheduler, state in zip(players.schedulers, schedules, strict=True):
        if any(scheduler.optimizer is getattr(players, name) for name in given):
            scheduler.load_state_dict(state)
            _fast_forward(scheduler, checkpoint.step)
    changes = [rates[name] for name in given]
    if (before := stored.get("precision")) != run["precision"]:
        changes.append(f"precision: {before} → {run['precision']}")
    return [f"{change} from step {checkpoint.step} on" for change in changes]


def _fast_forward(scheduler, steps: int) -> None:
    """Take a scheduler that has not begun to where it stands after so many steps."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
        for _ in range(steps):
            scheduler.step()


# ---- settings ---------------------------------------------------------------------------------


def _settings(optimiser: torch.optim.Optimizer | Mapping) -> list[dict[str, Any]]:
    groups = optimiser["param_groups"] if isinstance(optimiser, Mapping) else optimiser.param_groups
    return [{k: plain(v) for k, v in group.items() if k != "params"} for group in groups]


def _scheduler_settings(scheduler) -> dict[str, Any]:
    functions = [sources(f) for f in getattr(scheduler, "lr_lambdas", ())]
    return plain(scheduler.state_dict()) | ({"lr_lambdas": functions} if functions else {})


def _compare_settings(name: str, checkpoint: Checkpoint, run: dict, faults: list[str]) -> str:
    """Adds what differs in an optimiser's settings to `faults`; the change of its rate in words.

    A setting agrees where it is what the run began with, or what it had come to at the checkpoint
    (the same players go on). What a scheduler moves is the scheduler's. In `run` the settings
    become those that the run began with, so that the next sitting may begin with either, too.
    """
    began, reached = checkpoint.run.get(name, []), _settings(checkpoint.optimisers[name])
    reached = json.loads(json.dumps(reached))
    if len(began) != len(run[name]):
        faults.append(f"{name}: found {len(began)} groups, expected {len(run[name])}")
        return ""
    changes = []
    for old, at, new in zip(began, reached, run[name], strict=True):
        rate = "initial_lr" if "initial_lr" in new else "lr"
        for key in dict.fromkeys([*old, *new]):
            values = [group.get(key, "none") for group in (old, at, new)]
            moved = key in RATES or values[0] != values[1]
            if key == rate and values[2] not in values[:2]:
                was = values[1] if rate == "lr" else values[0]
                changes.append(f"{name}: learning rate {was:g} → {values[2]:g}")
            elif not moved and values[2] != values[0]:
                faults.append(f"{name}: {key}: found {values[0]}, expected {values[2]}")
        if not changes:
            new.update(old)
    return ", ".join(dict.fromkeys(changes))


def _compare_schedulers(checkpoint: Checkpoint, run: dict, faults: list[str]) -> None:
    """Adds what differs in the schedulers' settings to `faults`; what they move is left out."""
    began, reached = checkpoint.run.get("schedulers", []), checkpoint.schedulers
    if len(began) != len(run["schedulers"]) or len(began) != len(reached):
        return  # told by `restore`, with their kinds
    pairs = zip(began, json.loads(json.dumps(plain(reached))), run["schedulers"], strict=True)
    for number, (old, at, new) in enumerate(pairs):
        for key in new:
            same = key == "lr_lambdas" or old.get(key) == at.get(key)  # else the scheduler moves it
            if same and key not in ("base_lrs", "_last_lr"):
                faults += _differences(f"scheduler {number}: {key}", old.get(key), new[key])
        new.update(old)


def _differences(name: str, found: Any, expected: Any) -> Iterator[str]:
    """What differs in two values, by name; of texts of many lines the first line that does."""
    if found == expected or repr(found) == repr(expected):  # nan is not equal to itself
        return
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in dict.fromkeys([*found, *expected]):
            if name == "first batch":
                if not _alike(found.get(key), expected.get(key)):
                    yield f"first batch: {key}: {_in_words(found.get(key), expected.get(key))}"
            else:
                inner = f"{name}: {key}" if key else name
                yield from _differences(inner, found.get(key), expected.get(key))
    elif isinstance(found, str) and isinstance(expected, str) and "\n" in f"{found}{expected}":
        old, new = ([*text.split("\n"), "(end)"] for text in (found, expected))
        line = next(i for i, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1])
        yield (f"{name}: line {line + 1}: found `{old[line].strip()}`, "
               f"expected `{new[line].strip()}`")  # fmt: skip
    else:
        old, new = ("none" if side is None else repr(side) for side in (found, expected))
        yield f"{name}: found {old:.80}, expected {new:.80}"


# ---- the first batch --------------------------------------------------------------------------


def _first_batch(batches: Any) -> dict[str, list]:
    """Batch 0 in a few numbers: for each tensor its type, shape, size and a sum of random signs.

    Not a hash: an embedding computed on another machine may differ in its last bit. Empty where
    batch 0 is another one each time that it is asked for.
    """
    twice = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            twice.append(dict(_described("batch", batches[0])))
    return twice[0] if twice[0] == twice[1] else {}


def _described(name: str, part: Any) -> Iterator[tuple[str, list]]:
    if isinstance(part, Tensor):
        values = part.detach().cpu().double().flatten()
        generator = torch.Generator().manual_seed(seed_for(0, "first batch"))
        signs = torch.randn(len(values), generator=generator, dtype=torch.float64)
        size = float(values.square().mean().sqrt()) if len(values) else 0.0
        projection = float(values @ signs) / max(len(values), 1) ** 0.5
        yield name, [str(part.dtype), list(part.shape), size, projection]
    elif is_dataclass(part):
        for f in fields(part):
            yield from _described(f"{name}.{f.name}", getattr(part, f.name))
    elif isinstance(part, Mapping):
        for key, item in part.items():
            yield from _described(f"{name}[{key!r}]", item)
    elif isinstance(part, list | tuple):
        for i, item in enumerate(part):
            yield from _described(f"{name}[{i}]", item)
    elif isinstance(part, PLAIN) and part is not None:
        yield name, [type(part).__name__, [], 0.0, part]


def _alike(a: list | None, b: list | None) -> bool:
    """Whether two descriptions are of the same values, but for the last bits of a few."""
    if a is None or b is None or a[:2] != b[:2]:
        return False
    if not all(isinstance(x, float) for x in (a[3], b[3])):
        return a[3] == b[3]
    room = 1e-3 * max(abs(a[2]), abs(b[2]))
    return all(abs(x - y) <= room or x == y for x, y in zip(a[2:], b[2:], strict=True))


def _in_words(found: list | None, expected: list | None) -> str:
    if found is None or expected is None or found[:2] == expected[:2]:
        there = [side is not None for side in (found, expected)]
        return "found other values" if all(there) else f"found {found}, expected {expected}"
    (t, s), (u, v) = found[:2], expected[:2]
    return f"found {s} {t}, expected {v} {u}".replace("torch.", "")
