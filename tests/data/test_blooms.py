"""Blooms: the same flower at every size, and sentences that say nothing but the truth."""

import importlib.util
import random
import re

import numpy as np
import pytest
import torch

from t2i_utils.data import blooms
from t2i_utils.data.blooms import (
    ATTRIBUTES,
    BARE_TEMPLATES,
    CLASS_ATTRIBUTES,
    COLOUR_WORDS,
    NAMES,
    TEMPLATES,
    WORDS,
    all_classes,
    draw_attributes,
    draw_style,
    load_blooms,
    parse,
    render,
    to_row,
    unseen_classes,
)
from t2i_utils.models.char_cnn_rnn import ALPHABET, LENGTH


def unchecked():
    """The same source without checks of annotations, which make a sentence a hundredfold slower."""
    spec = importlib.util.spec_from_file_location("unchecked_blooms", blooms.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


plain = unchecked()  # where thousands of sentences are written or parsed


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


@pytest.fixture(scope="module")
def sentences(data):
    """Every sentence, what the grammar says it named, and what its picture has."""
    return [
        (sentence, row, has)
        for texts, rows, has in zip(
            data.captions, data.named.tolist(), data.attributes.tolist(), strict=True
        )
        for sentence, row in zip(texts, rows, strict=True)
    ]


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("T2I_CACHE", str(tmp_path))
    return tmp_path / "blooms"


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
    small, large = load_blooms(12, 64, seed=5), load_blooms(12, 256, seed=5)
    assert large.images.shape == (12, 3, 256, 256)
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
        drawn.append(load_blooms(30, 16, seed))
    first, again, other = drawn
    assert np.array_equal(first.images, again.images) and first.captions == again.captions
    assert torch.equal(first.attributes, again.attributes)
    assert torch.equal(first.named, again.named)
    apart = (unit(first.images) - unit(other.images)).abs().mean((1, 2, 3))
    assert (apart > 0.03).all()
    assert first.captions != other.captions


# ---- sentences --------------------------------------------------------------------------------


def assert_true(sentence, named, has):
    """The parser reads what the grammar named, and all of it is true of the picture."""
    read = to_row(plain.parse(sentence))
    assert read == named, f"{sentence!r}: parsed {read}, the grammar named {named}"
    assert all(b in (-1, a) for a, b in zip(has, read, strict=True)), f"{sentence!r} is not of it"


def test_every_sentence_is_parsed_and_true(sentences):
    assert len(sentences) >= 10_000
    for sentence, named, has in sentences:
        assert_true(sentence, named, has)
        assert max(named) >= 0, f"{sentence!r} names nothing"


@pytest.mark.parametrize(("sentence", "named"), [
    ("a red flower", {"petal_colour": "blue"}),
    ("a red flower", {"petal_colour": "red", "background": "sky"}),
    ("a red flower under the sky", {"petal_colour": "red"}),
])
def test_an_untrue_sentence_is_caught(sentence, named):
    with pytest.raises(AssertionError, match="the grammar named"):
        assert_true(sentence, to_row(named), to_row(named))


def test_any_subset_of_attributes_is_named(sentences):
    for column, name in enumerate(NAMES):
        shown = [row[column] for _, row, has in sentences if ATTRIBUTES[name][has[column]] != "no"]
        share = sum(value >= 0 for value in shown) / len(shown)
        assert 0.2 < share < 0.95, f"{name} is named in {share:.0%} of the sentences"
    counts = {sum(value >= 0 for value in row) for _, row, _ in sentences}
    assert counts >= set(range(1, 8))


def test_an_absent_detail_is_never_named(sentences):
    for name in ("veins", "stamens", "rim"):
        column = NAMES.index(name)
        assert {row[column] for _, row, _ in sentences} == {-1, ATTRIBUTES[name].index("yes")}


def test_every_synonym_is_used(sentences):
    used = {(name, value): set() for name in NAMES for value in ATTRIBUTES[name]}
    for sentence, row, _ in sentences:
        words = set(re.findall(r"[\w-]+", sentence)) | {
            pair for pair in ("heart shaped",) if pair in sentence
        }
        for name, value in zip(NAMES, row, strict=True):
            if value >= 0:
                used[name, ATTRIBUTES[name][value]] |= words
    for name, words in [*WORDS.items(), ("petal_colour", COLOUR_WORDS),
                        ("centre_colour", COLOUR_WORDS)]:  # fmt: skip
        for value in ATTRIBUTES[name]:
            missing = {value, *words[value]} - used[name, value]
            assert not missing, f"{name} {value} is never called {missing}"


def test_every_template_is_used():
    class Noting(random.Random):
        noted = set()

        def choice(self, options):
            chosen = super().choice(options)
            self.noted.add(chosen)
            return chosen

    rng, attributes = Noting(0), some_flowers(100)[0]
    for row in attributes.tolist():
        values = {k: ATTRIBUTES[k][v] for k, v in zip(NAMES, row, strict=True)}
        for _ in range(10):
            plain.describe(values, rng)
    assert len(set(TEMPLATES)) >= 12
    assert rng.noted >= {*TEMPLATES, *BARE_TEMPLATES}
    assert rng.noted >= {place for places in blooms.PLACES.values() for place in places}


def assert_readable(sentence):
    """The encoder can read all of it, as it is."""
    assert sentence == sentence.lower() and sentence == sentence.strip()
    assert len(sentence) <= LENGTH, f"{len(sentence)} characters: {sentence!r}"
    assert set(sentence) <= set(ALPHABET)
    assert "  " not in sentence and " ," not in sentence
    assert not re.search(r"\ba [aeiou8]|\ban [^aeiou8]", sentence), sentence


def test_the_encoder_can_read_every_sentence(sentences):
    for sentence, _, _ in sentences:
        assert_readable(sentence)


def test_even_the_longest_sentence_fits(monkeypatch):
    """Sentences that name everything are rare; here all do."""
    monkeypatch.setattr(plain, "NAMED", dict.fromkeys(NAMES, 1.0))
    rng = random.Random(0)
    for _ in range(3000):
        values = {k: rng.choice([v for v in ATTRIBUTES[k] if v != "no"]) for k in NAMES}
        sentence, named = plain.describe(values, rng)
        assert named == values
        assert_readable(sentence)
        assert plain.parse(sentence) == values, sentence


HUMAN = {
    "this flower has petals that are yellow with a brown center":
        {"petal_colour": "yellow", "centre_colour": "brown"},
    "This flower has Purple petals and a white pistil.":
        {"petal_colour": "purple", "centre_colour": "white"},
    "the petals are pink and pointed, the middle is yellow":
        {"petal_colour": "pink", "petal_shape": "pointed", "centre_colour": "yellow"},
    "this flower has five large blue petals surrounded by green leaves":
        {"petal_count": "five", "size": "large", "petal_colour": "blue", "background": "leaves"},
    "a small white flower with yellow in the centre":
        {"size": "small", "petal_colour": "white", "centre_colour": "yellow"},
    "a flower with orange petals in two layers and dark stamens":
        {"petal_colour": "orange", "layers": "double", "stamens": "yes"},
    "a white flower with a yellow centre against a blue sky":
        {"petal_colour": "white", "centre_colour": "yellow", "background": "sky"},
    "a  red\nflower": {"petal_colour": "red"},
    "the veined petals have yellow edges": {"petal_colour": "yellow", "veins": "yes", "rim": "yes"},
    "it is very pretty": {},
    "a reddish, infrared, greenish flower": {},
    "": {},
}  # fmt: skip


@pytest.mark.parametrize("sentence", HUMAN)
def test_the_parser_reads_what_people_write(sentence):
    assert parse(sentence) == HUMAN[sentence]


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
    assert len(list(empty_cache.iterdir())) == 1
    for other in ((21, 16, 0), (20, 8, 0), (20, 16, 1)):
        with pytest.raises(AssertionError, match="drawn again"):
            load_blooms(*other)


def dies_while_drawing(patch):
    def render(*_):
        raise KeyboardInterrupt

    patch.setattr(blooms, "render", render)


def dies_while_writing(patch):
    """At the last file of all, half way through it."""

    def dump(_, file):
        file.write('[["this flower has')
        raise KeyboardInterrupt

    patch.setattr(blooms.json, "dump", dump)


def assert_whole(n, size):
    loaded = load_blooms(n, size)
    assert loaded.images.shape == (n, 3, size, size) and len(loaded.captions) == n
    assert np.asarray(loaded.images).reshape(n, -1).any(1).all(), "a picture was never drawn"


@pytest.mark.parametrize("dies", [dies_while_drawing, dies_while_writing])
def test_an_interrupted_draw_leaves_nothing(empty_cache, monkeypatch, dies):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        dies(patch)
        load_blooms(20, 8)
    assert list(empty_cache.iterdir()) == []
    assert_whole(20, 8)


@pytest.mark.parametrize("dies", [dies_while_drawing, dies_while_writing])
def test_a_killed_draw_leaves_no_half_data_set(empty_cache, monkeypatch, dies):
    """kill -9 tidies nothing up; what it leaves must not be taken for the whole."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        dies(patch)
        patch.setattr(blooms.shutil, "rmtree", lambda *_, **__: None)
        load_blooms(20, 8)
    assert not (empty_cache / f"v{blooms.VERSION}-n20-size8-seed0").exists()
    assert_whole(20, 8)


@pytest.mark.parametrize(("n", "size"), [(0, 64), (-3, 64), (8, 7), (8, 0), (8, -64)])
def test_what_cannot_be_drawn_is_named(empty_cache, n, size):
    with pytest.raises(ValueError, match=f"Blooms: n={n}, size={size}.*expected"):
        load_blooms(n, size)
    assert not empty_cache.exists()
