"""StackGAN's two stages from settings to a folder: what `python -m t2i_utils train` does.

A run's folder holds `settings.json`, and what `fit` keeps of each stage in `stage1/` and `stage2/`.
Networks, losses and step are those of notebooks 10 and 11.
"""

import errno
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import torch
from torch import Tensor, nn

from t2i_utils import checkpoints, data, files, metrics
from t2i_utils.checkpoints import CHECKPOINT
from t2i_utils.data.captioned import Batch, Batches
from t2i_utils.lesson import seed_for
from t2i_utils.models import gan_cls, noise_dim
from t2i_utils.models.gan_cls import three_scores
from t2i_utils.models.stackgan import (
    Discriminator,
    Residual,
    StackGAN,
    Stage1Generator,
    Stage2Generator,
    stage1_of_run,
)
from t2i_utils.objectives import generator_loss, kl_to_standard_normal, matching_aware_loss
from t2i_utils.pairs import Pairs, load_pairs
from t2i_utils.training import History, Players, fit, frozen, steps_in

STAGES = (1, 2)
SETTINGS = "settings.json"
MAY_CHANGE = ("epochs1", "epochs2", "steps1", "steps2", "precision", "data_dir", "image_dir",
              "lrG1", "lrG2", "lrD1", "lrD2")  # fmt: skip
DATA_SETS = ("embeddings", *data.DATA_SETS)


@dataclass(frozen=True)
class Settings:
    """What a run is. Names and defaults of the first 17 are those of a published trainer's options.

    Raises ValueError naming the setting that is out of range or does not go with another.
    """

    image_size1: int = 64
    image_size2: int = 256
    z_dim: int = 100
    embed_dim: int = 128
    D1_dim: int = 512
    G2_dim: int = 512
    data_dir: str | None = None
    image_dir: str | None = None
    epochs1: int = 100
    epochs2: int = 100
    batch_size: int = 64
    lrG1: float = 2e-4
    lrG2: float = 2e-4
    lrD1: float = 2e-4
    lrD2: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    dataset: str = "embeddings"
    encoder: str = "shipped"
    pictures: int = 20000
    width: int = 128
    steps1: int | None = None
    steps2: int | None = None
    kl_weight: float = 2 / 128
    ema_decay: float = 0.999
    seed: int = 0
    precision: str = "no"

    def __post_init__(self):
        for field in fields(self):
            _check_kind(field.name, getattr(self, field.name), field.type)
        _require(self.dataset in DATA_SETS, "dataset", self.dataset,
                 f"one of {', '.join(DATA_SETS)}")  # fmt: skip
        for name in ("image_size1", "image_size2"):
            side = getattr(self, name)
            _require(side >= 16 and side & (side - 1) == 0, name, side, "a power of 2, 16 or more")
        _require(self.image_size2 in (2 * self.image_size1, 4 * self.image_size1), "image_size2",
                 self.image_size2, f"2 or 4 times image_size1, which is {self.image_size1}")
        smallest = min(self.image_size1, 64) // 8
        _require(self.D1_dim % smallest == 0 and self.D1_dim >= 4 * smallest, "D1_dim", self.D1_dim,
                 f"a multiple of {smallest} for pictures of {self.image_size1}, "
                 f"{4 * smallest} or more")  # fmt: skip
        wide = 4 * self.image_size2 // self.image_size1
        _require(self.G2_dim % 16 == 0 and self.G2_dim > 0, "G2_dim", self.G2_dim,
                 f"a multiple of 16 (it is halved {wide.bit_length() - 1} times)")
        least = max(2, 64 // self.image_size1)  # a block at 8 × 8 has an eighth of width · side
        _require(self.width % 2 == 0 and self.width >= least, "width", self.width,
                 f"an even number, {least} or more for pictures of {self.image_size1}")  # fmt: skip
        self._check_folders()

    def _check_folders(self):
        stored, blooms = self.dataset == "embeddings", self.dataset == "blooms"
        by_name = f"or a data set by name: dataset, one of {', '.join(data.DATA_SETS)}"
        wanted = {
            "data_dir": "" if blooms else "the folder of train/ and test/, the pickled embeddings, "
            f"{by_name}" if stored else f"the folder of {self.dataset}",
            "image_dir": f"the folder that holds jpg/, {by_name}" if stored else "",
        }  # fmt: skip
        for name, words in wanted.items():
            found = getattr(self, name)
            _require(bool(found) == bool(words), name, found or "none",
                     words or f"none for {self.dataset}")  # fmt: skip

    @property
    def width_D1(self) -> int:
        """Channels of Stage-I's D after the picture: D1_dim at 4 × 4."""
        return self.D1_dim * 8 // min(self.image_size1, 64)

    @property
    def width_D2(self) -> int:
        """Channels of Stage-II's D after the picture: half of Stage-I's G before it (the paper)."""
        return self.width // 2


def _check_kind(name: str, value: Any, kind: Any) -> None:
    """A number where a number is expected, and a finite one: settings may come from a file."""
    kinds = get_args(kind) or (kind,)
    held = type(value) in kinds or float in kinds and type(value) is int
    if isinstance(value, float):
        held = held and math.isfinite(value)
    words = " or ".join("none" if k is NoneType else k.__name__ for k in kinds)
    _require(held, name, repr(value), f"a finite {words}" if float in kinds else words)


def _require(held: Any, name: str, found: Any, expected: str) -> None:
    if not held:
        raise ValueError(f"{name}: found {found}, expected {expected}")


# ---- data ---------------------------------------------------------------------------------------


def pairs_of(settings: Settings, side: int, device: str | torch.device = "cpu") -> Pairs:
    """The data set of a run, its pictures of that side. Raises as `load_pairs` does."""
    return load_pairs(settings.dataset, side, settings.data_dir, settings.image_dir,
                      settings.pictures, settings.encoder, device)  # fmt: skip


def batches_of(settings: Settings, pairs: Pairs, side: int | None = None) -> Batches:
    """The batches that either stage is trained on, its pictures of that side (None: as loaded)."""
    images = pairs.data if side in (None, pairs.data.crop) else pairs.at(side)
    return Batches(images, pairs.embeddings, "train", settings.batch_size, settings.seed)


def steps_of(
    settings: Settings, stage: int, pictures: int, epochs: int | None = None,
    processes: int | None = None,
) -> int:
    """How many steps a stage takes: as many as were given, or whole epochs of so many pictures.

    Each of the processes (None: those that run now) has a batch of its own in a step.
    """
    given = getattr(settings, f"steps{stage}")
    asked = getattr(settings, f"epochs{stage}")
    epochs = asked if epochs is None else min(epochs, asked)
    batch = settings.batch_size * (processes or int(os.environ.get("WORLD_SIZE") or 1))
    return given if given is not None else steps_in(epochs, pictures, batch)


# ---- networks and step --------------------------------------------------------------------------


def generator_of(settings: Settings, stage: int, text_dim: int) -> nn.Module:
    """An untrained generator of a stage, for embeddings [T] of width `text_dim`."""
    first = Stage1Generator(settings.z_dim, text_dim, settings.embed_dim, settings.width,
                            settings.image_size1)  # fmt: skip
    if stage == 1:
        return first
    blocks = settings.image_size2 // settings.image_size1  # the authors': 4 for 256, 2 for 128
    second = Stage2Generator(text_dim, settings.embed_dim, settings.G2_dim // 4,
                             settings.image_size1, settings.image_size2, blocks)  # fmt: skip
    return StackGAN(first, second)


def discriminator_of(settings: Settings, stage: int, text_dim: int) -> Discriminator:
    """An untrained discriminator of a stage.

    Its averages are those of the last batch: G's turn judges in evaluation mode (notebook 07).
    """
    width = (settings.width_D1, settings.width_D2)[stage - 1]
    side = (settings.image_size1, settings.image_size2)[stage - 1]
    D = Discriminator(text_dim, settings.embed_dim, width, side)
    for layer in D.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    return D


def players_of(settings: Settings, stage: int, text_dim: int, sketcher=None) -> Players:
    """Fresh players of a stage; Stage-II's stand on the weights of `sketcher`, a Stage1Generator.

    G's residual blocks begin as no correction (notebook 10, section 8).
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(seed_for(settings.seed, "weights", stage))
        G = generator_of(settings, stage, text_dim)
        D = discriminator_of(settings, stage, text_dim)
    for layer in G.modules():
        if isinstance(layer, Residual):
            nn.init.zeros_(layer.body[-1].weight)  # γ of the last batch norm
    if sketcher is not None:
        G.stage1.load_state_dict(sketcher.state_dict())
    for network in (G, D):
        network.to(memory_format=torch.channels_last)  # faster, on a CPU too
    betas = (settings.beta1, settings.beta2)
    opts = [torch.optim.Adam([p for p in net.parameters() if p.requires_grad],
                             getattr(settings, f"lr{name}{stage}"), betas)
            for name, net in (("G", G), ("D", D))]  # fmt: skip
    return Players(G, D, *opts, ema_decay=settings.ema_decay)


def stackgan_step(players: Players, batch: Batch, kl_weight: float) -> Mapping[str, Tensor]:
    """Either stage's step: matching-aware D; G with the price of its cloud.

    Zhang et al. 2017, equations 3 to 6, G's in the form that does not saturate; as notebook 11's.
    """
    G, D, right = players.G, players.D, batch.embedding
    fake = G(torch.randn(len(right), noise_dim(G), device=right.device), right)
    scores = three_scores(D, batch.images, fake.detach(), right, batch.wrong_embedding)
    loss_D = matching_aware_loss(*scores)
    players.update_D(loss_D)

    D.eval()  # the company of D's turn: by the statistics of that batch (notebook 07)
    with frozen(D):
        loss_G = generator_loss(D(fake, right))
        kl = kl_to_standard_normal(*G.augment(right))
        players.update_G(loss_G + kl_weight * kl)
    D.train()
    means = zip(("s_r", "s_w", "s_f"), scores, strict=True)
    return {"loss_D": loss_D, "loss_G": loss_G, "kl": kl} | {k: s.mean() for k, s in means}


# ---- a run --------------------------------------------------------------------------------------


def folder_of(run_dir: str | os.PathLike, stage: int) -> Path:
    """Where `fit` keeps a stage of a run."""
    return files.expanded(run_dir) / f"stage{stage}"


def is_first() -> bool:
    """Whether this is the first of several processes, or the only one."""
    return int(os.environ.get("RANK") or 0) == 0


def steps_done(run_dir: str | os.PathLike, stage: int) -> int:
    """How many steps of a stage a run's checkpoint has; 0 where it has none."""
    return checkpoints.read(checkpoint_of(run_dir, stage)).step if has(run_dir, stage) else 0


def checkpoint_of(run_dir: str | os.PathLike, stage: int) -> Path:
    """The file in which `fit` keeps a stage of a run."""
    return folder_of(run_dir, stage) / CHECKPOINT


def has(run_dir: str | os.PathLike, stage: int) -> bool:
    """Whether a run has a checkpoint of that stage."""
    return checkpoint_of(run_dir, stage).exists()


def train(
    settings: Settings,
    run_dir: str | os.PathLike,
    stages: tuple[int, ...] = STAGES,
    until_epoch: int | None = None,
    progress: bool = True,
    checkpoint_every: int = 500,
) -> dict[int, History]:
    """Train the stages one after the other, in the run's folder; it goes on where it is.

    `until_epoch` ends a part: epochs count through the stages that are trained. Returns the
    history of each stage that was begun.

    Raises ValueError and FileNotFoundError where settings, data and folder do not go together,
    CheckpointError where the folder holds another run, OSError where it cannot be written: all
    before the first step. Otherwise as `fit`.
    """
    _check_stages(settings, run_dir, stages, until_epoch)
    histories = {}
    with _alone_in(run_dir):
        compare(settings, run_dir)
        if progress and is_first():
            print(f"{settings.dataset}: reading pictures and sentences", flush=True)
        pairs = pairs_of(settings, settings.image_size1)
        for stage in stages:
            if until_epoch is not None and until_epoch <= 0:
                break
            histories[stage] = _train_stage(settings, pairs, run_dir, stage, until_epoch, progress,
                                            checkpoint_every, stages)
            if until_epoch is not None:
                until_epoch -= getattr(settings, f"epochs{stage}")
    return histories


def _alone_in(run_dir: str | os.PathLike) -> AbstractContextManager:
    """Inside, this command alone is at the folder; files.Held where another one is."""
    if not is_first():
        return nullcontext()
    place = files.expanded(run_dir) / SETTINGS
    return files.held(place, wait=False, advice="let it end, or use another run_dir")


def _train_stage(
    settings, pairs, run_dir, stage, until_epoch, progress, checkpoint_every, stages
) -> History:
    side = (settings.image_size1, settings.image_size2)[stage - 1]
    batches, text_dim = batches_of(settings, pairs, side), pairs.embeddings.shape[-1]
    pictures = len(pairs.data.splits["train"])
    steps = steps_of(settings, stage, pictures, until_epoch)
    if stage == 1:
        _check_stage1_stays(run_dir, steps)
    elif not has(run_dir, 2):
        _check_stage1_ended(settings, run_dir, pictures)
    if is_first() and steps_done(run_dir, stage) < steps:
        require_room(settings, run_dir, tuple(s for s in stages if s >= stage), text_dim)
    sketcher = stage1_of_run(folder_of(run_dir, 1)) if stage == 2 else None
    players = players_of(settings, stage, text_dim, sketcher)
    if progress and is_first():
        print(f"Stage-{'I' * stage}: {steps:,} steps of {settings.batch_size}, "
              f"{side} × {side} pixels", flush=True)  # fmt: skip
    with kept(settings, run_dir):
        return fit(
            players, batches, partial(stackgan_step, kl_weight=settings.kl_weight), steps=steps,
            run_dir=folder_of(run_dir, stage), seed=settings.seed, precision=settings.precision,
            checkpoint_every=checkpoint_every, snapshot=sampler(pairs), progress=progress,
        )  # fmt: skip


def _check_stage1_stays(run_dir, steps: int) -> None:
    if has(run_dir, 2) and steps > (done := steps_done(run_dir, 1)):
        raise ValueError(f"{run_dir}: found {steps:,} steps asked of Stage-I, and a Stage-II that "
                         f"stands on it after {done:,}; expected no more, or another run_dir")


def _check_stage1_ended(settings, run_dir, pictures: int) -> None:
    there = checkpoints.read(checkpoint_of(run_dir, 1))
    asked = steps_of(settings, 1, pictures, processes=there.run.get("processes"))
    if there.step < asked:
        raise ValueError(f"{run_dir}: found Stage-I after {there.step:,} of {asked:,} steps, "
                         "expected its end before Stage-II stands on it: train it further, or ask "
                         "for fewer (epochs1, steps1)")


def sampler(pairs: Pairs) -> Callable[[Players], Tensor]:
    """For `fit`: pictures of the averaged generator, of 16 sentences of unseen flowers."""
    test = pairs.data.splits["test"][:16].tolist()
    sentences = [pairs.data.captions[picture][0] for picture in test]

    def draw(players: Players) -> Tensor:
        G = players.G_avg.module
        device = next(G.parameters()).device
        return metrics.drawer(G, pairs.encoder.encode, device)(sentences, 0)

    return draw


def compare(settings: Settings, run_dir: str | os.PathLike) -> None:
    """Raise ValueError naming every setting in which a run that was trained differs and may not."""
    path = files.expanded(run_dir) / SETTINGS
    if not path.exists() or not has(run_dir, 1):
        return
    before, now = asdict(settings_of(run_dir)), asdict(settings)
    faults = [f"{name}: found {before[name]!r}, expected {now[name]!r}" for name in now
              if before[name] != now[name] and name not in MAY_CHANGE]  # fmt: skip
    if faults:
        raise ValueError(f"{run_dir} holds another run: {'; '.join(faults)}. Use another run_dir, "
                         "or the same settings")


@contextmanager
def kept(settings: Settings, run_dir: str | os.PathLike) -> Iterator[None]:
    """Write the settings of a run into its folder; put back what was there if it is refused."""
    path = files.expanded(run_dir) / SETTINGS
    if not is_first():
        yield
        return
    before, trained = path.read_bytes() if path.exists() else None, _trained(run_dir)
    keep(path, (json.dumps(asdict(settings), indent=1) + "\n").encode())
    try:
        yield
    except (RuntimeError, OSError, ValueError):
        if _trained(run_dir) == trained:  # else a checkpoint of these settings is there
            keep(path, before) if before is not None else path.unlink()
        raise


def _trained(run_dir) -> list[tuple[int, int]]:
    """A mark of each checkpoint, which another one does not have."""
    stats = [checkpoint_of(run_dir, s).stat() for s in STAGES if has(run_dir, s)]
    return [(stat.st_ino, stat.st_mtime_ns) for stat in stats]


def keep(path: Path, content: bytes) -> None:
    """Write a small file, whole or not at all."""
    with files.whole(path, len(content)) as draft:
        draft.write_bytes(content)


def settings_of(run_dir: str | os.PathLike) -> Settings:
    """The settings of a run. Raises FileNotFoundError where it has none, ValueError for others."""
    path = files.expanded(run_dir) / SETTINGS
    if not path.is_file():
        raise FileNotFoundError(f"{run_dir}: found no {SETTINGS}, expected a folder that `train "
                                "--run_dir` has kept a run in")
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        _require(isinstance(held, dict), "all", type(held).__name__, "names and values")
        for field in fields(Settings):
            _check_kind(field.name, held.get(field.name, field.default), field.type)
        return Settings(**held)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: found other settings than a run has: {error}") from error


def _check_stages(settings, run_dir, stages, until_epoch) -> None:
    if until_epoch is not None and any(getattr(settings, f"steps{s}") is not None for s in stages):
        raise ValueError(f"until_epoch: found {until_epoch} beside steps, expected epochs to count")
    if 1 not in stages and not has(run_dir, 1):
        raise ValueError(f"stage: found 2, and no Stage-I in {run_dir}; expected one to stand on: "
                         "train it first (stage 1, or both)")


def require_room(
    settings: Settings, run_dir: str | os.PathLike, stages: tuple[int, ...], text_dim: int
) -> None:
    """OSError where the disk has no room for the checkpoints of these stages, and one in work."""
    sizes = []
    for stage in stages:
        with torch.device("meta"):
            G = generator_of(settings, stage, text_dim)
            D = discriminator_of(settings, stage, text_dim)
        players = [p for net in (G, D) for p in net.parameters()]
        moments = [p for p in players if p.requires_grad]
        kinds = (players, [*G.parameters()], moments, moments)  # the second are the averaged G's
        sizes.append(4 * sum(p.numel() for kind in kinds for p in kind))
    there = sum(checkpoint_of(run_dir, s).stat().st_size for s in stages if has(run_dir, s))
    room, free = sum(sizes) + max(sizes) - there, shutil.disk_usage(files.expanded(run_dir)).free
    if 0 < free < room:
        with files.explained(run_dir, room, "another run_dir may have room"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(run_dir))


def load_run(run_dir: str | os.PathLike) -> tuple[nn.Module, int]:
    """A run's averaged generator, of the last stage that was begun, and which stage that is.

    On the CPU, frozen, in evaluation mode. Raises FileNotFoundError where nothing is kept yet,
    CheckpointError where the weights do not fit the settings.
    """
    settings = settings_of(run_dir)
    if not has(run_dir, 1):
        raise FileNotFoundError(f"{run_dir}: found no checkpoint yet, expected a run that was "
                                "trained: one is kept every `checkpoint_every` steps")  # fmt: skip
    stage = 2 if has(run_dir, 2) else 1
    state = gan_cls.average_of_run(folder_of(run_dir, stage))
    text = "augment.linear.weight" if stage == 1 else "stage2.augment.linear.weight"
    try:
        G = generator_of(settings, stage, state[text].shape[1])
        G.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise checkpoints.CheckpointError(f"{run_dir}: found weights of another generator than its "
                                          f"{SETTINGS} says: {error}") from error
    return G.eval().requires_grad_(False), stage
