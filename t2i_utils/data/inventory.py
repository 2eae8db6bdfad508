"""What a folder of photographs holds and lacks, and what of it a program can fetch."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from t2i_utils import data, files
from t2i_utils.data import archives, birds, embedded, flowers, photographs

VGG = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"
CALTECH = "https://data.caltech.edu/records/65de6-vp158/files"


@dataclass(frozen=True)
class Original:
    """A published file: where it is, its SHA-256, and what of it is put where, if it is packed."""

    url: str
    sha256: str
    inside: str  # of the data set's folder: the file, or what is unpacked from it
    member: str = ""  # of the archive: the folder that becomes `inside`; "" for a plain file


# SHA-256 of the .mat files: computed here; of the archives: as several public programs check them.
ORIGINALS = {
    "flowers": (
        Original(f"{VGG}/imagelabels.mat",
                 "4903e94206bac23bf772aadf06451916df56b58fc483a62db32a97b82656651d",
                 "imagelabels.mat"),
        Original(f"{VGG}/setid.mat",
                 "46b8678f91fd95d3c8f4feab80d271a6c834a1dd896fe29fd3e6ad9ce5c8dccd", "setid.mat"),
        Original(f"{VGG}/102flowers.tgz",
                 "2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246", "jpg", "jpg"),
    ),
    "birds": (
        Original(f"{CALTECH}/CUB_200_2011.tgz?download=1",
                 "0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081",
                 "CUB_200_2011", "CUB_200_2011"),
    ),
}  # fmt: skip

SENTENCES = """{tables} and splits: the same command with --fetch.
The sentences, by hand (no program can fetch them for you):
  1. open https://github.com/reedscot/cvpr2016 and follow its link to the data of the {name};
  2. from the archive take the folder text_c10/ and put it into {place};
  3. it is whole when this command says that ten sentences of each of {count} photos are there."""
BY_HAND = {
    "flowers": SENTENCES.format(
        tables="Photos, labels", name="flowers", place="{folder}", count="8,189"),
    "birds": SENTENCES.format(
        tables="Photos, boxes", name="birds", place="{folder}/CUB_200_2011", count="11,788"),
    "embeddings": """The pickles, by hand (no program can fetch them for you):
  1. open https://github.com/hanzhanggit/StackGAN and follow its link to the embeddings of the
     flowers or of the birds ("char-CNN-RNN text embeddings");
  2. unpack them, so that {folder} has the folders train/ and test/;
  3. the photos stand apart, in IMAGE_DIR/jpg/: `python -m t2i_utils data --dataset flowers
     --data_dir IMAGE_DIR --fetch` brings those of Oxford-102;
  4. all is whole when this command says how many embeddings are there, and names no lack.""",
    "folder": """Your own pictures: a folder for each class, and beside each picture a text file of
its name with a sentence a line: {folder}/roses/one.jpg, {folder}/roses/one.txt.""",
}


def look(
    dataset: str, data_dir: str | os.PathLike, image_dir: str | os.PathLike | None = None
) -> tuple[list[str], bool]:
    """What is there, in lines, and whether the data set is whole; what it lacks, with the steps."""
    place = files.expanded(data_dir)
    lines = [f"{dataset} in {place}"]
    parts = _parts(dataset, place)
    lines += [f"  {'there' if there else 'lacks':6} {what}" for what, there in parts]
    try:
        if dataset == "embeddings":
            found, table = embedded.load_embedded(place, image_dir, 64)
            each = f"{table.shape[1]} embeddings of {table.shape[2]} numbers each"
        else:
            found = data.load(dataset, data_dir=place, size=64)
            each = f"{found.sentences_each} sentences each"
    except (OSError, ValueError) as error:
        return [*lines, f"not whole: {error}", BY_HAND[dataset].format(folder=place)], False
    splits = ", ".join(f"{name} {len(own):,}" for name, own in found.splits.items())
    lines.append(f"whole: {len(found.images):,} photos of {len(found.class_names)} classes, "
                 f"{each} ({splits})")  # fmt: skip
    return lines, True


def _parts(dataset: str, place: Path) -> Iterator[tuple[str, bool]]:
    """The parts of a layout by name, and whether each is there."""
    inner = {"flowers": "flowers-102", "birds": "CUB_200_2011"}.get(dataset, "")
    names = {"flowers": flowers.PARTS, "birds": birds.PARTS, "embeddings": embedded.PARTS}
    for name in names.get(dataset, ()):
        yield name, (place / name).exists() or bool(inner) and (place / inner / name).exists()
    if inner:
        texts = [at / text for at in (place, place / inner) for text in photographs.TEXTS]
        yield photographs.TEXTS[0], any(text.is_dir() for text in texts)


def fetch(dataset: str, data_dir: str | os.PathLike) -> Iterator[Path]:
    """Fetch what of a data set is published as files, verify and unpack it; yields what is new.

    What is there already is left alone; a transfer that broke off goes on. Raises ValueError for a
    data set that no program can fetch, and as `archives.fetch` and `archives.extract` do.
    """
    if dataset not in ORIGINALS:
        raise ValueError(f"fetch: found {dataset}, expected one of {', '.join(ORIGINALS)}; "
                         + BY_HAND[dataset].format(folder=data_dir))  # fmt: skip
    place = files.expanded(data_dir)
    place.mkdir(parents=True, exist_ok=True)
    for original in ORIGINALS[dataset]:
        goal = place / original.inside
        if goal.exists():
            continue
        name = original.url.rsplit("/", 1)[1].split("?")[0]
        if not original.member:
            yield archives.fetch(original.url, goal, original.sha256)
            continue
        packed = archives.fetch(original.url, place / name, original.sha256)
        room = place / f"{name}.unpacked"
        if not room.exists():  # else an earlier call was stopped here: it appears when it is whole
            archives.extract(packed, room)
        os.rename(room / original.member, goal)
        shutil.rmtree(room)
        packed.unlink()
        yield goal
