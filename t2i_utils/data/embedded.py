"""Photographs beside StackGAN's folders of pickled embeddings, matched by file name.

There are no sentences in such folders: a picture's ten embeddings are all that is left of them.
Each gets a name in its place, "sentence 3 of image_00001", by which `Stored` finds it again.
"""

import os
import re
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from t2i_utils.data import photographs
from t2i_utils.data.captioned import CaptionedImages
from t2i_utils.data.embeddings import FILES, load_parts
from t2i_utils.data.photographs import SENTENCES

PARTS = ("train", "test")
LAYOUT = (
    f"expected StackGAN's layout: data_dir with the folders train/ and test/, in each "
    f"{', '.join(FILES)}; image_dir with the folder jpg/ of the photos"
)


class Stored:
    """The embeddings of a data set, by the names that stand in its captions: an encoder of these.

    Raises ValueError for any other sentence: whoever trained on stored embeddings has no encoder.
    """

    def __init__(self, captions: list[list[str]], table: Float[Tensor, "N k T"]):
        self.rows = {name: i for i, name in enumerate(n for own in captions for n in own)}
        self.table = table.flatten(0, 1)

    def encode(self, sentences: list[str]) -> Float[Tensor, "n T"]:
        """The stored embeddings of these names, float32."""
        unknown = [sentence for sentence in sentences if sentence not in self.rows]
        if unknown:
            raise ValueError(f"{unknown[0]!r}: found no stored embedding of it, expected one of "
                             f"{len(self.rows):,} names such as {next(iter(self.rows))!r}")
        return self.table[[self.rows[sentence] for sentence in sentences]].float()


def load_embedded(
    data_dir: photographs.Place, image_dir: photographs.Place, size: int = 64
) -> tuple[CaptionedImages, Float[Tensor, "N 10 T"]]:
    """The photos of StackGAN's folders train and test, and their embeddings, float16.

    Batches are random crops of side `size`. A picture's captions are the names of its embeddings.

    Raises FileNotFoundError for missing folders and files, ValueError where embeddings and photos
    do not go together, and as `load_parts` does.
    """
    for name, given in {"data_dir": data_dir, "image_dir": image_dir}.items():
        if given is None or given == "":
            raise FileNotFoundError(f"embeddings: {name}: found none; {LAYOUT}")
    side = photographs.side_of("embeddings", size)
    folders = [photographs.place(data_dir) / part for part in PARTS]
    photos = photographs.place(image_dir, "image_dir") / "jpg"
    for folder in (*folders, photos):
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"embeddings: found no folder {folder}; {LAYOUT}")
    held = load_parts(*folders)
    names = [re.sub(r".*[\\/]|\.jpg$", "", name) for name in held["names"].tolist()]
    paths, train = _matched(names, photos), int(held["train"])
    known, classes = torch.from_numpy(held["classes"]).unique(return_inverse=True)
    signature = photographs.signature_of(
        photos, *(f / "filenames.pickle" for f in folders), code=__name__, few=True)
    data = CaptionedImages(
        name="embeddings",
        images=photographs.cached_photos(
            "embeddings", signature, photos, paths, side,
            lambda i, path: photographs.read_square("embeddings", path, side)),
        captions=[[f"sentence {k} of {name}" for k in range(SENTENCES)] for name in names],
        classes=classes,
        class_names=[f"class {number}" for number in known.tolist()],
        splits={"train": torch.arange(train), "test": torch.arange(train, len(names))},
        crop=int(size), flip=True, origin=f"size={size}")
    return data, torch.from_numpy(held["table"])


def _matched(names: list[str], photos: Path) -> list[Path]:
    """The photo of each name; all photos have one, and no name is there twice."""
    found = sorted(path for path in photos.iterdir() if path.suffix.lower() == ".jpg"
                   and not photographs.LEFT_BY_TOOLS.match(path.name))
    there = {path.stem: path for path in found}
    for path in found:
        if there[path.stem] != path:
            both = f"{path.name} and {there[path.stem].name}"
            raise ValueError(f"embeddings: {photos}: found {both}, expected one photo of a name")
    lost = [name for name in names if name not in there]
    if lost or len(set(names)) != len(names) or len(names) != len(there):
        twice = len(names) - len(set(names))
        found = f"{len(names):,} embeddings for {len(there):,} photos"
        found += f", {twice:,} of them for a photo that has others" if twice else ""
        found += f", {len(lost):,} for none ({', '.join(lost[:3])}, …)" if lost else ""
        raise ValueError(f"embeddings: {photos}: found {found}; expected those of each photo, "
                         f"once, in train or test, by {FILES[1]}")
    return [there[name] for name in names]
