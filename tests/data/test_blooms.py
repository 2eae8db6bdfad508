"""Blooms: the same flower at every size, splits that keep classes apart, a cache that is whole."""

import importlib.util
import random

import numpy as np
import pytest
import torch

from t2i_utils.data import blooms, grammar
from t2i_utils.data.blooms import (
    ATTRIBUTES,
    CLASS_ATTRIBUTES,
    NAMES,
    all_classes,
    draw_attributes,
    draw_style,
    load_blooms,
    render,
    to_row,
    unseen_classes,
)
from t2i_utils.data.grammar import GRAMMARS


def unchecked(module):
    """The same source without checks of annotations, which make a sentence a hundredfold slower."""
    spec = importlib.util.spec_from_file_location("unchecked", module.__file__)
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy


plain, sentences = unchecked(blooms), unchecked(grammar)  # where thousands of sentences are written
plain.describe = sentences.describe


def some_flowers(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return draw_attributes(n, generator)[0], draw_style(n, generator)


def unit(images):
    """Bytes to [0, 1]."""
    return torch.tensor(np.asarray(images)).double() / 255


@pytest.fixture(scope="module")
def data():
    """1,200 small flowers with 12,000 sentences."""
    return plain.load_blooms(1200, 16)


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("T2I_CACHE", str(tmp_path))
    return tmp_path / "blooms"


def entries(cache):
    """What is in the cache; but the empty lock files and the fingerprints."""
    return [path.name for path in cache.iterdir() if path.suffix not in (".lock", ".sum")]


# ---- pictures ---------------------------------------------------------------------------------


def test_the_same_flower_at_64_and_256():
    attributes, style = some_flowers(64)
    small, large = unit(render(attributes, style, 64)), unit(render(attributes, style, 256))
    averaged = torch.nn.functional.avg_pool2d(large, 4)
    apart = (averaged - small).abs().mean((1, 2, 3))  # of each flower
    assert apart.max() < 0.03
    # Not the attributes alone: the same flower in another's style is much further away.
    other = unit(render(attributes, style.roll(1, 0), 64))
    assert ((averaged - other).abs().mean((1, 2, 3)) > 2 * apart).all()


def test_the_data_set_is_the_same_at_every_size():
    small, large = load_blooms(20, 64, seed=5), load_blooms(20, 256, seed=5)
    assert large.images.shape == (20, 3, 256, 256)
    averaged = torch.nn.functional.avg_pool2d(unit(large.images), 4)
    assert (averaged - unit(small.images)).abs().mean((1, 2, 3)).max() < 0.03
    assert small.captions == large.captions
    assert torch.equal(small.attributes, large.attributes)


def test_a_flower_does_not_depend_on_its_neighbours():
    attributes, style = some_flowers(130)  # more than one chunk
    together = render(attributes, style, 16)
    for i in (0, 127, 128, 129):
        alone = render(attributes[i : i + 1], style[i : i + 1], 16)[0]
        assert (alone.int() - together[i].int()).abs().max() <= 1  # a rounding apart
    assert render(attributes[:0], style[:0], 16).shape == (0, 3, 16, 16)


@pytest.mark.parametrize("n", [0, 1, 130])
def test_flowers_are_drawn_on_the_device_of_their_attributes(n):
    """On "meta" nothing is computed: an intermediate on the CPU, or a wait for one, would raise."""
    attributes, style = (x.to("meta") for x in some_flowers(n))
    images = render(attributes, style, 16)
    assert images.is_meta and images.shape == (n, 3, 16, 16) and images.dtype == torch.uint8


@pytest.mark.parametrize("name", NAMES)
def test_every_attribute_is_seen_in_the_picture(name):
    """At 256 pixels: changing one attribute, and nothing else, changes every picture."""
    attributes, style = some_flowers(4)
    column, changed = NAMES.index(name), attributes.clone()
    changed[:, column] = (changed[:, column] + 1) % len(ATTRIBUTES[name])
    one, other = (render(a, style, 256).int() for a in (attributes, changed))
    differ = ((one - other).abs() > 25).any(1).double().mean((1, 2))  # share of pixels
    assert (differ > 0.002).all(), differ


def test_the_same_seed_draws_the_same(tmp_path, monkeypatch):
    drawn = []
    for folder, seed in (("one", 3), ("two", 3), ("three", 4)):
        monkeypatch.setenv("T2I_CACHE", str(tmp_path / folder))
        torch.manual_seed(len(drawn))  # the global generators have no say
        random.seed(len(drawn))
        drawn.append(load_blooms(60, 16, seed))
    first, again, other = drawn
    assert np.array_equal(first.images, again.images) and first.captions == again.captions
    assert torch.equal(first.attributes, again.attributes)
    assert torch.equal(first.named, again.named)
    apart = (unit(first.images) - unit(other.images)).abs().mean((1, 2, 3))
    assert (apart > 0.03).all()
    assert first.captions != other.captions


# ---- sentences (the grammar itself: test_grammar.py) ------------------------------------------


def test_every_sentence_of_the_data_set_is_parsed_and_true(data):
    rows = zip(data.captions, data.named.tolist(), data.attributes.tolist(), strict=True)
    for texts, named, has in rows:
        assert len(texts) == 10
        assert [to_row(sentences.parse(text)) for text in texts] == named
        for row in named:
            assert max(row) >= 0 and all(b in (-1, a) for a, b in zip(has, row, strict=True))


@pytest.mark.parametrize("name", GRAMMARS)
def test_sentences_of_every_grammar_are_written_for_pictures(name):
    attributes = some_flowers(20)[0]
    texts, named = plain.write_sentences(attributes, 3, name)
    assert [len(ten) for ten in texts] == [10] * 20 and named.shape == (20, 10, len(NAMES))
    for ten, rows in zip(texts, named.tolist(), strict=True):
        assert [to_row(sentences.parse(text)) for text in ten] == rows
    assert ((named == -1) | (named == attributes[:, None])).all()
    assert texts == plain.write_sentences(attributes, 3, name)[0]
    default = plain.write_sentences(attributes, 3)[0]
    assert (texts == default) == (name == "training")


def test_sentences_of_an_unknown_grammar_are_an_error():
    with pytest.raises(ValueError, match="'held-out' found.*training, held_out, synonyms"):
        blooms.write_sentences(some_flowers(1)[0], 0, "held-out")


# ---- classes and splits -----------------------------------------------------------------------


def test_unseen_classes_are_made_of_parts_that_training_has(data):
    classes, unseen = all_classes(), set(unseen_classes())
    assert len(unseen) == 20 and unseen < set(range(len(classes)))
    assert unseen == set(unseen_classes()), "the same ones at every call"
    train = set(data.classes[data.splits["train"]].tolist())
    assert not train & unseen
    assert set(data.classes[data.splits["test"]].tolist()) == unseen
    for i, name in enumerate(CLASS_ATTRIBUTES):
        assert {classes[c][i] for c in train} == set(ATTRIBUTES[name])


def test_unseen_classes_are_spread_evenly():
    columns = zip(*(all_classes()[number] for number in unseen_classes()), strict=True)
    expected = [{2, 3}, {5}, {5}]  # how many of each value
    for name, column, counts in zip(CLASS_ATTRIBUTES, columns, expected, strict=True):
        assert {column.count(value) for value in ATTRIBUTES[name]} == counts, name


def test_a_class_is_what_its_name_says(data):
    columns = [NAMES.index(name) for name in CLASS_ATTRIBUTES]
    for label, row in zip(data.classes.tolist(), data.attributes[:, columns].tolist(), strict=True):
        values = [ATTRIBUTES[k][v] for k, v in zip(CLASS_ATTRIBUTES, row, strict=True)]
        assert data.class_names[label] == " ".join(values)
        assert values[0] != values[2], "the centre would not be seen on its petals"


def test_the_splits_share_no_picture_and_leave_none_out(data):
    train, seen_test, test = (data.splits[k].tolist() for k in ("train", "seen_test", "test"))
    assert sorted(train + seen_test + test) == list(range(1200))
    assert len(train) > 0.7 * 1200 and len(seen_test) > 30 and len(test) > 150
    assert not set(data.classes[data.splits["seen_test"]].tolist()) & set(unseen_classes())


def test_what_is_unseen_depends_on_neither_size_nor_seed(data):
    other = plain.load_blooms(300, 8, seed=9)
    for loaded in (data, other):
        in_test = torch.isin(loaded.classes, torch.tensor(unseen_classes()))
        assert torch.equal(torch.nonzero(in_test).flatten(), loaded.splits["test"])


# ---- the cache --------------------------------------------------------------------------------


def test_the_second_load_draws_nothing(empty_cache, monkeypatch):
    first = load_blooms(20, 16)

    def never(*_):
        raise AssertionError("drawn again")

    monkeypatch.setattr(blooms, "render", never)
    monkeypatch.setattr(blooms, "describe", never)
    second = load_blooms(20, 16)
    assert isinstance(second.images, np.memmap)
    assert np.array_equal(first.images, second.images) and first.captions == second.captions
    assert torch.equal(first.named, second.named) and torch.equal(first.classes, second.classes)
    assert len(entries(empty_cache)) == 1
    for other in ((21, 16, 0), (20, 8, 0), (20, 16, 1)):
        with pytest.raises(AssertionError, match="drawn again"):
            load_blooms(*other)


def dies_while_drawing(patch):
    def render(*_):
        raise KeyboardInterrupt

    patch.setattr(blooms, "render", render)


def dies_while_writing(patch):
    """At the last file of all, when it has begun."""

    def header(file, _):
        file.write(b"half")
        raise KeyboardInterrupt

    patch.setattr(np.lib.format, "write_array_header_1_0", header)


def assert_whole(n, size):
    loaded = load_blooms(n, size)
    assert loaded.images.shape == (n, 3, size, size) and len(loaded.captions) == n
    assert np.asarray(loaded.images).reshape(n, -1).any(1).all(), "a picture was never drawn"


@pytest.mark.parametrize("dies", [dies_while_drawing, dies_while_writing])
def test_an_interrupted_draw_leaves_nothing(empty_cache, monkeypatch, dies):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        dies(patch)
        load_blooms(20, 8)
    assert entries(empty_cache) == []
    assert_whole(20, 8)


@pytest.mark.parametrize("dies", [dies_while_drawing, dies_while_writing])
def test_a_killed_draw_leaves_no_half_data_set(empty_cache, monkeypatch, dies):
    """kill -9 tidies nothing up; what it leaves must not be taken for the whole."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        dies(patch)
        patch.setattr(blooms.files, "_removed", lambda _: None)
        load_blooms(20, 8)
    [left], entry = entries(empty_cache), blooms.cache_name(20, 8, 0)
    assert left.startswith(f".{entry}.")
    assert_whole(20, 8)
    assert entries(empty_cache) == [entry], "swept by the next"


@pytest.mark.parametrize(("n", "size"), [(0, 64), (-3, 64), (8, 7), (8, 0), (8, -64)])
def test_what_cannot_be_drawn_is_named(empty_cache, n, size):
    with pytest.raises(ValueError, match=f"Blooms: (n {n}|size {size}), expected"):
        load_blooms(n, size)
    assert not empty_cache.exists()
