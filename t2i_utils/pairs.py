"""Pictures with embedded sentences, whatever they come from: a data set, or stored embeddings."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from t2i_utils import data
from t2i_utils.data.captioned import CaptionedImages
from t2i_utils.data.embedded import Stored, load_embedded
from t2i_utils.models import char_cnn_rnn


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pictures with the embeddings of their sentences, and who encodes sentences."""

    data: CaptionedImages
    encoder: Any  # with .encode; Stored where there are no sentences
    theta: nn.Module | None  # θ of the same training as φ, where there is one
    at: Callable[[int], CaptionedImages]  # the same pictures, of another side

    @cached_property
    def embeddings(self) -> Float[Tensor, "N k T"]:
        """Those of all sentences: made once, when they are first asked for."""
        return self.data.encode(self.encoder.encode)


def load_pairs(
    dataset: str, size: int, data_dir: str | os.PathLike | None = None,
    image_dir: str | os.PathLike | None = None, pictures: int = 20000,
    encoder: str | os.PathLike = "shipped", device: str | torch.device = "cpu",
) -> Pairs:
    """The data set of that name, its pictures of side `size`, its sentences by that encoder.

    "embeddings" are StackGAN's pickles in `data_dir` beside photos in `image_dir`: no encoder has
    a part in them. Blooms has so many `pictures` and needs no folder.

    Raises as `data.load`, `load_embedded` and `load_text_encoder` do.
    """
    if dataset == "embeddings":
        photos, table = load_embedded(data_dir, image_dir, size)
        stored = Stored(photos.captions, table)
        return Pairs(photos, stored, None, lambda side: load_embedded(data_dir, image_dir, side)[0])
    where = {"n": pictures} if dataset == "blooms" else {"data_dir": data_dir}
    images = data.load(dataset, size=size, **where)
    reader = char_cnn_rnn.load_text_encoder(encoder).to(device)
    char_cnn_rnn.warn_of_new_words(reader, images.captions)
    theta = None
    if encoder == "shipped" or Path(encoder).is_file():
        theta = char_cnn_rnn.load_picture_encoder(encoder).to(device)
    return Pairs(images, reader, theta, lambda side: data.load(dataset, size=side, **where))
