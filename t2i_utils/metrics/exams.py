"""What a generator is asked, and what stands beside its answers: floor, parrot and ceiling."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from t2i_utils.data import blooms
from t2i_utils.data.blooms import CLASS_ATTRIBUTES, NAMES
from t2i_utils.data.captioned import CaptionedImages, encoded, to_unit
from t2i_utils.data.grammar import DETAILS, NAMED
from t2i_utils.lesson import seed_for
from t2i_utils.metrics.matching import contradicts

PART = 4096  # flowers whose sentences are written at a time
# Sentences and a seed → pictures [n, 3, S, S] in [−1, 1]: all that is asked of a generator.
Draw = Callable[[list[str], int], Float[Tensor, "n 3 s s"]]
Encode = Callable[[list[str]], Float[Tensor, "n t"]]


@dataclass(eq=False, repr=False)
class Exam:
    """Sentences about flowers that were not in training, and who else answers them.

    `asked` is what each sentence names, −1 where it is silent. `memory` are training pictures
    [M, 3, S, S], uint8, and `parrot` says which of them it shows for which sentence. `ceiling`
    draws real flowers for rows of sentences, `reference` gives real ones to compare with. `face`
    says what a number without it would hide.
    """

    face: str
    sentences: list[str]
    asked: Int64[Tensor, "n a"]
    grammars: list[str]
    memory: np.ndarray | Tensor
    parrot: Int64[Tensor, " n"]
    ceiling: Callable[[Int64[Tensor, " m"], int], Tensor]
    reference: Callable[[Int64[Tensor, " m"]], Tensor]
    encode: Encode
    seed: int = 0
    classes: Int64[Tensor, " n"] | None = None  # of photographs, where no attributes are known
    columns: dict = field(default_factory=dict, init=False, repr=False)  # beside, by who judged

    def __len__(self) -> int:
        return len(self.sentences)

    @property
    def known(self) -> bool:
        """Whether a classifier can tell what is true: on Blooms, not on photographs."""
        return self.classes is None

    def rivals(self, rows: Int64[Tensor, " m"]) -> Bool[Tensor, "m m"]:
        """Which sentences may stand against which: those that contradict it, or of other classes.

        Raises ValueError where a sentence has none.
        """
        if self.known:
            rivals = contradicts(self.asked[rows][:, None], self.asked[rows][None])
        else:
            rivals = self.classes[rows][:, None] != self.classes[rows][None]
        if not rivals.any(1).all():
            lonely = self.sentences[rows[(~rivals.any(1)).nonzero()[0]]]
            raise ValueError(f"no rival among {len(rows)} sentences for {lonely!r}: all are of its "
                             "class, or do not contradict it; expected others beside it: more "
                             "pictures of more classes")
        return rivals

    def blind(self, rows: Int64[Tensor, " m"], seed: int) -> Tensor:
        """The floor: real flowers, each of another sentence drawn at random."""
        generator = torch.Generator().manual_seed(seed_for(seed, "blind"))
        further = torch.randint(1, len(self), rows.shape, generator=generator)
        return self.ceiling((rows + further) % len(self), seed)

    def parroted(self, rows: Int64[Tensor, " m"], seed: int) -> Tensor:
        """The picture of the training sentence whose φ points most nearly the same way."""
        return to_unit(self.memory[self.parrot[rows].numpy()])


def flowers_true_of(
    asked: Int64[Tensor, "n a"], generator: torch.Generator
) -> Int64[Tensor, "n a"]:
    """Flowers of which the sentences are true: what they name, all else drawn as Blooms draws it.

    A detail that a sentence does not name may be there: it is named with chance NAMED, and half of
    the flowers have it. The three class attributes have to be named, or the draw may leave Blooms.
    """
    free, _ = blooms.draw_attributes(len(asked), generator)
    for name in DETAILS:  # P(there | not named), by Bayes
        there = (1 - NAMED[name]) / (2 - NAMED[name])
        free[:, NAMES.index(name)] = (torch.rand(len(asked), generator=generator) < there).long()
    return torch.where(asked >= 0, asked, free)


def blooms_exam(
    data: CaptionedImages, encode: Encode, number: int = 2048, held_out: float = 0.25,
    seed: int = 0, memory: int = 4096,
) -> Exam:
    """`number` sentences about withheld combinations that name petal colour, shape and centre.

    A share `held_out` of them is in the held-out grammar. Floor, parrot and ceiling as in `Exam`;
    the parrot knows `memory` pictures of `data`'s split "train" with all their sentences. Pictures
    have `data`'s side. Raises ValueError where `data` is not Blooms.
    """
    if data.attributes is None:
        raise ValueError(f"{data.name}: found no attributes; expected Blooms (photographs_exam)")
    side, generator = data.images.shape[-1], torch.Generator().manual_seed(seed_for(seed, "exam"))
    others = round(number * held_out)
    sentences, asked = zip(*(
        _whole_sentences(n, grammar, generator, seed)
        for n, grammar in ((number - others, "training"), (others, "held_out")) if n
    ), strict=True)  # fmt: skip
    sentences, asked = sum(sentences, []), torch.cat(asked)
    grammars = ["training"] * (number - others) + ["held_out"] * others
    order = torch.randperm(number, generator=generator)  # so that any part of them is a mixture
    sentences, grammars = ([own[i] for i in order.tolist()] for own in (sentences, grammars))
    asked = asked[order]

    def drawn(flowers: Tensor, *names) -> Tensor:
        style = blooms.draw_style(len(flowers), torch.Generator().manual_seed(seed_for(*names)))
        return to_unit(blooms.render(flowers, style, side))

    def ceiling(rows: Tensor, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed_for(seed, "ceiling"))
        return drawn(flowers_true_of(asked[rows], generator), seed, "ceiling style")

    def reference(rows: Tensor) -> Tensor:
        place = int(rows[0])
        generator = torch.Generator().manual_seed(seed_for(seed, "reference", place))
        return drawn(withheld_flowers(len(rows), generator), seed, "reference style", place)

    known = data.splits["train"]
    known = known[torch.randperm(len(known), generator=generator)[:memory]]
    face = (f"Blooms, {side} px: {number:,} sentences about the 20 withheld combinations, "
            f"{others:,} of them in the held-out grammar; {len(known):,} training pictures in "
            f"memory ({data.origin}); seed {seed}")  # fmt: skip
    return Exam(face, sentences, asked, grammars, data.images[known.numpy()],
                nearest_sentence(data, known, encode, sentences), ceiling, reference, encode,
                seed)  # fmt: skip


def withheld_flowers(number: int, generator: torch.Generator) -> Int64[Tensor, "n a"]:
    """Attributes of flowers of the combinations that never occur in training."""
    unseen, parts, found = torch.tensor(blooms.unseen_classes()), [], 0
    while found < number:
        flowers, classes = blooms.draw_attributes(8 * number, generator)
        parts.append(flowers[torch.isin(classes, unseen)])
        found += len(parts[-1])
    return torch.cat(parts)[:number]


def _whole_sentences(
    number: int, grammar: str, generator: torch.Generator, seed: int
) -> tuple[list[str], Int64[Tensor, "n a"]]:
    """Sentences that name all of `CLASS_ATTRIBUTES`, one a withheld flower, and what they name."""
    columns = [NAMES.index(name) for name in CLASS_ATTRIBUTES]
    sentences, asked = [], []
    while len(sentences) < number:  # in parts: of a flower ten sentences are written, one is kept
        part = min(number - len(sentences), PART)
        flowers = withheld_flowers(part + part // 8 + 8, generator)
        part_seed = seed_for(seed + len(asked), "exam", grammar)
        written, named = blooms.write_sentences(flowers, part_seed, grammar)
        whole = (named[:, :, columns] >= 0).all(2)  # [n, 10]
        rows = whole.any(1).nonzero().flatten()[:part]  # one flower in sixty has none among ten
        first = whole[rows].int().argmax(1)
        sentences += [written[r][k] for r, k in zip(rows.tolist(), first.tolist(), strict=True)]
        asked.append(named[rows, first])
    return sentences, torch.cat(asked)


def nearest_sentence(
    data: CaptionedImages, known: Int64[Tensor, " m"], encode: Encode, sentences: list[str]
) -> Int64[Tensor, " n"]:
    """For each sentence the place in `known` of the picture with the nearest one, by cosine of φ.

    A sentence may stand in memory many times: the first then speaks.
    """
    owner: dict[str, int] = {}
    for place, picture in enumerate(known.tolist()):
        for sentence in data.captions[picture]:
            owner.setdefault(sentence, place)
    own = torch.tensor(list(owner.values()))
    there = F.normalize(encoded(encode, list(owner)), dim=1)
    parts = []
    for start in range(0, len(sentences), 512):
        here = F.normalize(encoded(encode, sentences[start : start + 512]), dim=1)
        parts.append((here @ there.T).argmax(1))
    return own[torch.cat(parts)]


def photographs_exam(
    data: CaptionedImages, encode: Encode, number: int = 2048, seed: int = 0, memory: int = 4096
) -> Exam:
    """The same of photographs: one sentence each of pictures of the split "test".

    What a sentence names is read from it by `blooms.parse`, which knows the words of Blooms. Half
    of the split is asked about (at most `number`), the other half is the reference. The ceiling is
    the photograph that the sentence was written about; another one of its class where eight are
    asked for.
    """
    generator = torch.Generator().manual_seed(seed_for(seed, "exam"))
    test = data.splits["test"]
    test = test[torch.randperm(len(test), generator=generator)]
    mine, rest = test[: len(test) // 2][:number], test[len(test) // 2 :]
    others = test[data.classes[test] != data.classes[mine[0]]]
    if len(others) and not torch.isin(others, mine).any():  # all of one class: no rivals
        mine, rest = torch.cat([mine[:-1], others[:1]]), rest[rest != others[0]]
    numbers = torch.randint(data.sentences_each, mine.shape, generator=generator)
    sentences = [data.captions[p][k] for p, k in zip(mine.tolist(), numbers, strict=True)]
    asked = torch.tensor([blooms.to_row(blooms.parse(sentence)) for sentence in sentences])
    known = data.splits["train"]
    known = known[torch.randperm(len(known), generator=generator)[:memory]]

    def middle(rows: Tensor) -> Tensor:
        cut = (data.images.shape[-1] - data.crop) // 2
        inner = slice(cut, cut + data.crop)
        return torch.from_numpy(data.images[rows.numpy()][..., inner, inner].copy())

    def ceiling(rows: Tensor, seed: int) -> Tensor:
        if len(rows.unique()) == len(rows):
            return to_unit(middle(mine[rows]))
        lots = torch.rand(len(rows), len(test), generator=torch.Generator().manual_seed(seed))
        same = data.classes[mine[rows]][:, None] == data.classes[test][None]
        return to_unit(middle(test[(lots * same).argmax(1)]))

    def reference(rows: Tensor) -> Tensor:
        return to_unit(middle(rest[rows % len(rest)]))

    face = (f"{data.name}, {data.crop} px: {len(mine):,} sentences of {len(mine):,} photographs of "
            f"unseen classes, against {len(rest):,} others; {len(known):,} training pictures in "
            f"memory ({data.origin}); seed {seed}")  # fmt: skip
    return Exam(face, sentences, asked, ["training"] * len(mine), middle(known),
                nearest_sentence(data, known, encode, sentences), ceiling, reference, encode,
                seed, data.classes[mine])  # fmt: skip
