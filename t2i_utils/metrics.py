"""How to know: measures of what a generator draws and of what an encoder keeps."""

import json
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from t2i_utils.checkpoints import load_weights, read_card
from t2i_utils.data import blooms
from t2i_utils.data.blooms import ATTRIBUTES, CLASS_ATTRIBUTES, NAMES
from t2i_utils.data.captioned import CaptionedImages
from t2i_utils.data.grammar import DETAILS  # sentences name them only where they are
from t2i_utils.lesson import pretrained, seed_for
from t2i_utils.models.dcgan import doublings


class AttributeClassifier(nn.Module):
    """Reads the attributes of a bloom off its picture: one small CNN, one linear head for each.

    The one of `side` 64 brings pictures of any size to 64 × 64, so that small and large ones
    compare. The one of 128 shrinks nothing, since veins, stamens and rims are lines finer than a
    pixel at 64: it enlarges smaller pictures and pools the features of larger ones.
    """

    def __init__(self, width: int = 32, side: int = 64):
        super().__init__()
        self.side, layers, channels = side, [], 3
        for i in range(doublings(side)):
            wide = min(width * 2**i, 256)
            layers += [
                nn.Conv2d(channels, wide, 4, 2, 1, bias=False),
                nn.BatchNorm2d(wide),
                nn.ReLU(inplace=True),
            ]
            channels = wide
        # side × side → 4×4; what is left of the place is kept, petals are counted from it
        self.convolutions = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4))
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(channels * 16, 256), nn.ReLU())
        self.heads = nn.ModuleDict({k: nn.Linear(256, len(v)) for k, v in ATTRIBUTES.items()})

    def features(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 256"]:
        """What the heads see of pictures in [−1, 1]."""
        size = (self.side, self.side)
        if images.shape[-1] < self.side or self.side < 128 and images.shape[-1] > self.side:
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        return self.trunk(self.convolutions(images))

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> dict[str, Float[Tensor, "b values"]]:
        features = self.features(images)
        return {name: head(features) for name, head in self.heads.items()}

    @torch.no_grad()
    def read(self, images: Float[Tensor, "b 3 s s"]) -> Int64[Tensor, "b a"]:
        """The attributes of each picture, as places in `ATTRIBUTES`."""
        parts = [self(part) for part in images.split(256)]
        return torch.cat([torch.stack([p[k].argmax(1) for k in NAMES], 1) for p in parts])


def load_attribute_classifier(side: int = 64) -> AttributeClassifier:
    """The shipped classifier that reads 64 pixels, or 128 and more; on the CPU, frozen, eval mode.

    Raises FileNotFoundError where there is none of that side.
    """
    path = pretrained(f"attribute_classifier_{side}.safetensors")
    classifier = AttributeClassifier(**json.loads(read_card(path)["widths"]))
    load_weights(path, classifier)
    return classifier.eval().requires_grad_(False)


def confusions(
    classifier: AttributeClassifier,
    images: Float[Tensor, "b 3 s s"],
    attributes: Int64[Tensor, "b a"],
) -> dict[str, Int64[Tensor, "v v"]]:
    """For each attribute how often a picture that has the row's value is read as the column's."""
    seen, attributes, tables = classifier.read(images).cpu(), attributes.cpu(), {}
    for i, name in enumerate(NAMES):
        values = len(ATTRIBUTES[name])
        cells = attributes[:, i] * values + seen[:, i]
        tables[name] = torch.bincount(cells, minlength=values**2).view(values, values)
    return tables


def attribute_accuracy(
    classifier: AttributeClassifier,
    images: Float[Tensor, "b 3 s s"],
    named: Int64[Tensor, "b a"],
) -> dict[str, float]:
    """Share of pictures that show what their sentence names, for each attribute.

    `named` holds places in `ATTRIBUTES`, −1 where the sentence is silent: silence is not judged.
    An attribute that no sentence names is left out of the answer.
    """
    if len(images) != len(named) or named.shape[1] != len(NAMES):
        raise ValueError(
            f"named is {tuple(named.shape)}; expected ({len(images)}, {len(NAMES)}): "
            "one row a picture, one column an attribute"
        )
    seen = classifier.read(images).cpu()
    named = named.cpu()
    judged = named >= 0
    return {
        name: (seen[judged[:, i], i] == named[judged[:, i], i]).float().mean().item()
        for i, name in enumerate(NAMES)
        if judged[:, i].any()
    }


def jointly_right(
    classifier: AttributeClassifier,
    images: Float[Tensor, "b 3 s s"],
    named: Int64[Tensor, "b a"],
    names: Sequence[str] = CLASS_ATTRIBUTES,
) -> float:
    """Share of pictures that show *all* of several attributes as their sentences name them.

    Only sentences that name every one of `names` are judged; nan where there is none.
    """
    columns = [NAMES.index(name) for name in names]
    asked, seen = named.cpu()[:, columns], classifier.read(images).cpu()[:, columns]
    whole = (asked >= 0).all(1)
    return (seen == asked)[whole].all(1).float().mean().item()


def nyquist_power(images: Float[Tensor, "b c s s"]) -> float:
    """Share of the pictures' power that lies on the lines of the highest frequency, in x or in y.

    A lattice of every other pixel, as transposed convolutions leave it, shows there (Odena et al.
    2016). Means are taken off first; of constant pictures the share is nan. Raises ValueError
    where the side is odd: then there are no such lines.
    """
    if images.shape[-1] % 2 or images.shape[-2] % 2:
        raise ValueError(f"pictures have shape {tuple(images.shape)}; expected even sides")
    pictures = images.double() - images.double().mean((-2, -1), keepdim=True)
    power = torch.fft.fft2(pictures).abs().square().mean((0, 1))
    half = power.shape[-1] // 2
    lines = power[half].sum() + power[:, half].sum() - power[half, half]
    return (lines / power.sum()).item()


def frechet_distance(real: Float[Tensor, "n d"], fake: Float[Tensor, "m d"]) -> float:
    """How far two sets of features are apart, each taken for a normal distribution.

    |μ_r − μ_f|² + tr(Σ_r + Σ_f − 2 (Σ_r Σ_f)^½) (Heusel et al. 2017, equation 6), by torchmetrics.
    0 for equal sets. It falls with the number of features given: compare only like with like.
    Raises ValueError for a set of fewer than two.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance  # slow to import

    if min(len(real), len(fake)) < 2:
        raise ValueError(
            f"features of {len(real)} real and {len(fake)} fake pictures; expected two or more"
        )
    as_they_are = nn.Identity()
    as_they_are.num_features = real.shape[1]
    distance = FrechetInceptionDistance(feature=as_they_are)
    distance.update(real.cpu().double(), real=True)
    distance.update(fake.cpu().double(), real=False)
    return distance.compute().item()


COLOURS = ("red", "yellow", "purple", "white", "pink", "blue", "orange")


def colour_words(rgb: Float[Tensor, "*p 3"]) -> Int64[Tensor, "*p"]:
    """The colour word of each pixel as a place in `COLOURS`; −1 for green, brown, grey and dark.

    `rgb` is in [0, 1]. Borders of hue (degrees), saturation and value were set by eye.
    """
    top, bottom = rgb.amax(-1), rgb.amin(-1)
    chroma = (top - bottom).clamp(min=1e-6)
    saturation = chroma / top.clamp(min=1e-6)
    r, g, b = rgb.unbind(-1)
    green_or_blue = torch.where(top == g, (b - r) / chroma + 2, (r - g) / chroma + 4)
    hue = 60 * torch.where(top == r, (g - b) / chroma % 6, green_or_blue)
    word = torch.full(hue.shape, -1)
    pale = (saturation < 0.5) & (top > 0.55)

    def paint(where: Tensor, name: str) -> None:
        word[where] = COLOURS.index(name)

    paint((hue >= 345) | (hue < 14), "red")
    paint((hue >= 14) & (hue < 40), "orange")
    paint((hue >= 40) & (hue < 68), "yellow")
    paint((hue >= 200) & (hue < 252), "blue")
    paint((hue >= 252) & (hue < 312), "purple")
    paint((hue >= 312) & (hue < 345), "pink")
    paint(((hue >= 330) | (hue < 20)) & pale, "pink")
    word[(top < 0.25) | (saturation < 0.2)] = -1
    word[(hue >= 14) & (hue < 45) & (top < 0.5)] = -1  # brown
    paint((saturation < 0.2) & (top > 0.6), "white")
    return word


def colour_of_centre(images: Float[Tensor, "b 3 s s"]) -> list[str]:
    """The commonest colour word in the middle third of each picture; "none" where there is none."""
    side = images.shape[-1]
    cut = slice(side // 3, side - side // 3)
    words = colour_words((images[..., cut, cut].movedim(1, -1) + 1) / 2).flatten(1)
    votes = torch.stack([(words == i).sum(1) for i in range(len(COLOURS))], 1)
    most, which = votes.max(1)
    return [COLOURS[i] if n else "none" for n, i in zip(most.tolist(), which, strict=True)]


# ---- what an encoder keeps --------------------------------------------------------------------


def probe(
    encode: Callable[[list[str]], Float[Tensor, "n t"]],
    data: CaptionedImages,
    grammars: Sequence[str] = ("training",),
    trained: int = 8000,
    judged: int = 2000,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """How much of what a sentence names a linear reader finds in φ(t): grammar → attribute → share.

    The reader learns from `trained` sentences of the split "train" and is judged on `judged`
    sentences of "test", unseen combinations, written in each of the grammars of Blooms: the share
    of right answers among sentences that name the attribute. For the details that are named only
    where they are, it tells named from silent: balanced accuracy, chance ½. On photographs, whose
    one grammar is "training", what sentences name is read by `blooms.parse`, and an attribute that
    fewer than 100 name is left out. `encode` is the encoder's (Alain and Bengio 2016).
    Raises ValueError where another grammar is asked of photographs.
    """
    if data.attributes is None and set(grammars) != {"training"}:
        raise ValueError(f"{data.name}: grammars {list(grammars)}; expected 'training': people "
                         "wrote these sentences")  # fmt: skip

    def embedded(split: str, number: int, grammar: str) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed_for(seed, "probe", split))
        rows = data.splits[split]
        rows = rows[torch.randint(len(rows), (number,), generator=generator)]
        sentences, named = _sentences(data, rows, grammar, seed, generator)
        parts = [sentences[i : i + 512] for i in range(0, number, 512)]
        return torch.cat([encode(part).float().cpu() for part in parts]), named

    phi, named = embedded("train", trained, "training")
    readers = {}
    for i, name in enumerate(NAMES):
        told = named[:, i] >= 0
        if name in DETAILS and data.named is not None:
            readers[name] = linear_reader(phi, told.long(), balanced=True)
        elif name not in DETAILS and told.sum() >= 100:
            readers[name] = linear_reader(phi[told], named[told, i])
    shares = {}
    for grammar in grammars:
        phi, named = embedded("test", judged, grammar)
        shares[grammar] = {name: _share_right(name, reader(phi), named[:, NAMES.index(name)])
                           for name, reader in readers.items()}  # fmt: skip
    return shares


def _share_right(name: str, answers: Tensor, named: Tensor) -> float:
    """Of sentences that name an attribute; of details the mean of named and of silent ones."""
    asked = named >= 0
    if name not in DETAILS:
        return (answers == named)[asked].float().mean().item()
    right = answers.bool() == asked
    return (right[asked].float().mean() + right[~asked].float().mean()).item() / 2


def _sentences(data, rows, grammar, seed, generator) -> tuple[list[str], Tensor]:
    """One sentence for each of `rows`, and what it names [n, A]."""
    numbers = torch.randint(data.sentences_each, rows.shape, generator=generator)
    if grammar != "training":
        written, named = blooms.write_sentences(data.attributes[rows], seed, grammar)
        places = torch.arange(len(rows))
        return [own[k] for own, k in zip(written, numbers.tolist(), strict=True)], named[
            places, numbers]  # fmt: skip
    sentences = [data.captions[p][k] for p, k in zip(rows.tolist(), numbers.tolist(), strict=True)]
    if data.named is not None:
        return sentences, data.named[rows, numbers]
    return sentences, torch.tensor([blooms.to_row(blooms.parse(s)) for s in sentences])


def linear_reader(
    features: Float[Tensor, "n d"],
    answers: Int64[Tensor, " n"],
    balanced: bool = False,
    decay: float = 1e-4,
) -> Callable[[Float[Tensor, "m d"]], Int64[Tensor, " m"]]:
    """Multinomial logistic regression: the function from features to the likeliest answer.

    Features are shifted to mean 0 and scaled by one number, as a layer that hears them would find
    them: what stands in a quiet direction costs large weights, and `decay`·|W|² is paid for them.
    `balanced` weighs every answer alike, however rare.
    """
    mean = features.double().mean(0)
    scale = (features - mean).std().clamp(min=1e-12)
    x, classes = (features - mean) / scale, int(answers.max()) + 1
    weight = torch.zeros(classes, x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    counts = torch.bincount(answers, minlength=classes).double()
    worth = len(answers) / counts.clamp(min=1) / classes if balanced else None
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(x @ weight.T + bias, answers, worth) + decay * weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    w, b = weight.detach(), bias.detach()
    return lambda y: ((y - mean) / scale @ w.T + b).argmax(1)
