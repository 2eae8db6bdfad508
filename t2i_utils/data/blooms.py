"""Blooms: flowers drawn from attributes, so that "did it obey the sentence?" is a number.

A flower is a row of attributes (what a sentence can name) and a row of style (what no sentence
names: position, rotation, shade, the pattern of the background). `render` draws both at any size;
`describe` writes sentences about the attributes, and `parse` reads the attributes out of a
sentence again (both in `grammar.py`), so that every sentence can be checked against its picture.
"""

import hashlib
import json
import math
import random
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from t2i_utils import files
from t2i_utils.data import grammar
from t2i_utils.data.captioned import CaptionedImages
from t2i_utils.data.grammar import ATTRIBUTES, NAMES, describe, parse, to_row  # noqa: F401
from t2i_utils.data.photographs import mapped, whole_number
from t2i_utils.lesson import cache_advice, cache_dir, seed_for

CLASS_ATTRIBUTES = ("petal_colour", "petal_shape", "centre_colour")
SENTENCES = 10
UNSEEN_CLASSES = 20
UNSEEN_SEED = 0  # one with which the even spread comes to 20
STYLE = 20  # numbers in [0, 1) that a picture needs beside its attributes
VERSION = "3"  # of the drawing and the grammar: of a run, and in the cache's name

PETAL_RGB = torch.tensor(
    [[0.86, 0.08, 0.10], [0.98, 0.87, 0.12], [0.50, 0.14, 0.66], [0.97, 0.97, 0.95],
     [0.98, 0.58, 0.74], [0.16, 0.28, 0.88], [0.98, 0.50, 0.06]]
)  # fmt: skip
CENTRE_RGB = torch.tensor(
    [[0.93, 0.76, 0.12], [0.33, 0.18, 0.08], [0.42, 0.66, 0.16], [0.95, 0.95, 0.90]]
)
BACKGROUND_RGB = torch.tensor(
    [[0.16, 0.40, 0.14], [0.58, 0.78, 0.93], [0.42, 0.29, 0.19], [0.56, 0.56, 0.57]]
)
RADIUS = torch.tensor([0.60, 0.90])  # small, large; the picture's half-side is 1
COUNTS = torch.tensor([4.0, 5.0, 6.0, 8.0])


# ------------------------------------------------------------------------------------ pictures


def draw_style(n: int, generator: torch.Generator) -> Float[Tensor, "n k"]:
    """Draw what no sentence names: `n` rows of numbers in [0, 1)."""
    return torch.rand(n, STYLE, generator=generator, dtype=torch.float32)


def coverage(distance: Tensor, pixel: float) -> Tensor:
    """Share of a pixel inside an edge at signed `distance` (positive inside), both in half-sides.

    A box filter one pixel wide, so a picture averaged down equals the picture drawn small.
    """
    return (distance / pixel + 0.5).clamp_(0, 1)


def line(distance: Tensor, half_width: float, pixel: float) -> Tensor:
    """Share of a pixel that a line of `half_width` covers, at `distance` from its middle."""
    top = (distance + pixel / 2).clamp(max=half_width)
    bottom = (distance - pixel / 2).clamp(min=-half_width)
    return ((top - bottom) / pixel).clamp_(0, 1)


def petal_outline(u: Tensor, shape: Int64[Tensor, "n 1 1"]) -> Tensor:
    """Length of a petal, relative to its radius, at `u` in [−1, 1] across its sector."""
    arch = torch.cos(u * (math.pi / 2)).clamp_(min=0)
    arch_root = arch.sqrt()
    round_ = 0.40 + 0.60 * arch_root
    pointed = 0.34 + 0.66 * (1 - u.abs()) ** 1.5
    narrow = 0.18 + 0.82 * arch * arch
    notched = round_ - 0.26 * torch.exp(-((u / 0.20) ** 2))
    return torch.where(shape == 0, round_, torch.where(
        shape == 1, pointed, torch.where(shape == 2, narrow, notched)))  # fmt: skip


def ring(r: Tensor, theta: Tensor, count: Tensor, radius: Tensor, shape: Tensor, pixel: float):
    """One ring of petals: signed distance to its outline, and `u` across each petal's sector."""
    half_sector = math.pi / count
    u = (torch.remainder(theta, 2 * half_sector) - half_sector) / half_sector
    outline = radius * petal_outline(u, shape)
    # The outline is radial; dividing by its slope turns "how far along the radius" into
    # "how far to the edge", which is what anti-aliasing needs.
    du = 0.02
    slope = (petal_outline((u + du).clamp(-1, 1), shape) * radius - outline) / du
    slope = slope / half_sector / r.clamp(min=pixel)
    return (outline - r) / torch.sqrt(1 + slope * slope), u


def backdrop(attributes: Tensor, style: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Background colours [n, 3, S, S]: a base colour under soft waves that differ by picture."""
    base = BACKGROUND_RGB.to(x.device)[attributes[:, NAMES.index("background")]][:, :, None, None]
    waves = x.new_zeros(len(style), y.shape[-2], x.shape[-1])
    for i in range(3):
        a, b, phase = (style[:, 8 + 3 * i + j, None, None] for j in range(3))
        waves += torch.sin(x * (a * 10 - 5) + y * (b * 10 - 5) + phase * (2 * math.pi))
    shade = 1 + 0.10 * waves / 3 - 0.06 * y
    return base * (shade * (0.92 + 0.16 * style[:, 6, None, None]))[:, None]


def render(
    attributes: Int64[Tensor, "n a"], style: Float[Tensor, "n k"], size: int
) -> UInt8[Tensor, "n 3 size size"]:
    """Draw flowers: the same attributes and style give the same flower at every `size` (pixels).

    Drawn where the attributes and the style are, on a GPU too.
    """
    parts = zip(attributes.split(128), style.split(128), strict=True)
    return torch.cat([draw(a, s, size) for a, s in parts])


def draw(attributes: Tensor, style: Tensor, size: int) -> Tensor:
    """Draw one chunk of flowers, back to front: background, petals, details, centre."""
    value = {name: attributes[:, i, None, None] for i, name in enumerate(NAMES)}
    s = [style[:, i, None, None] for i in range(STYLE)]
    pixel = 2.0 / size
    device = style.device
    axis = (torch.arange(size, device=device, dtype=style.dtype) + 0.5) * pixel - 1
    x0, y0 = axis[None, None, :], axis[None, :, None]
    picture = backdrop(attributes, style, x0, y0)

    x, y = x0 - (s[0] - 0.5) * 0.24, y0 - (s[1] - 0.5) * 0.24
    r, theta = torch.sqrt(x * x + y * y), torch.atan2(y, x) + s[2] * (2 * math.pi)
    count, shape = COUNTS.to(device)[value["petal_count"]], value["petal_shape"]
    radius = RADIUS.to(device)[value["size"]] * (0.94 + 0.12 * s[3])
    jitter = torch.stack([style[:, 4], style[:, 5], style[:, 7]], 1) * 0.10 - 0.05
    petal = (PETAL_RGB.to(device)[attributes[:, 0]] + jitter).clamp(0, 1)[:, :, None, None]

    def paint(colour: Tensor, share: Tensor) -> None:
        picture.lerp_(colour.expand_as(picture), share[:, None].expand_as(picture))

    rings = [(1.0, 0.0, torch.ones_like(radius)), (0.62, 0.5, value["layers"].float())]
    for scale, turn, present in rings:
        turned = theta + turn * (2 * math.pi) / count
        distance, u = ring(r, turned, count, radius * scale, shape, pixel)
        inside = coverage(distance, pixel) * present
        # Petals are darker towards the flower's middle and along the gap between neighbours.
        shade = 0.74 + 0.26 * (r / (radius * scale)).clamp(max=1) - 0.12 * u * u
        paint(petal * (shade * (1.0 if scale == 1.0 else 0.88))[:, None], inside)
        across = (u.abs() - 0.28).abs() * (math.pi / count) * r
        veins = line(across, 0.006, pixel) * inside * value["veins"]
        paint(petal * 0.45, veins)
        rim = line(distance - 0.006, 0.006, pixel) * value["rim"] * present
        paint(1 - (1 - petal) * 0.15, rim)

    centre_colour = attributes[:, NAMES.index("centre_colour")]
    centre = CENTRE_RGB.to(device)[centre_colour][:, :, None, None]
    disc = 0.27 * radius
    paint(centre * (1.05 - 0.25 * (r / disc).clamp(max=1))[:, None], coverage(disc - r, pixel))
    spoke = (torch.remainder(theta * 12 / (2 * math.pi), 1) - 0.5) * (2 * math.pi / 12) * r
    dots = coverage(0.016 - torch.sqrt(spoke**2 + (r - 1.25 * disc) ** 2), pixel)
    # A dot smaller than a pixel cannot cover it.
    paint(torch.full_like(petal, 0.12), dots * min(1.0, 0.032 / pixel) * value["stamens"])
    return (picture.clamp_(0, 1) * 255).round_().to(torch.uint8)


# -------------------------------------------------------------------------------- the data set


def all_classes() -> list[tuple[str, str, str]]:
    """Every class: petal colour, shape, centre; a centre never has the colour of its petals."""
    colours, shapes, centres = (ATTRIBUTES[name] for name in CLASS_ATTRIBUTES)
    return [(p, s, c) for p in colours for s in shapes for c in centres if p != c]


def unseen_classes() -> list[int]:
    """The classes that never occur in training: fixed, whatever the data set's size or seed.

    Spread evenly: two or three of each petal colour, five of each shape and of each centre.
    """
    order = list(enumerate(all_classes()))
    random.Random(UNSEEN_SEED).shuffle(order)
    most = dict(zip(CLASS_ATTRIBUTES, (3, 5, 5), strict=True))
    taken, chosen = Counter(), []
    for number, values in order:
        pairs = list(zip(CLASS_ATTRIBUTES, values, strict=True))
        if all(taken[pair] < most[pair[0]] for pair in pairs):
            taken.update(pairs)
            chosen.append(number)
    return sorted(chosen)


def draw_attributes(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw `n` flowers evenly over the classes: attributes [n, A] and classes [n]."""
    combinations = torch.tensor([[ATTRIBUTES[k].index(v) for k, v in zip(
        CLASS_ATTRIBUTES, c, strict=True)] for c in all_classes()])
    classes = torch.randint(len(combinations), (n,), generator=generator)
    columns = [torch.randint(len(v), (n,), generator=generator) for v in ATTRIBUTES.values()]
    attributes = torch.stack(columns, 1)
    attributes[:, [NAMES.index(k) for k in CLASS_ATTRIBUTES]] = combinations[classes]
    return attributes, classes


def write_sentences(
    attributes: Int64[Tensor, "n a"], seed: int, grammar: str = "training"
) -> tuple[list[list[str]], Int64[Tensor, "n 10 a"]]:
    """Ten sentences for each flower, and what each names [n, 10, A] (−1 where it is silent).

    Raises ValueError where `grammar` is not one of `grammar.GRAMMARS`.
    """
    rng = random.Random(seed)
    sentences, named = [], []
    for row in attributes.tolist():
        values = {k: ATTRIBUTES[k][v] for k, v in zip(NAMES, row, strict=True)}
        pairs = [describe(values, rng, grammar) for _ in range(SENTENCES)]
        sentences.append([sentence for sentence, _ in pairs])
        named.append([to_row(what) for _, what in pairs])
    return sentences, torch.tensor(named, dtype=torch.int64).view(-1, SENTENCES, len(NAMES))


def load_blooms(n: int = 8000, size: int = 64, seed: int = 0) -> CaptionedImages:
    """Blooms as `CaptionedImages`: `n` flowers of `size` × `size` pixels with ten sentences each.

    Drawn once and cached outside the repository; the pictures stay memory-mapped. Splits: `train`,
    `seen_test` (other pictures of the same classes), `test` (combinations never seen in training).
    Raises ValueError where `n` or `size` is too small, OSError where the cache cannot be written.
    """
    n, size, seed = (whole_number("Blooms", name, value, least) for name, value, least in (
        ("n", n, 1), ("size", size, 8), ("seed", seed, -2**63)))
    folder = cache_dir("blooms") / cache_name(n, size, seed)
    table, named, images, sentences = files.made_once(
        folder, lambda: draw_to_disk(folder, n, size, seed), cache_advice(), lambda: (
            np.load(folder / "attributes.npy"), np.load(folder / "named.npy"),
            mapped(folder / "images.npy"),
            json.loads((folder / "sentences.json").read_text())))
    classes = torch.from_numpy(table[:, -1].astype(np.int64))
    unseen = torch.isin(classes, torch.tensor(unseen_classes()))
    held_out = torch.arange(n) % 20 == 0
    if (least := min(len(classes[own].unique()) for own in (unseen, ~unseen & ~held_out))) < 2:
        raise ValueError(f"Blooms: n {n}: found {least} classes to train or to test on, expected "
                         "two or more of each: draw more")
    return CaptionedImages(
        name="blooms", images=images, captions=sentences, classes=classes,
        class_names=[" ".join(c) for c in all_classes()],
        splits={
            "train": torch.nonzero(~unseen & ~held_out).flatten(),
            "seen_test": torch.nonzero(~unseen & held_out).flatten(),
            "test": torch.nonzero(unseen).flatten(),
        },
        crop=size, flip=True, origin=f"n={n}, size={size}, seed={seed}, version {VERSION}",
        attributes=torch.from_numpy(table[:, :-1].astype(np.int64)),
        named=torch.from_numpy(named.astype(np.int64)))


def cache_name(n: int, size: int, seed: int) -> str:
    """The name of a data set's folder in the cache: another one where this code is another."""
    code = b"".join(Path(file).read_bytes() for file in (__file__, grammar.__file__))
    return f"v{VERSION}-n{n}-size{size}-seed{seed}-{hashlib.sha256(code).hexdigest()[:8]}"


def draw_to_disk(folder: Path, n: int, size: int, seed: int) -> None:
    """Draw a data set into `folder`, which appears when it is whole.

    Raises OSError that names it, the bytes needed and free, and what would help.
    """
    needed = n * (3 * size * size + 600)  # with what is written of a flower
    with files.whole(folder, needed, cache_advice(), folder=True) as part:
        generator = torch.Generator().manual_seed(seed_for(seed, "blooms"))
        attributes, classes = draw_attributes(n, generator)
        style = draw_style(n, generator)
        sentences, named = write_sentences(attributes, seed_for(seed, "sentences"))
        table = torch.cat([attributes, classes[:, None]], 1).to(torch.int16).numpy()
        named, text = named.to(torch.int8).numpy(), json.dumps(sentences)
        np.save(part / "attributes.npy", table)
        np.save(part / "named.npy", named)
        (part / "sentences.json").write_text(text)
        # Written, not memory-mapped: a full disk is an error then, and not the end of the process.
        with open(part / "images.npy", "wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (n, 3, size, size)}
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, n, 512):
                rows = slice(start, start + 512)
                file.write(render(attributes[rows], style[rows], size).numpy())
