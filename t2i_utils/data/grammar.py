"""Sentences about blooms: attributes → sentence (`describe`) and sentence → attributes (`parse`).

Three grammars. An encoder trains on "training". Two are held out for measuring: "held_out" says
the same in other sentences, of words that training sentences use; "synonyms" says it in training
sentences, with words that none of them uses (letters cannot tell that vermilion is red).
"""

import random
import re
from collections.abc import Callable, Mapping

ATTRIBUTES = {
    "petal_colour": ("red", "yellow", "purple", "white", "pink", "blue", "orange"),
    "petal_shape": ("round", "pointed", "narrow", "notched"),
    "centre_colour": ("yellow", "brown", "green", "white"),
    "background": ("leaves", "sky", "soil", "stone"),
    "petal_count": ("four", "five", "six", "eight"),
    "size": ("small", "large"),
    "layers": ("single", "double"),
    "veins": ("no", "yes"),  # the last three are drawn finer than a pixel at 64 × 64
    "stamens": ("no", "yes"),
    "rim": ("no", "yes"),
}
NAMES = tuple(ATTRIBUTES)
GRAMMARS = ("training", "held_out", "synonyms")
LONGEST = 201  # characters: what the text encoder reads
NAMED = {  # how often a sentence names an attribute; people name the colour, seldom the veins
    "petal_colour": 0.9, "petal_shape": 0.6, "centre_colour": 0.6, "background": 0.5,
    "petal_count": 0.35, "size": 0.35, "layers": 0.3, "veins": 0.3, "stamens": 0.3, "rim": 0.3,
}  # fmt: skip

# --------------------------------------------------------------------------------------- words

COLOUR_WORDS = {
    "red": ("crimson", "scarlet"), "yellow": ("golden", "lemon"), "purple": ("violet", "lilac"),
    "white": ("ivory", "snowy"), "pink": ("rosy",), "blue": ("azure",), "orange": ("tangerine",),
    "brown": ("chestnut",), "green": ("lime",),
}  # fmt: skip
WORDS = {
    "petal_colour": COLOUR_WORDS, "centre_colour": COLOUR_WORDS,
    "petal_shape": {"round": ("rounded", "circular"), "pointed": ("pointy", "spiky"),
                    "narrow": ("thin", "slender"), "notched": ("heart-shaped", "heart shaped")},
    "petal_count": {"four": ("4",), "five": ("5",), "six": ("6",), "eight": ("8",)},
    "size": {"small": ("tiny", "little"), "large": ("big", "huge")},
    "background": {"leaves": ("foliage", "grass"), "sky": ("skies",), "soil": ("earth", "ground"),
                   "stone": ("rock", "rocks")},
}  # fmt: skip
PHRASES = {
    "centre": ("centre", "center", "middle"),
    "layers": {"single": ("a single row of petals", "one layer of petals"),
               "double": ("a double row of petals", "two layers of petals")},
    "veins": {"yes": ("dark veins", "visible veins")},
    "stamens": {"yes": ("dark stamens", "a ring of stamens")},
    "rim": {"yes": ("a pale rim", "pale edges")},
}  # fmt: skip
FLOWER = ("flower", "flower", "flower", "bloom", "blossom")

# Words and phrases for the same values that no training sentence uses.
COLOUR_SYNONYMS = {
    "red": ("vermilion", "ruby"), "yellow": ("canary", "mustard", "flaxen"),
    "purple": ("mauve", "plum"), "white": ("alabaster", "porcelain"), "pink": ("fuchsia", "blush"),
    "blue": ("cobalt", "sapphire"), "orange": ("apricot", "pumpkin"), "brown": ("umber", "cocoa"),
    "green": ("emerald", "jade"),
}  # fmt: skip
SYNONYMS = {
    "petal_colour": COLOUR_SYNONYMS, "centre_colour": COLOUR_SYNONYMS,
    "petal_shape": {"round": ("orbicular", "coin-shaped"), "pointed": ("sharp", "tapering"),
                    "narrow": ("slim", "skinny"), "notched": ("cleft", "indented")},
    "petal_count": {"four": ("a quartet of",), "five": ("a quintet of",),
                    "six": ("half a dozen", "a sextet of"), "eight": ("an octet of",)},
    "size": {"small": ("petite", "miniature"), "large": ("enormous", "sizeable")},
    "background": {"leaves": ("shrubbery", "vegetation"), "sky": ("heavens",),
                   "soil": ("dirt", "mud"), "stone": ("cobblestone", "boulders")},
}  # fmt: skip
PHRASE_SYNONYMS = {
    "centre": ("core", "eye", "disc"),
    "layers": {"single": ("a single tier of petals", "one whorl of petals"),
               "double": ("a double tier of petals", "two whorls of petals")},
    "veins": {"yes": ("dark lines", "visible streaks")},
    "stamens": {"yes": ("dark anthers", "a ring of filaments")},
    "rim": {"yes": ("a pale border", "pale margins")},
}  # fmt: skip

# -------------------------------------------------------------------------- training sentences

PLACES = {
    "leaves": ("among green {}", "in front of {}", "against the {}", "surrounded by green {}"),
    "sky": ("against a blue {}", "under the {}", "in front of the {}", "before a clear blue {}"),
    "soil": ("on brown {}", "growing out of the {}", "against dark brown {}", "above the {}"),
    "stone": ("against grey {}", "in front of the {}", "on a grey {}", "beside the {}"),
}
ONE_PLACE = {  # nouns that only one of these suits
    "skies": "against clear blue {}", "rocks": "among grey {}", "grass": "in the {}",
    "heavens": "under the {}", "boulders": "among grey {}",
}  # fmt: skip
CENTRE_PHRASES = ("a {colour} {noun}", "a {noun} that is {colour}")
TEMPLATES = (
    "this {flower} has {features}{place}",
    "a {flower} with {features}{place}",
    "the {flower} has {features}{place}",
    "{place_first}a {flower} with {features}",
    "there is a {flower} with {features}{place}",
    "this is a {flower} and it has {features}{place}",
    "a picture of a {flower} with {features}{place}",
    "look at this {flower}: it has {features}{place}",
    "{features} on a {flower}{place}",
    "the {flower} in the picture has {features}{place}",
    "a {flower}{place}, with {features}",
    "{features} make up this {flower}{place}",
    "we see a {flower}{place}. it has {features}",
    "a {flower} showing {features}{place}",
)
BARE_TEMPLATES = (
    "a {flower}{place}",
    "this is a {flower}{place}",
    "there is a {flower}{place}",
    "a picture of a {flower}{place}",
    "{place_first}a {flower}",
)


def describe(
    attributes: Mapping[str, str], rng: random.Random, grammar: str = "training"
) -> tuple[str, dict[str, str]]:
    """Write one sentence about a flower; return it with the attributes that it names.

    Raises ValueError where `grammar` is not one of `GRAMMARS`.
    """
    if grammar not in GRAMMARS:
        raise ValueError(f"grammar {grammar!r} found; expected one of {', '.join(GRAMMARS)}")
    named = {k: v for k, v in attributes.items() if v != "no" and rng.random() < NAMED[k]}
    if not named:
        named = {"petal_colour": attributes["petal_colour"]}

    def say(name: str) -> str:
        """A word for an attribute's value, "" where the sentence is silent about it."""
        if name not in named:
            return ""
        if grammar == "synonyms":
            return rng.choice(SYNONYMS[name][named[name]])
        return named[name] if rng.random() < 0.7 else rng.choice(WORDS[name][named[name]])

    while True:
        if grammar == "held_out":
            sentence = held_out_sentence(named, say, rng)
        else:
            phrases = PHRASE_SYNONYMS if grammar == "synonyms" else PHRASES
            sentence = training_sentence(named, say, phrases, rng)
        sentence = re.sub(r"\ba (?=[aeiou8])", "an ", sentence)
        if len(sentence) <= LONGEST:  # else the same again in other words
            return sentence, named


def training_sentence(
    named: Mapping[str, str], say: Callable[[str], str], phrases: Mapping, rng: random.Random
) -> str:
    """A sentence of the training grammar: size and colour before the flower, what it has, where."""
    adjectives = [say("size")] if "size" in named else []
    features = petal_phrases(adjectives, say, rng)
    if "centre_colour" in named:
        colour, noun = say("centre_colour"), rng.choice(phrases["centre"])
        features.append(rng.choice(CENTRE_PHRASES).format(colour=colour, noun=noun))
    for detail in ("layers", "veins", "stamens", "rim"):
        if detail in named:
            features.append(rng.choice(phrases[detail][named[detail]]))
    if len(features) > 1 and rng.random() < 0.5:
        rng.shuffle(features)

    place = ""
    if "background" in named:
        noun = say("background")
        place = ONE_PLACE.get(noun, rng.choice(PLACES[named["background"]])).format(noun)
    return rng.choice(TEMPLATES if features else BARE_TEMPLATES).format(
        flower=" ".join([*adjectives, rng.choice(FLOWER)]),
        features=listed(features),
        place=f" {place}" if place else "",
        place_first=f"{place}, " if place else "",
    )


def petal_phrases(adjectives: list[str], say: Callable, rng: random.Random) -> list[str]:
    """The phrase about the petals; a colour alone may stand before the flower instead."""
    colour, shape, count = say("petal_colour"), say("petal_shape"), say("petal_count")
    if colour_of_flower(colour, shape or count, rng):
        adjectives.append(colour)
        colour = ""
    if not (colour or shape or count):
        return []
    if (colour or shape) and rng.random() < 0.4:
        return [f"{count} petals that are {' and '.join(filter(None, [shape, colour]))}".strip()]
    return [" ".join(filter(None, [count, shape, colour, "petals"]))]


def colour_of_flower(colour: str, other: str, rng: random.Random) -> bool:
    """Whether the colour is said of the flower, not of its petals, of which `other` is said."""
    return bool(colour) and rng.random() < (0.25 if other else 0.4)


def listed(parts: list[str]) -> str:
    """Several phrases in a row: "a, b and c"."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def training_words() -> frozenset[str]:
    """Every word that a training sentence can hold."""
    texts = [*TEMPLATES, *BARE_TEMPLATES, *FLOWER, *CENTRE_PHRASES, *PHRASES["centre"],
             "an", "petals that are"]  # fmt: skip
    texts += [place for places in PLACES.values() for place in places]
    texts += [ONE_PLACE[noun] for nouns in WORDS["background"].values() for noun in nouns
              if noun in ONE_PLACE]  # fmt: skip
    for name, values in ATTRIBUTES.items():
        for value in values if name in WORDS else ():
            texts += [value, *WORDS[name][value]]
        texts += [phrase for phrases in PHRASES.get(name, {}).values() for phrase in phrases]
    return frozenset(word for text in texts for word in words_of(re.sub(r"\{\w*\}", " ", text)))


def words_of(sentence: str) -> list[str]:
    """The words of a sentence in its order, without punctuation; "heart-shaped" is one."""
    return re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)*", sentence.lower())


# -------------------------------------------------------------------------- held-out sentences
# Made of training_words() alone: there is no "whose", no "its", no "have" among them.

BACKDROPS = {
    "leaves": ("green {}", "the green {}"), "sky": ("a blue {}", "a clear blue {}", "the blue {}"),
    "soil": ("brown {}", "the dark brown {}"), "stone": ("grey {}", "the grey {}"),
}  # fmt: skip
GROWING = {"leaves": ("among", "beside"), "sky": ("under",), "soil": ("on", "in"),
           "stone": ("beside", "on")}  # fmt: skip
PLURALS = ("leaves", "skies", "rocks")
NO_NOUNS = {"golden": "yellow", "snowy": "white", "rosy": "pink"}  # "petals in rosy" is no English
HELD_OUT_LAYERS = {"single": ("a single row", "a single layer", "one layer"),
                   "double": ("a double row", "a double layer", "two layers")}  # fmt: skip
HELD_OUT_DETAILS = {  # as a thing that the flower has, and as a statement
    "veins": (("veins that are dark", "veins that are visible", "veins on the petals"),
              ("the veins are dark", "the veins are visible", "there are veins on the petals")),
    "stamens": (("a ring of dark stamens", "stamens in a ring", "stamens that are dark"),
                ("the stamens are dark", "the stamens make up a ring")),
    "rim": (("a rim that is pale", "edges that are pale"),
            ("the rim is pale", "the edges are pale", "the edges of the petals are pale")),
}  # fmt: skip
HELD_OUT_TEMPLATES = (  # {flower} has its adjectives behind it, {noun} has none
    "with {features}, this is a {flower}",
    "in the picture there is a {flower}, and it has {features}",
    "in this picture a {flower} has {features}",
    "the {noun} that we see has {features}",
    "we see {features} on this {noun}",
    "it is a {noun} that has {features}",
    "look at the {noun}. {statements}",
    "see the {noun}: {statements}",
    "this is a picture of a {noun}: {statements}",
    "in this picture {statements}",
    "we see {backdrop} and in front a {flower}{comma} with {features}",
    "{backdrop} and a {flower} make up this picture, and the {noun} has {features}",
    "with {features}, a {flower} is growing {spot}",
    "growing {spot}, the {noun} has {features}",
    "{backdrop} {is_} visible, and there is a {flower}{comma} with {features}",
    "see the {noun} growing {spot}: it has {features}",
    "look at the {noun} growing {spot}: {statements}",
    "the {noun} is growing {spot}. {statements}",
    "a picture of {backdrop} and a {noun}: {statements}",
    "{backdrop} and a {noun} make up this picture: {statements}",
    "{backdrop} {is_} visible in this picture. {statements}",
)
HELD_OUT_BARE_TEMPLATES = (
    "look at the {noun}: it is {adjectives}",
    "this {noun} is {adjectives}",
    "the {noun} that we see is {adjectives}",
    "the {noun} in this picture is {adjectives}",
    "in the picture is a {flower}",
    "we see {backdrop} and in front a {flower}",
    "{backdrop} and a {flower} make up this picture",
    "growing {spot} is a {flower}",
    "{backdrop} {is_} visible, and in front is a {flower}",
    "look at the {noun} growing {spot}: it is {adjectives}",
    "look at the {noun} growing {spot}",
)


def held_out_sentence(named: Mapping[str, str], say: Callable, rng: random.Random) -> str:
    """A sentence of the held-out grammar: all that is said of the flower stands behind it."""
    noun, adjectives = rng.choice(FLOWER), [say("size")] if "size" in named else []
    colour, shape, count = say("petal_colour"), say("petal_shape"), say("petal_count")
    if colour_of_flower(colour, shape or count, rng):
        adjectives.append(colour)
        colour = ""
    layers = rng.choice(HELD_OUT_LAYERS[named["layers"]]) if "layers" in named else ""
    petals = (colour, shape, count, layers) if colour or shape or count or layers else ()
    details = [name for name in HELD_OUT_DETAILS if name in named]

    some = petals or details or "centre_colour" in named
    templates = HELD_OUT_TEMPLATES if some else HELD_OUT_BARE_TEMPLATES
    template = rng.choice([t for t in templates if suits(t, adjectives, "background" in named)])
    stated = "{statements}" in template
    of_details = [rng.choice(HELD_OUT_DETAILS[name][stated]) for name in details]
    of_petals = [(petals_stated if stated else petals_had)(*petals, rng)] if petals else []
    of_centre = []
    if "centre_colour" in named:
        of_centre.append((centre_stated if stated else centre_had)(say("centre_colour"), rng))
    orders = [of_petals + of_centre + of_details]
    if stated or count:  # "a centre in green and orange petals" could be read in two ways
        orders = [of_centre + of_petals + of_details, of_details + of_centre + of_petals]
    parts = rng.choice(orders)
    if stated and adjectives:
        subject = "it" if "the {noun}" in template else f"the {noun}"
        parts.insert(0, f"{subject} is {' and '.join(adjectives)}")
    slots = place_slots(named["background"], say, rng) if "background" in named else {}
    return template.format(
        noun=noun,
        adjectives=" and ".join(adjectives),
        flower=f"{noun} that is {' and '.join(adjectives)}" if adjectives else noun,
        comma="," if adjectives else "",
        features=listed(parts),
        statements=", and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]])),
        **slots,
    )


def suits(template: str, adjectives: list[str], place: bool) -> bool:
    """Whether a held-out template has room for all that is to be said, and for nothing else."""
    room = any(slot in template for slot in ("{flower}", "{adjectives}", "{statements}"))
    if adjectives and not room or not adjectives and "{adjectives}" in template:
        return False
    return place == ("{backdrop}" in template or "{spot}" in template)


def place_slots(background: str, say: Callable, rng: random.Random) -> dict[str, str]:
    """What held-out templates say of the background: what it is, its verb, where the flower is."""
    noun, pattern = say("background"), rng.choice(BACKDROPS[background])
    backdrop = (pattern.removeprefix("a ") if noun in PLURALS else pattern).format(noun)
    spot = f"{rng.choice(GROWING[background])} {backdrop}"
    return {"backdrop": backdrop, "is_": "are" if noun in PLURALS else "is", "spot": spot}


def petals_had(colour: str, shape: str, count: str, layers: str, rng: random.Random) -> str:
    """The petals as a thing that a held-out flower has."""
    if layers:
        return " ".join(filter(None, [count, shape, colour, "petals in", layers]))
    patterns = ["a ring of {count} {shape} {colour} petals"]
    if colour:
        patterns.append(f"{{count}} {{shape}} petals in {NO_NOUNS.get(colour, colour)}")
    if colour and shape and count:
        patterns.append("{count} {colour} and {shape} petals")
    filled = rng.choice(patterns).format(count=count, shape=shape, colour=colour)
    return " ".join(filled.split())


def petals_stated(colour: str, shape: str, count: str, layers: str, rng: random.Random) -> str:
    """The petals as a statement of a held-out sentence."""
    says = [f"are {' and '.join(filter(None, [colour, shape]))}"] if colour or shape else []
    says += [f"make up {layers}"] if layers else []
    if not says:
        return rng.choice((f"there are {count} petals", f"{count} petals are visible"))
    return " ".join(filter(None, ["the", count, "petals", " and ".join(says)]))


def centre_had(colour: str, rng: random.Random) -> str:
    """The centre as a thing that a held-out flower has."""
    noun, join = rng.choice(PHRASES["centre"]), rng.choice(("of", "in"))
    return f"a {noun} {join} {NO_NOUNS.get(colour, colour)}"


def centre_stated(colour: str, rng: random.Random) -> str:
    """The centre as a statement of a held-out sentence."""
    noun, thing = rng.choice(PHRASES["centre"]), NO_NOUNS.get(colour, colour)
    return rng.choice((f"the {noun} is {colour}", f"there is {thing} in the {noun}"))


# ------------------------------------------------------------------------------------- reading


def alternatives(*kinds: Mapping[str, tuple[str, ...]]) -> tuple[str, dict[str, str]]:
    """A regular expression for every word of the kinds, and the value that each word stands for."""
    meaning = {w: value for kind in kinds for value, words in kind.items() for w in (value, *words)}
    return "|".join(sorted(map(re.escape, meaning), key=len, reverse=True)), meaning


READ = {name: alternatives(WORDS[name], SYNONYMS[name]) for name in WORDS}
COLOUR, COLOUR_OF = READ["petal_colour"]
CENTRE = r"(?:centres?|centers?|middles?|pistils?|discs?|cores?|eyes?)"
CENTRE_PATTERNS = [
    re.compile(rf"\b({COLOUR})(?:\s+coloured|\s+colored)?\s+{CENTRE}\b"),
    re.compile(
        rf"\b{CENTRE}\s+(?:that\s+(?:is|are)|which\s+(?:is|are)|is|are|of|in)\s+({COLOUR})\b"
    ),
    re.compile(rf"\b({COLOUR})\s+(?:in|at)\s+(?:the|its)\s+{CENTRE}\b"),
]
LAYERS = re.compile(r"\b(?:(single|one)|(double|two))\s+(?:row|layer|tier|whorl)s?\b")
DETAILS = {
    "veins": r"\bvein(?:s|ed)?\b|\b(?:dark|visible)\s+(?:line|streak)s\b",
    "stamens": r"\b(?:stamen|anther|filament)s?\b",
    "rim": r"\b(?:rim|edge|border|margin)s?\b",
}


def parse(sentence: str) -> dict[str, str]:
    """Read the attributes that a sentence names; the ones it is silent about are left out.

    Each phrase that is understood is taken out, so that "a white flower with a yellow centre
    against a blue sky" leaves one colour for the petals.
    """
    rest, found = " ".join(sentence.lower().split()), {}

    def take(pattern: re.Pattern | str) -> re.Match | None:
        nonlocal rest
        match = re.search(pattern, rest)
        if match:
            rest = rest[: match.start()] + " " + rest[match.end() :]
        return match

    places, place_of = READ["background"]
    match = take(rf"\b(?:(?:green|blue|brown|grey|gray)\s+)?({places})\b")
    if match:
        found["background"] = place_of[match[1]]
    for pattern in CENTRE_PATTERNS:
        match = take(pattern)
        if match and COLOUR_OF[match[1]] in ATTRIBUTES["centre_colour"]:
            found["centre_colour"] = COLOUR_OF[match[1]]
            break
    match = take(LAYERS)
    if match:
        found["layers"] = "single" if match[1] else "double"
    for name, pattern in DETAILS.items():
        if take(pattern):
            found[name] = "yes"
    for name in ("petal_shape", "petal_count", "size"):
        words, meaning = READ[name]
        match = take(rf"\b({words})\b")
        if match:
            found[name] = meaning[match[1]]
    for match in re.finditer(rf"\b({COLOUR})\b", rest):
        if COLOUR_OF[match[1]] in ATTRIBUTES["petal_colour"]:
            found["petal_colour"] = COLOUR_OF[match[1]]
            break
    return found


def to_row(named: Mapping[str, str]) -> list[int]:
    """Attribute values as numbers, in the order of `ATTRIBUTES`; −1 where nothing is named."""
    return [ATTRIBUTES[k].index(named[k]) if k in named else -1 for k in NAMES]
