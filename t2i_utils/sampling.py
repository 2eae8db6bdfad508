"""What a trained run draws and is worth: `python -m t2i_utils sample` and `evaluate`."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.utils import make_grid, save_image

from t2i_utils import files, metrics, trainer
from t2i_utils.data.embedded import Stored
from t2i_utils.lesson import seed_for, working_device
from t2i_utils.metrics import Card
from t2i_utils.models import beyond_stackgan, char_cnn_rnn
from t2i_utils.pairs import Pairs

GRID = ".png"
OTHER = (".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".svg", ".pdf")


@dataclass(frozen=True, eq=False)
class Painter:
    """A generator, who encodes its sentences, and its run's data set where that was read."""

    G: nn.Module
    encoder: Any
    pairs: Pairs | None
    device: torch.device

    def draw(self, sentences: list[str], seed: int) -> Float[Tensor, "n 3 s s"]:
        """Pictures in [−1, 1], one a sentence."""
        return metrics.drawer(self.G, self.encoder.encode, self.device)(sentences, seed)


def painter_of(run_dir: str | os.PathLike | None, with_data: bool = False) -> Painter:
    """The averaged generator of a run; without a run the shipped one, of notebook 00.

    Its data set is read where it is asked for, or where the run's sentences are stored embeddings.
    Raises as `trainer.load_run` and `load_pairs` do.
    """
    device = working_device()
    if run_dir is None:
        encoder = char_cnn_rnn.load_text_encoder().to(device)
        return Painter(beyond_stackgan.load_generator().to(device), encoder, None, device)
    settings = trainer.settings_of(run_dir)
    G, stage = trainer.load_run(run_dir)
    side = (settings.image_size1, settings.image_size2)[stage - 1]
    if not with_data and settings.dataset != "embeddings":
        encoder = char_cnn_rnn.load_text_encoder(settings.encoder).to(device)
        return Painter(G.to(device), encoder, None, device)
    pairs = trainer.pairs_of(settings, side, device)
    return Painter(G.to(device), pairs.encoder, pairs, device)


def sample(
    sentences: Sequence[str], out: str | os.PathLike, run_dir: str | os.PathLike | None = None,
    from_split: str | None = None, number: int = 4, seed: int = 0,
) -> list[Path]:
    """Draw `number` pictures of each sentence; returns the files that were written.

    `out` that ends in .png is one grid, a row a sentence; else a new folder, for a file a picture.
    With `from_split` the sentences are `number` of the run's data set, one picture each. A picture
    depends on the seed, its sentence and its number of these: not on what else is drawn.

    Raises ValueError where the run has no encoder for sentences, where the folder holds anything,
    and as `painter_of`; OSError where nothing can be written.
    """
    out = files.expanded(out).absolute()
    check_place(out)
    painter = painter_of(run_dir, with_data=from_split is not None)
    if from_split is not None:
        if painter.pairs is None:
            raise ValueError(f"from: found {from_split}, and no run; expected a run_dir")
        sentences, number = some_of(painter.pairs, from_split, number, seed), 1
    elif isinstance(painter.encoder, Stored):
        raise ValueError(f"{run_dir}: found a run on stored embeddings, which has no encoder for "
                         "sentences; expected --from test, which draws embeddings of the data set")
    else:
        char_cnn_rnn.warn_of_new_words(painter.encoder, [list(sentences)], most=0.0)
    images = [painter.draw([sentence], seed_for(seed, "picture", sentence, copy))
              for sentence in sentences for copy in range(number)]  # fmt: skip
    return written(torch.cat(images), out, number, sentences)


def check_place(out: Path) -> None:
    """ValueError where pictures cannot go there: of another kind, or among what is there."""
    if out.suffix.lower() in OTHER:
        raise ValueError(f"out: found {out}, expected a name that ends in .png, or a folder's")
    if is_grid(out) and out.is_dir():
        raise ValueError(f"out: found a folder {out}, expected a file, or another name")
    if not is_grid(out) and (out.is_symlink() or out.exists() and not out.is_dir()):
        raise ValueError(f"out: found a file or a link {out}, expected a new folder")
    if not is_grid(out) and out.is_dir() and any(out.iterdir()):
        raise ValueError(f"out: found a folder {out} that holds something, expected a new one")


def is_grid(out: Path) -> bool:
    """Whether the name says one picture of all."""
    return out.name.lower().endswith(GRID)


def some_of(pairs: Pairs, split: str, number: int, seed: int) -> list[str]:
    """Sentences of different pictures of a split, drawn by the seed."""
    pictures = pairs.data.splits[split]
    by_seed = torch.Generator().manual_seed(seed_for(seed, "sample", split))
    chosen = pictures[torch.randperm(len(pictures), generator=by_seed)[:number]].tolist()
    return [pairs.data.captions[picture][0] for picture in chosen]


def written(
    images: Float[Tensor, "n 3 s s"], out: Path, number: int, sentences: Sequence[str]
) -> list[Path]:
    """The pictures in one .png, or in a folder with a list of their sentences beside them."""
    images = (images.clamp(-1, 1) + 1) / 2
    if is_grid(out):
        row = number if number > 1 else max(1, round(len(images) ** 0.5))
        with files.whole(out) as draft:
            save_image(make_grid(images, row, padding=2), draft, format="png")
        return [out]
    names = [f"{i // number:03}_{i % number:02}.png" for i in range(len(images))]
    with files.whole(out, folder=True) as draft:
        for name, image in zip(names, images, strict=True):
            save_image(image, draft / name, format="png")
        lines = (f"{i:03} {' '.join(s.split())}\n" for i, s in enumerate(sentences))
        (draft / "sentences.txt").write_text("".join(lines), "utf-8")
    return [out / name for name in names]


def evaluate(
    run_dir: str | os.PathLike, number: int = 2048, memory: int = 4096, seed: int = 0
) -> Card:
    """The report card of a run's averaged generator (notebook 05), floor and ceiling beside.

    Raises as `painter_of`.
    """
    painter = painter_of(run_dir, with_data=True)
    pairs = painter.pairs
    make = metrics.photographs_exam if pairs.data.attributes is None else metrics.blooms_exam
    exam = make(pairs.data, pairs.encoder.encode, number, seed=seed, memory=memory)
    judges = metrics.judges(max(64, pairs.data.crop), pairs.theta, painter.device)
    return metrics.report_card({"generator": painter.draw}, exam, judges)
