"""StackGAN's folders of pickled embeddings, and photos beside them, written for the tests."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from test_embeddings import FILES, Python2  # noqa: E402


def write_part(folder, table, names, classes):
    """One of train/ and test/: embeddings [n, 10, T] of the photos of these names."""
    folder.mkdir(parents=True)
    contents = [np.asarray(row, "f4") for row in table], names, classes
    for file, items in zip(FILES, contents, strict=True):
        (folder / file).write_bytes(Python2(2).dumps(list(items)))


def write_photos(folder, names, side=24):
    """Noise of different sizes in folder/jpg/."""
    (folder / "jpg").mkdir(parents=True)
    for i, name in enumerate(names):
        rng = np.random.default_rng(i)
        pixels = rng.integers(0, 255, (side + i % 3, side, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "jpg" / f"{name}.jpg")


def write_all(place, train=24, test=12, width=6, order=None):
    """A small data set of embeddings: its data_dir, its image_dir, and the table [n, 10, T]."""
    names = [f"image_{i:05d}" for i in range(train + test)]
    table = np.random.default_rng(0).standard_normal((train + test, 10, width)).astype("f4")
    classes = [i % 4 if i < train else 4 + i % 2 for i in range(train + test)]
    write_photos(place / "images", names)
    for part, rows in {"train": range(train), "test": range(train, train + test)}.items():
        rows = rows if order is None else sorted(rows, key=order)
        write_part(place / "pickles" / part, table[list(rows)], [f"jpg/{names[i]}" for i in rows],
                   [classes[i] for i in rows])  # fmt: skip
    return place / "pickles", place / "images", table


def write_flowers(flowers_dir, place, encode):
    """The sentences of Oxford-102 as pickles: its split "train" in train/, all others in test/.

    In the order of the split, so that a run on them sees the batches of a run on the captions.
    """
    from t2i_utils.data import flowers

    data = flowers.load_flowers(flowers_dir, 16)
    table = data.encode(encode)
    train = data.splits["train"].tolist()
    rest = sorted(set(range(len(data.images))) - set(train))
    for part, rows in {"train": train, "test": rest}.items():
        names = [f"image_{row + 1:05d}" for row in rows]
        write_part(place / part, table[rows].float().numpy(), names, data.classes[rows].tolist())
    return place


if __name__ == "__main__":  # python tests/data/stackgan_layout.py FLOWERS PLACE
    from t2i_utils.models.char_cnn_rnn import load_text_encoder

    print(write_flowers(Path(sys.argv[1]), Path(sys.argv[2]), load_text_encoder().encode))
