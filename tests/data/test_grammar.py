"""Three grammars that say nothing but the truth, two of them as no training sentence does."""

import hashlib
import importlib.util
import random
import re

import pytest

from t2i_utils.data import blooms, grammar
from t2i_utils.data.grammar import (
    ATTRIBUTES,
    BARE_TEMPLATES,
    COLOUR_SYNONYMS,
    COLOUR_WORDS,
    GRAMMARS,
    HELD_OUT_BARE_TEMPLATES,
    HELD_OUT_DETAILS,
    HELD_OUT_LAYERS,
    HELD_OUT_TEMPLATES,
    NAMES,
    PHRASE_SYNONYMS,
    PHRASES,
    PLACES,
    SYNONYMS,
    TEMPLATES,
    WORDS,
    describe,
    parse,
    training_words,
    words_of,
)
from t2i_utils.models.char_cnn_rnn import ALPHABET, LENGTH


def unchecked(module):
    """The same source without checks of annotations, which make a sentence a hundredfold slower."""
    spec = importlib.util.spec_from_file_location("unchecked", module.__file__)
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy


plain = unchecked(grammar)  # where thousands of sentences are written or parsed


def flowers(n, seed=0):
    """Attributes at random; a centre never has the colour of its petals."""
    rng = random.Random(seed)
    while n:
        has = {name: rng.choice(values) for name, values in ATTRIBUTES.items()}
        if has["petal_colour"] != has["centre_colour"]:
            n -= 1
            yield has


def written(n, name, seed=0):
    """Sentences of a grammar with what each names, and what its flower has."""
    rng = random.Random(seed)
    return [(*plain.describe(has, rng, name), has) for has in flowers(n, seed)]


@pytest.fixture(scope="module")
def sentences():
    """20,000 sentences of each grammar."""
    return {name: written(20_000, name) for name in GRAMMARS}


def assert_true(sentence, named, has):
    """The parser reads what the grammar named, and all of it is true of the picture."""
    read = plain.parse(sentence)
    assert read == named, f"{sentence!r}: parsed {read}, the grammar named {named}"
    assert read.items() <= has.items(), f"{sentence!r} is not of it"


# ---- every grammar ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", GRAMMARS)
def test_every_sentence_is_parsed_and_true(sentences, name):
    for sentence, named, has in sentences[name]:
        assert_true(sentence, named, has)
        assert named, f"{sentence!r} names nothing"


@pytest.mark.parametrize(("sentence", "named"), [
    ("a red flower", {"petal_colour": "blue"}),
    ("a red flower", {"petal_colour": "red", "background": "sky"}),
    ("a red flower under the sky", {"petal_colour": "red"}),
])  # fmt: skip
def test_an_untrue_sentence_is_caught(sentence, named):
    with pytest.raises(AssertionError, match="the grammar named"):
        assert_true(sentence, named, named)


@pytest.mark.parametrize("name", GRAMMARS)
def test_any_subset_of_attributes_is_named(sentences, name):
    """As often in each grammar, so that their figures compare."""
    for attribute in NAMES:
        shown = [named for _, named, has in sentences[name] if has[attribute] != "no"]
        share = sum(attribute in named for named in shown) / len(shown)
        assert abs(share - plain.NAMED[attribute]) < 0.03, f"{attribute} in {share:.0%}"
    assert {len(named) for _, named, _ in sentences[name]} >= set(range(1, 8))


@pytest.mark.parametrize("name", GRAMMARS)
def test_an_absent_detail_is_never_named(sentences, name):
    for detail in ("veins", "stamens", "rim"):
        assert {named.get(detail) for _, named, _ in sentences[name]} == {None, "yes"}


@pytest.mark.parametrize(("name", "words"), [
    ("training", WORDS), ("held_out", WORDS), ("synonyms", SYNONYMS),
])  # fmt: skip
def test_every_word_is_used(sentences, name, words):
    missing = {
        (attribute, value, word)
        for attribute, values in words.items()
        for value in ATTRIBUTES[attribute]
        for word in (*values[value], *(() if name == "synonyms" else (value,)))
    }
    for sentence, named, _ in sentences[name]:
        missing -= {
            (attribute, value, word)
            for attribute, value in named.items()
            for word in (value, *words.get(attribute, {}).get(value, ()))
            if re.search(rf"\b{word}\b", sentence)
        }
    assert not missing


class Noting(random.Random):
    """Remembers what it chose."""

    def __init__(self, seed):
        super().__init__(seed)
        self.noted = set()

    def choice(self, options):
        chosen = super().choice(options)
        if isinstance(chosen, str):
            self.noted.add(chosen)
        return chosen


def phrases_of(table):
    """Every phrase about the layers and the details."""
    return {phrase for part in ("layers", "veins", "stamens", "rim") for phrases in
            table[part].values() for phrase in phrases}  # fmt: skip


@pytest.mark.parametrize(("name", "phrases"), [
    ("training", {*TEMPLATES, *BARE_TEMPLATES, *phrases_of(PHRASES),
                  *(place for places in PLACES.values() for place in places)}),
    ("held_out", {*HELD_OUT_TEMPLATES, *HELD_OUT_BARE_TEMPLATES,
                  *(p for pair in HELD_OUT_DETAILS.values() for kind in pair for p in kind),
                  *(p for phrases in HELD_OUT_LAYERS.values() for p in phrases)}),
    ("synonyms", {*TEMPLATES, *phrases_of(PHRASE_SYNONYMS), *PHRASE_SYNONYMS["centre"]}),
])  # fmt: skip
def test_every_template_and_phrase_is_used(name, phrases):
    rng = Noting(0)
    for has in flowers(4000):
        plain.describe(has, rng, name)
    assert rng.noted >= phrases, phrases - rng.noted


def assert_readable(sentence):
    """The encoder can read all of it, as it is, and no word is misplaced by its slot."""
    assert sentence == sentence.lower() and sentence == sentence.strip()
    assert len(sentence) <= LENGTH, f"{len(sentence)} characters: {sentence!r}"
    assert set(sentence) <= set(ALPHABET)
    assert not re.search(r"  | [,.:]|[{}]|,,", sentence), sentence
    assert not re.search(r"\ba [aeiou8]|\ban [^aeiou8]", sentence), sentence
    assert not re.search(r"\b(\w+) \1\b", sentence), f"a word twice: {sentence!r}"
    plural = r"\b(?:skies|rocks|leaves|petals)\b"
    assert not re.search(rf"{plural} is visible", sentence), sentence
    assert not re.search(rf"\ban? (?:(?!dozen)\S+ )?{plural}", sentence), sentence


@pytest.mark.parametrize("name", GRAMMARS)
def test_the_encoder_can_read_every_sentence(sentences, name):
    for sentence, _, _ in sentences[name]:
        assert_readable(sentence)


@pytest.mark.parametrize("name", GRAMMARS)
def test_even_the_longest_sentence_fits(monkeypatch, name):
    """Sentences that name everything are rare; here all do."""
    monkeypatch.setattr(plain, "NAMED", dict.fromkeys(NAMES, 1.0))
    rng = random.Random(0)
    for _ in range(3000):
        has = {k: rng.choice([v for v in ATTRIBUTES[k] if v != "no"]) for k in NAMES}
        sentence, named = plain.describe(has, rng, name)
        assert named == has
        assert_readable(sentence)
        assert plain.parse(sentence) == has, sentence


@pytest.mark.parametrize("name", GRAMMARS)
def test_the_same_generator_writes_the_same(name):
    for has in flowers(5):
        random.seed(str(has))  # the global generator has no say
        one, same, other = (describe(has, random.Random(seed), name) for seed in (0, 0, 1))
        assert one == same and one != other


def test_an_unknown_grammar_is_named():
    has = next(flowers(1))
    with pytest.raises(ValueError, match="'heldout' found.*training, held_out, synonyms"):
        describe(has, random.Random(0), "heldout")


# ---- training sentences -----------------------------------------------------------------------


def test_training_sentences_are_what_they_were():
    """Caches and encoders are made of them: a change here needs a new `blooms.VERSION`."""
    rng, pick, texts = random.Random(5), random.Random(6), []
    for _ in range(5000):
        has = {name: pick.choice(values) for name, values in ATTRIBUTES.items()}
        texts.append(plain.describe(has, rng)[0])
    assert blooms.VERSION == "3"
    assert texts[:3] == [
        "a picture of a tangerine blossom with a single row of petals",
        "the orange flower has five round petals in front of the stone",
        "the flower in the picture has six tangerine petals and a center that is green",
    ]
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    assert digest == "e0ae9fd6d6a17705bc64f49c515d6130ca4d69a52ad73dda48bcab4efab74daa"


def test_training_words_are_those_of_training_sentences():
    """No word is missing, and none is listed that no sentence holds."""
    seen = {word for s, _, _ in written(100_000, "training", 1) for word in words_of(s)}
    assert training_words() == seen


def test_words_of_a_sentence():
    assert words_of("A heart-shaped bloom, 4 petals: it's red.") == [
        "a", "heart-shaped", "bloom", "4", "petals", "it", "s", "red"]  # fmt: skip


# ---- held-out sentences -----------------------------------------------------------------------


def test_held_out_sentences_have_known_words_only(sentences):
    known = training_words()
    for sentence, _, _ in sentences["held_out"]:
        assert set(words_of(sentence)) <= known, set(words_of(sentence)) - known


VALUES = {word for table in (*WORDS.values(), *SYNONYMS.values()) for value, words in table.items()
          for word in (value, *words)} | {"single", "double", "one", "two"}  # fmt: skip
BLANKS = {
    "_": sorted(VALUES, key=len, reverse=True),
    "CENTRE": [*PHRASES["centre"], *PHRASE_SYNONYMS["centre"]],
    "FLOWER": ["flower", "bloom", "blossom"],
}


def skeleton(sentence):
    """A sentence with its attribute words, and the nouns that stand for each other, blanked out."""
    for blank, words in BLANKS.items():
        sentence = re.sub(rf"\b(?:{'|'.join(map(re.escape, words))})\b", blank, sentence)
    return re.sub(r"\ban\b", "a", sentence)


def test_a_skeleton_is_what_two_sentences_share():
    pattern = "a _ FLOWER with _ petals and a CENTRE that is _"
    for sentence in (
        "a tiny bloom with red petals and a middle that is golden",
        "an enormous flower with heart-shaped petals and a core that is umber",
    ):
        assert skeleton(sentence) == pattern


def test_no_held_out_sentence_is_built_like_a_training_sentence(sentences):
    training = {skeleton(s) for s, _, _ in sentences["training"]}
    held_out = {skeleton(s) for s, _, _ in sentences["held_out"]}
    assert len(held_out) > 1000 and len(training) > 1000
    assert not training & held_out


def test_no_held_out_template_or_phrase_is_one_of_training():
    def blanked(templates):
        return {re.sub(r"\{\w+\}", "_", template) for template in templates}

    held_out = blanked([*HELD_OUT_TEMPLATES, *HELD_OUT_BARE_TEMPLATES])
    assert len(held_out) == len([*HELD_OUT_TEMPLATES, *HELD_OUT_BARE_TEMPLATES]) >= 12
    assert not held_out & blanked([*TEMPLATES, *BARE_TEMPLATES])
    details = {p for pair in HELD_OUT_DETAILS.values() for phrases in pair for p in phrases}
    assert not details & phrases_of(PHRASES)


def test_no_held_out_phrase_about_petals_or_centre_is_one_of_training():
    phrases = {"training": set(), "held_out": set()}
    rng = random.Random(0)
    for has in flowers(5000):
        said = {name: has[name] for name in NAMES if rng.random() < 0.6}

        def say(name, said=said):
            return said.get(name, "")

        phrases["training"] |= {skeleton(p) for p in plain.petal_phrases([], say, rng)}
        petals = [say(name) for name in ("petal_colour", "petal_shape", "petal_count")]
        layers = rng.choice(["", "two layers", "a single row"])
        for of_petals in (plain.petals_had, plain.petals_stated) if any(petals) else ():
            phrases["held_out"].add(skeleton(of_petals(*petals, layers, rng)))
        for of_centre in (plain.centre_had, plain.centre_stated):
            phrases["held_out"].add(skeleton(of_centre(has["centre_colour"], rng)))
    assert min(map(len, phrases.values())) >= 6
    phrases["training"] |= {pattern.format(noun="CENTRE", colour="_") for pattern in
                            grammar.CENTRE_PHRASES}  # fmt: skip
    assert not phrases["training"] & phrases["held_out"]


@pytest.mark.parametrize("adjectives", [[], ["small"], ["small", "red"]])
@pytest.mark.parametrize("place", [False, True])
def test_there_is_a_held_out_template_for_whatever_is_said(adjectives, place):
    for templates in (HELD_OUT_TEMPLATES, HELD_OUT_BARE_TEMPLATES):
        fitting = [t for t in templates if plain.suits(t, adjectives, place)]
        assert len(fitting) >= 3 or not (adjectives or place or templates is HELD_OUT_TEMPLATES)
        assert all(("{spot}" in t or "{backdrop}" in t) == place for t in fitting)


# ---- synonyms ---------------------------------------------------------------------------------


def test_every_value_has_a_synonym_that_training_does_not_know():
    known = training_words()
    for attribute, table in SYNONYMS.items():
        for value in ATTRIBUTES[attribute]:
            for word in table[value]:
                assert set(words_of(word)) - known, f"{word} of {attribute} {value} is known"
    for phrases in (phrases_of(PHRASE_SYNONYMS), PHRASE_SYNONYMS["centre"]):
        for phrase in phrases:
            assert set(words_of(phrase)) - known, f"{phrase!r} is known"
    assert COLOUR_SYNONYMS.keys() == COLOUR_WORDS.keys()


def test_a_synonym_stands_for_everything_that_is_named(sentences):
    """One unknown word at least for each attribute, and no word of training for its value."""
    known = training_words()
    for sentence, named, _ in sentences["synonyms"]:
        unknown = [word for word in words_of(sentence) if word not in known]
        assert len(unknown) >= len(named), f"{sentence!r}: {unknown} for {named}"


# ---- people's sentences -----------------------------------------------------------------------

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
    "its vermilion petals have dark lines around a core of mustard":
        {"petal_colour": "red", "centre_colour": "yellow", "veins": "yes"},
    "half a dozen mauve petals with straight lines and a thin dark eye":
        {"petal_count": "six", "petal_colour": "purple", "petal_shape": "narrow"},
    "two anthers and one pale border": {"stamens": "yes", "rim": "yes"},
    "it is very pretty": {},
    "a reddish, infrared, greenish flower": {},
    "": {},
}  # fmt: skip


@pytest.mark.parametrize("sentence", HUMAN)
def test_the_parser_reads_what_people_write(sentence):
    assert parse(sentence) == HUMAN[sentence]
