"""Your own pictures: a folder for each class, and beside each picture a text file of sentences."""

import re

import torch

from t2i_utils.data import photographs
from t2i_utils.data.captioned import CaptionedImages
from t2i_utils.data.pictures import SUFFIXES

SIDES = re.compile(r"(?<![^\W_])(left|right)(most|wards?|hand|side)?(?![^\W_])|clockwise", re.I)
HOW_TO_LAY_IT_OUT = """expected there a folder for each class, each picture beside its sentences:
  roses/first.jpg  roses/first.txt (one sentence a line, as many for each picture) ..."""


def load_folder(
    data_dir: photographs.Place = None, size: int = 64, test_share: float = 0.2
) -> CaptionedImages:
    """A folder of pictures and sentences of your own; batches are random crops of side `size`.

    The class of a picture is the name of its folder. `test_share` of the classes, at least two,
    are kept for "test" and 5 % of the other classes' pictures for "seen_test"; "train" is the
    rest. Pictures are mirrored unless a sentence says "left", "right" or "clockwise". All is
    cached; a changed folder is noticed by its files' names, sizes and dates.

    Raises FileNotFoundError for fewer than four classes or missing sentences, ValueError for
    fewer than 4 pictures to train on or 6 to test on, a file that cannot be read, or another number
    of sentences than most have.
    """
    folder = photographs.place(data_dir)
    paths = photographs.listed("folder", folder, SUFFIXES)
    names = sorted({path.parent.name for path in paths})
    if len(names) < 4:  # two to train on, two to test on: a wrong sentence is of another class
        raise FileNotFoundError(f"folder: data_dir {str(folder)!r}: found pictures of {len(names)} "
                                f"classes, expected four or more; {HOW_TO_LAY_IT_OUT}")
    sentences = [path.with_suffix(".txt") for path in paths]
    state = photographs.signature_of(*(folder / name for name in names))
    captions = photographs.cached_captions("folder", state, lambda: photographs.read_captions(
        "folder", folder, sentences, count=None))
    classes = torch.tensor([names.index(path.parent.name) for path in paths])
    splits = photographs.class_disjoint_splits("folder", classes, test_share, least=2)
    side = photographs.side_of("folder", size)  # room for the random crops
    return CaptionedImages(
        name="folder",
        images=photographs.cached_photos(
            "folder", state, folder, paths, side,
            lambda i, path: photographs.read_square("folder", path, side)),
        captions=captions,
        classes=classes,
        class_names=names,
        splits=splits,
        crop=int(size),
        flip=not any(SIDES.search(sentence) for own in captions for sentence in own),
    )
