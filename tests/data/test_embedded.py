"""Photos beside StackGAN's pickles: matched by name, or refused with what does not go together."""

import shutil
import sys
from pathlib import Path

import pytest
import torch

from t2i_utils import pairs, trainer
from t2i_utils.data import flowers
from t2i_utils.data.captioned import Batches
from t2i_utils.data.embedded import Stored, load_embedded
from t2i_utils.data.photographs import find_folder, read_square
from t2i_utils.models.char_cnn_rnn import SentenceEncoder
from t2i_utils.profiles import PROFILES

sys.path.insert(0, str(Path(__file__).parent))
from stackgan_layout import write_all, write_flowers, write_part, write_photos  # noqa: E402


def test_embeddings_are_those_of_their_photo_in_whatever_order(tmp_path):
    pickles, images, table = write_all(tmp_path, order=lambda i: -i)
    data, stored = load_embedded(pickles, images, 16)
    assert {name: len(own) for name, own in data.splits.items()} == {"train": 24, "test": 12}
    assert stored.dtype == torch.float16 and stored.shape == (36, 10, 6) and data.crop == 16
    for row in (0, 23, 24, 35):
        name = data.captions[row][3].removeprefix("sentence 3 of ")
        number = int(name.removeprefix("image_"))
        assert torch.equal(stored[row], torch.from_numpy(table[number]).half())
        photo = read_square("", images / "jpg" / f"{name}.jpg", 19)
        assert (data.images[row] == photo).all()
        own = number % 4 if number < 24 else 4 + number % 2
        assert data.class_names[data.classes[row]] == f"class {own}"
    assert not set(data.classes[:24].tolist()) & set(data.classes[24:].tolist())
    encoder = Stored(data.captions, stored)
    assert torch.equal(encoder.encode([data.captions[5][2], data.captions[0][9]]),
                       torch.stack([stored[5, 2], stored[0, 9]]).float())  # fmt: skip


def test_wrong_pairs_are_of_other_classes(tmp_path):
    data, stored = load_embedded(*write_all(tmp_path)[:2], 16)
    batch = Batches(data, stored, "train", 16, 0)[0]
    assert (data.classes[batch.pictures] != data.classes[batch.wrong_pictures]).all()
    assert torch.equal(batch.embedding, stored[batch.pictures, batch.sentences].float())


def test_a_sentence_has_no_stored_embedding(tmp_path):
    data, stored = load_embedded(*write_all(tmp_path)[:2], 16)
    with pytest.raises(ValueError, match="'a red flower': found no stored embedding of it, expec"):
        Stored(data.captions, stored).encode(["a red flower"])


def test_missing_folders_are_named(tmp_path):
    pickles, images, _ = write_all(tmp_path)
    shutil.move(images / "jpg", images / "photos")
    with pytest.raises(FileNotFoundError, match=f"found no folder {images / 'jpg'}; expected"):
        load_embedded(pickles, images)
    shutil.move(images / "photos", images / "jpg")
    shutil.rmtree(pickles / "test")
    with pytest.raises(FileNotFoundError, match=f"found no folder {pickles / 'test'}; expected"):
        load_embedded(pickles, images)
    with pytest.raises(FileNotFoundError, match="data_dir: found none; expected StackGAN's layout"):
        load_embedded(None, images)
    with pytest.raises(FileNotFoundError, match="image_dir: found none; expected StackGAN's lay"):
        load_embedded(pickles, None)
    (pickles / "test").mkdir()
    with pytest.raises(FileNotFoundError, match="char-CNN-RNN-embeddings.pickle, filenames.pickle"):
        load_embedded(pickles, images)


def test_embeddings_that_match_no_photo_are_refused(tmp_path):
    pickles, images, _ = write_all(tmp_path)
    shutil.rmtree(images)
    write_photos(images, [f"bird_{i}" for i in range(36)])
    found = r"36 embeddings for 36 photos, 36 for none \(image_00000, image_00001, image_00002, …\)"
    with pytest.raises(ValueError, match=f"jpg: found {found}; expected those of each photo"):
        load_embedded(pickles, images)


@pytest.mark.parametrize(
    ("numbers", "width", "message"),
    [
        (range(24, 30), 6, "found 30 embeddings for 36 photos; expected those of each photo"),
        (range(12, 24), 6, "36 photos, 12 of them for a photo that has others; expected"),
        (range(24, 36), 5, r"found widths \[5, 6\] in train and test, expected one"),
    ],
)
def test_a_folder_test_that_does_not_go_with_the_rest_is_refused(tmp_path, numbers, width, message):
    pickles, images, table = write_all(tmp_path)
    shutil.rmtree(pickles / "test")
    rows, names = table[24 : 24 + len(numbers), :, :width], [f"image_{i:05d}" for i in numbers]
    write_part(pickles / "test", rows, names, [4] * len(numbers))
    with pytest.raises(ValueError, match=message):
        load_embedded(pickles, images)


class Counts(SentenceEncoder):
    """A cheap encoder: how often each of 26 letters stands in a sentence."""

    def __init__(self):
        pass  # no model to load

    def to(self, device):
        return self

    def encode(self, sentences):
        letters = [[sentence.count(chr(97 + i)) for i in range(26)] for sentence in sentences]
        return torch.tensor(letters, dtype=torch.float32)


def test_real_flowers_train_on_the_same_batches_from_pickles_and_from_captions(
    flowers_dir, tmp_path, monkeypatch
):
    folder = find_folder("flowers", flowers_dir, "flowers-102", flowers.PARTS, "")[0]
    write_flowers(flowers_dir, tmp_path, Counts().encode)
    monkeypatch.setattr(pairs.char_cnn_rnn, "load_text_encoder", lambda name: Counts())
    small = PROFILES["smoke"]
    told = trainer.Settings(dataset="flowers", data_dir=str(flowers_dir), encoder="none", **small)
    stored = trainer.Settings(data_dir=str(tmp_path), image_dir=str(folder), **small)
    first, second = (trainer.batches_of(s, trainer.pairs_of(s, 16)) for s in (told, stored))
    for step in (0, 7, 5000):
        for name in ("images", "embedding", "wrong_embedding", "sentences"):
            assert torch.equal(getattr(first[step], name), getattr(second[step], name)), name
