"""Pictures with several sentences each, and batches of right and wrong pairs drawn from them."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from t2i_utils.data.photographs import whole_number
from t2i_utils.lesson import seed_for


def to_unit(images: UInt8[Tensor, "..."] | UInt8[np.ndarray, "..."]) -> Float[Tensor, "..."]:
    """Bytes 0..255 to float32 in [-1, 1], the range of tanh; ValueError for what is no byte."""
    images = _tensor_of(images)
    numbers = images.float()
    if images.dtype != torch.uint8 and not numbers.clamp(0, 255).round().equal(numbers):
        raise ValueError(f"found numbers from {numbers.min()} to {numbers.max()}, expected uint8")
    return numbers.div(127.5).sub_(1)  # a float tensor is its own .float(): not in place


def to_bytes(images: Float[Tensor, "..."]) -> UInt8[Tensor, "..."]:
    """Floats in [-1, 1] (what lies outside is clipped) to bytes; undoes `to_unit` exactly."""
    images = _tensor_of(images)
    if not images.is_floating_point():
        raise TypeError(f"found {images.dtype}, expected floats in [-1, 1]")
    return images.float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)


def _tensor_of(images: Any) -> Tensor:
    """A tensor as it is; of an array, of pictures or lists a copy."""
    if isinstance(images, Tensor):
        return images
    copy = np.array(images)
    kind = np.float32 if copy.dtype.kind == "f" else np.int64
    return torch.from_numpy(copy if copy.dtype == np.uint8 else copy.astype(kind))


@dataclass(eq=False, repr=False)
class CaptionedImages:
    """N square pictures with k sentences each, their classes and splits.

    `images` may be memory-mapped: batches read only their own rows. Batches cut a random square
    of side `crop` out of each picture and, where `flip` says that mirrored pictures keep their
    sentences true, mirror half of them. Where attributes are known (Blooms), `attributes` holds
    what each picture has and `named` what each sentence names, -1 where it is silent. `origin` says
    with which options the set was drawn or read.

    Raises ValueError naming what does not fit.
    """

    name: str
    images: UInt8[np.ndarray, "N 3 S S"]
    captions: list[list[str]]
    classes: Int64[Tensor, " N"]
    class_names: list[str]
    splits: dict[str, Int64[Tensor, " _"]]
    crop: int
    flip: bool
    attributes: Int64[Tensor, "N A"] | None = None
    named: Int64[Tensor, "N k A"] | None = None
    origin: str = ""

    def __post_init__(self):
        n, shape = len(self.images), self.images.shape
        self._require(len(shape) == 4 and shape[1] == 3 and shape[2] == shape[3] and n > 0,
                      f"images have shape {shape}, expected [N, 3, S, S]")
        self._require(self.images.dtype == np.uint8, f"images are {self.images.dtype}, not uint8")
        self._require(0 < self.crop <= shape[3], f"crop {self.crop} is not in 1 to {shape[3]}")
        self._require(self.classes.shape == (n,) and self.classes.dtype == torch.int64,
                      f"classes {self.classes.dtype} {tuple(self.classes.shape)}, not int64 ({n},)")
        low, high, c = int(self.classes.min()), int(self.classes.max()), len(self.class_names)
        self._require(0 <= low and high < c, f"classes {low} to {high}, but {c} class names")
        self._require(len(self.captions) == n, f"captions for {len(self.captions)} pictures of {n}")
        k = self.sentences_each
        for picture, sentences in enumerate(self.captions):
            self._require(len(sentences) == k > 0,
                          f"picture {picture} has {len(sentences)} sentences, the first has {k}")
            self._require(all(map(str.strip, sentences)), f"picture {picture}: empty sentence")
        self._require((self.attributes is None) == (self.named is None),
                      "attributes and named go together, found only one of them")
        if self.attributes is not None:
            a, b = tuple(self.attributes.shape), tuple(self.named.shape)
            self._require(a[:1] == (n,) and b == (n, k, *a[1:]),
                          f"attributes {a} and named {b}, expected ({n}, A) and ({n}, {k}, A)")
        self._check_splits()

    def __repr__(self) -> str:  # the generated one writes out all the sentences
        splits = ", ".join(f"{name} {len(own):,}" for name, own in self.splits.items())
        return (f"CaptionedImages({self.name}: {len(self.images):,} pictures of "
                f"{self.images.shape[-1]} × {self.images.shape[-1]}, crop {self.crop}, "
                f"{self.sentences_each} sentences each; {splits})")

    @property
    def sentences_each(self) -> int:
        """k: how many sentences each picture has."""
        return len(self.captions[0])

    def _require(self, held: bool, found: str):
        if not held:
            raise ValueError(f"{self.name}: {found}")

    def _check_splits(self):
        self._require({"train", "test"} <= set(self.splits),
                      f"splits {list(self.splits)}, expected at least 'train' and 'test'")
        split_of = {}
        for split, pictures in self.splits.items():
            for picture in pictures.tolist():
                self._require(0 <= picture < len(self.images), f"split {split!r} has picture "
                              f"{picture}, expected 0 to {len(self.images) - 1}")
                self._require(picture not in split_of, f"picture {picture} is in split {split!r} "
                              f"and already in {split_of.get(picture)!r}")
                split_of[picture] = split
            own = (sentence for picture in pictures.tolist() for sentence in self.captions[picture])
            first = next(own, None)  # the second is soon another one: 118,000 need not be looked at
            self._require(self.attributes is not None or split == "seen_test" or first is None
                          or any(sentence != first for sentence in own),
                          f"found one sentence for all of {split!r}, expected several")

    def encode(
        self, encode: Callable[[list[str]], Tensor], chunk: int = 8192
    ) -> Float[Tensor, "N k T"]:
        """The embeddings of all sentences, float16 on the CPU; equal sentences are encoded once.

        `encode` maps a list of sentences to [len, T]; it is given `chunk` of them at a time.
        Raises ValueError where its answer has another shape or does not fit float16.
        """
        sentences = [sentence for own in self.captions for sentence in own]
        table = encoded(encode, sentences, chunk, torch.float16)
        if not table.isfinite().all():
            raise ValueError("encode gave values that are not finite in float16 (up to 65,504)")
        return table.unflatten(0, (-1, self.sentences_each))

    def is_true(
        self,
        pictures: Int64[Tensor, "*#B"],
        sentence_owner: Int64[Tensor, "*#B"],
        sentence_number: Int64[Tensor, "*#B"],
    ) -> Bool[Tensor, "*B"]:
        """Whether the sentence (owner's number-th) is, as far as is known, true of the picture.

        With attributes: everything that it names, the picture has. Without: a sentence of the
        same class may be true, one of another class is taken for untrue.
        """
        if self.attributes is None:
            return self.classes[pictures] == self.classes[sentence_owner]
        named = self.named[sentence_owner, sentence_number]
        return all_true(named, self.attributes[pictures])

    def rivals(
        self, pictures: Int64[Tensor, " B"], sentence_number: Int64[Tensor, " B"]
    ) -> Bool[Tensor, "B B"]:
        """Which of a batch's sentences compete for which of its pictures: those that are not true.

        Row n is picture n, column m the sentence of picture m. The rule of the wrong pairs
        (`is_true`): a sentence that is true of a picture is never its rival, whosever it is.
        """
        return ~self.is_true(pictures[:, None], pictures[None], sentence_number[None])


@torch.no_grad()
def encoded(
    encode: Callable[[list[str]], Tensor], sentences: list[str], chunk: int = 512,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "n T"]:
    """The embeddings of sentences on the CPU, `chunk` at a time; equal ones are encoded once.

    Raises ValueError where `encode` does not give one row a sentence.
    """
    row = {sentence: i for i, sentence in enumerate(dict.fromkeys(sentences))}
    different, parts = list(row), []
    for start in range(0, len(different), chunk):
        some = different[start : start + chunk]
        part = _tensor_of(encode(some))
        if part.dim() != 2 or len(part) != len(some):
            raise ValueError(f"encode gave shape {tuple(part.shape)} for {len(some)} sentences, "
                             f"expected ({len(some)}, T)")
        parts.append(part.to("cpu", dtype))
    return torch.cat(parts)[[row[sentence] for sentence in sentences]]


def all_true(
    named: Int64[Tensor, "*#B A"], attributes: Int64[Tensor, "*#B A"]
) -> Bool[Tensor, "*B"]:
    """Whether all that a sentence names is so; where it is silent (-1), anything is."""
    return ((named == attributes) | (named < 0)).all(-1)


@dataclass(eq=False, repr=False)
class Batch:
    """A batch of real pictures, each with the embedding of a right and of a wrong sentence.

    Picture b is `pictures[b]` of the data set. Its right sentence is number `sentences[b]` of its
    own, its wrong one is number `wrong_sentences[b]` of picture `wrong_pictures[b]`. Where an
    embedding is a mean over several sentences, these are the first of them. What is about
    sentences is None in batches that were made without embeddings.
    """

    images: Float[Tensor, "B 3 crop crop"]  # in [-1, 1]
    pictures: Int64[Tensor, " B"]
    embedding: Float[Tensor, "B T"] | None = None
    wrong_embedding: Float[Tensor, "B T"] | None = None
    sentences: Int64[Tensor, " B"] | None = None
    wrong_pictures: Int64[Tensor, " B"] | None = None
    wrong_sentences: Int64[Tensor, " B"] | None = None
    rivals: Bool[Tensor, "B B"] | None = None  # see CaptionedImages.rivals, of the right sentences
    attributes: Int64[Tensor, "B A"] | None = None

    def __repr__(self) -> str:  # shapes: the generated one prints the numbers
        parts = ((f.name, getattr(self, f.name)) for f in fields(self))
        there = ", ".join(f"{name} {list(x.shape)}" for name, x in parts if x is not None)
        return f"Batch({there})"

    def to(self, device, memory_format: torch.memory_format = torch.contiguous_format) -> "Batch":
        """The same batch on another device, its images in that memory format."""
        images = self.images.to(device, non_blocking=True, memory_format=memory_format)
        return replace(self._each(lambda x: x.to(device, non_blocking=True)), images=images)

    def pin_memory(self) -> "Batch":
        """The same batch in page-locked memory: a DataLoader calls this where a GPU is fed."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        return Batch(**{name: None if x is None else change(x) for name, x in own.items()})


class Batches(torch.utils.data.Dataset):
    """Item number `step` is the batch of that step: a function of (seed, step) alone.

    So a resumed run needs no state of an iterator, and several processes share an epoch by taking
    different steps. Pictures come in a new order each epoch, every one once; the last batch of an
    epoch is filled from the next. `mean_of` embeddings of different sentences are averaged (4 in
    the code of Reed et al. 2016). A wrong sentence is the one most like the right one, by its
    embedding, of `near_misses` that are drawn: one at random is wrong about most things, and D
    learns little from it. With `embeddings` None the batches are of pictures alone, the same ones.

    Raises ValueError for what cannot make a batch, IndexError for a negative step.
    """

    def __init__(
        self,
        data: CaptionedImages, embeddings: Float[Tensor, "N k T"] | None, split: str,
        batch_size: int, seed: int, mean_of: int = 1, near_misses: int = 1,
    ):
        if str(split) not in data.splits:
            raise ValueError(f"{data.name}: unknown split {split!r}, not of {list(data.splits)}")
        batch_size, seed, mean_of, near_misses = (whole_number(data.name, *given) for given in (
            ("batch_size", batch_size, 1), ("seed", seed, -2**63), ("mean_of", mean_of, 1),
            ("near_misses", near_misses, 1)))
        if len(data.splits[split]) == 0:
            raise ValueError(f"{data.name}: no batches from split {split!r} of 0 pictures")
        expected = (len(data.images), data.sentences_each)
        if embeddings is not None and embeddings.shape[:2] != expected:
            raise ValueError(f"{data.name}: embeddings have shape {tuple(embeddings.shape)}, "
                             f"expected ({len(data.images)}, {data.sentences_each}, T)")
        if mean_of > data.sentences_each:
            raise ValueError(f"{data.name}: mean_of {mean_of}, expected 1 to {data.sentences_each}")
        if near_misses > 1 and mean_of > 1:
            raise ValueError(f"{data.name}: near_misses {near_misses} with mean_of {mean_of}, "
                             "expected single sentences where it is more than 1")
        self.data, self.embeddings, self.split_pictures = data, embeddings, data.splits[split]
        self.split = split
        self.batch_size, self.seed, self.mean_of = batch_size, seed, mean_of
        self.near_misses = near_misses
        self._epoch, self._order = -1, torch.empty(0)

    def __getitem__(self, step: int) -> Batch:
        if step < 0:
            raise IndexError(f"step {step}, expected 0 or more")
        generator = torch.Generator().manual_seed(seed_for(self.seed, "batch", step))
        data, pictures = self.data, self._pictures_of(step)
        images = crops(data, pictures, generator)
        attributes = None if data.attributes is None else data.attributes[pictures]
        if self.embeddings is None:
            return Batch(to_unit(images), pictures, attributes=attributes)
        any_of = torch.ones(len(pictures), data.sentences_each)
        sentences = _distinct(any_of, self.mean_of, generator)
        embedding = self.embeddings[pictures[:, None], sentences].float().mean(1)
        owners, wrong = _wrong(data, self.split_pictures, pictures, self.mean_of, generator)
        if self.near_misses > 1:
            owners, wrong = self._nearer(pictures, embedding, owners, wrong, generator)
        return Batch(
            images=to_unit(images), embedding=embedding,
            wrong_embedding=self.embeddings[owners[:, None], wrong].float().mean(1),
            pictures=pictures, sentences=sentences[:, 0],
            wrong_pictures=owners, wrong_sentences=wrong[:, 0],
            rivals=data.rivals(pictures, sentences[:, 0]), attributes=attributes)

    @property
    def identity(self) -> dict[str, str | int]:
        """What makes these batches these, in plain values: `fit` knows a run again by it."""
        data, table = self.data, self.embeddings
        return {
            "data": data.name, "origin": data.origin, "pictures": len(data.images),
            "side": data.images.shape[-1], "crop": int(data.crop), "flip": bool(data.flip),
            "sentences": data.sentences_each, "split": self.split, "seed": int(self.seed),
            "split_pictures": len(self.split_pictures), "batch_size": int(self.batch_size),
            "mean_of": int(self.mean_of), "near_misses": int(self.near_misses),
            "embeddings": "none" if table is None else str(tuple(table.shape)),
        }

    def _nearer(self, pictures, embedding, owners, wrong, generator) -> tuple[Tensor, Tensor]:
        """Of the wrong sentences and others, in each row the wrong one most like the right one."""
        data, size = self.data, (len(pictures), self.near_misses - 1)
        drawn = torch.randint(len(self.split_pictures), size, generator=generator)
        owned_by = torch.cat([owners[:, None], self.split_pictures[drawn]], 1)
        numbers = torch.randint(data.sentences_each, size, generator=generator)
        numbers = torch.cat([wrong, numbers], 1)
        other_class = data.classes[owned_by] != data.classes[pictures][:, None]
        is_wrong = ~data.is_true(pictures[:, None], owned_by, numbers) & other_class
        others = F.normalize(self.embeddings[owned_by, numbers].float(), dim=2)
        alike = torch.einsum("bkt,bt->bk", others, F.normalize(embedding, dim=1))
        nearest = alike.masked_fill(~is_wrong, -torch.inf).argmax(1, keepdim=True)
        return owned_by.gather(1, nearest).squeeze(1), numbers.gather(1, nearest)

    def _pictures_of(self, step: int) -> Int64[Tensor, " B"]:
        position = step * self.batch_size + torch.arange(self.batch_size)
        epochs, places = position // len(self.split_pictures), position % len(self.split_pictures)
        return torch.cat([self._order_of(e)[places[epochs == e]] for e in epochs.unique().tolist()])

    def _order_of(self, epoch: int) -> Int64[Tensor, " n"]:
        if epoch != self._epoch:  # the current epoch's order is kept
            generator = torch.Generator().manual_seed(seed_for(self.seed, "epoch", epoch))
            order = torch.randperm(len(self.split_pictures), generator=generator)
            self._epoch, self._order = epoch, self.split_pictures[order]
        return self._order


def crops(
    data: CaptionedImages, pictures: Int64[Tensor, " B"], generator: torch.Generator
) -> UInt8[np.ndarray, "B 3 crop crop"]:
    """One random square of side `data.crop` from each picture; half are mirrored, if `data.flip`.

    64 of 76 pixels and flips, as in the papers' code (Reed et al. 2016; Zhang et al. 2017).
    """
    side, rows = data.crop, np.asarray(data.images)
    out = np.empty((len(pictures), 3, side, side), np.uint8)
    corner = torch.randint(rows.shape[-1] - side + 1, (len(pictures), 2), generator=generator)
    mirror = (torch.rand(len(pictures), generator=generator, dtype=torch.float32) < 0.5).tolist()
    # slices in a loop: 0.4 ms for 64 pictures, while gathering by index arrays takes 3 to 10
    for i, picture in enumerate(pictures.tolist()):
        top, left = corner[i].tolist()
        cut = rows[picture, :, top : top + side, left : left + side]
        out[i] = cut[:, :, ::-1] if data.flip and mirror[i] else cut
    return out


def _distinct(allowed: Tensor, count: int, generator: torch.Generator) -> Int64[Tensor, "B count"]:
    """`count` different columns of each row, at random among those that are allowed (non-zero)."""
    lots = torch.rand(allowed.shape, generator=generator, dtype=torch.float32)
    return lots.add_(allowed > 0).topk(count).indices


def _untrue(data: CaptionedImages, pictures: Tensor, owners: Tensor) -> Bool[Tensor, "B k"]:
    """Which of each owner's k sentences are wrong for the picture."""
    k = data.sentences_each
    true = data.is_true(pictures.repeat_interleave(k), owners.repeat_interleave(k),
                        torch.arange(k).repeat(len(pictures)))
    other_class = data.classes[pictures] != data.classes[owners]  # values, not objects
    return ~true.view(-1, k) & other_class[:, None]


def _wrong(data, split_pictures, pictures, count, generator) -> tuple[Tensor, Tensor]:
    """Per picture the owner [B] and the numbers [B, count] of sentences that are wrong for it."""
    owners, left = torch.empty_like(pictures), torch.arange(len(pictures))
    for _ in range(20):  # rejection: most owners will do
        drawn = split_pictures[torch.randint(len(split_pictures), left.shape, generator=generator)]
        good = _untrue(data, pictures[left], drawn).sum(1) >= count
        owners[left[good]] = drawn[good]
        left = left[~good]
        if len(left) == 0:
            break
    for i in left.tolist():  # rare: look at every owner in the split
        untrue = _untrue(data, pictures[i].expand(len(split_pictures)), split_pictures)
        able = split_pictures[untrue.sum(1) >= count]
        if len(able) == 0:
            split = next((s for s, p in data.splits.items() if torch.equal(p, split_pictures)), "?")
            raise ValueError(f"{data.name}: split {split!r} has no {count} wrong sentences for "
                             f"picture {int(pictures[i])}: all are of its own class or true of it")
        owners[i] = able[torch.randint(len(able), (), generator=generator)]
    return owners, _distinct(_untrue(data, pictures, owners), count, generator)


def wrong_sentences(
    data: CaptionedImages,
    split_pictures: Int64[Tensor, " n"],
    pictures: Int64[Tensor, " B"],
    generator: torch.Generator,
) -> tuple[Int64[Tensor, " B"], Int64[Tensor, " B"]]:
    """For each picture a sentence that is wrong for it, as (owners, numbers).

    Its owner is of another class, among `split_pictures`; where attributes are known it is also
    untrue of the picture: "a red flower" is true of many classes. Wrong pairs of GAN-CLS
    (Reed et al. 2016, section 4.3). Raises ValueError naming the split when there is none.
    """
    owners, numbers = _wrong(data, split_pictures, pictures, 1, generator)
    return owners, numbers[:, 0]
