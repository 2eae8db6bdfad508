"""How to know: measures of what a generator draws."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from t2i_utils.checkpoints import load_weights
from t2i_utils.data.blooms import ATTRIBUTES, NAMES
from t2i_utils.lesson import pretrained


class AttributeClassifier(nn.Module):
    """Reads the attributes of a bloom off its picture: one small CNN, one linear head for each.

    Pictures of any size are brought to 64 × 64 first, so that small and large ones compare.
    """

    SIDE = 64

    def __init__(self, width: int = 32):
        super().__init__()
        layers, channels = [], 3
        for wide in (width, width * 2, width * 4, width * 8):
            layers += [
                nn.Conv2d(channels, wide, 4, 2, 1, bias=False),
                nn.BatchNorm2d(wide),
                nn.ReLU(inplace=True),
            ]
            channels = wide
        # 64×64 → 4×4; what is left of the place is kept, petals are counted from it
        self.trunk = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 16, 256), nn.ReLU())
        self.heads = nn.ModuleDict({k: nn.Linear(256, len(v)) for k, v in ATTRIBUTES.items()})

    def features(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 256"]:
        """What the heads see of pictures in [−1, 1]."""
        if images.shape[-1] != self.SIDE:
            images = F.interpolate(images, (self.SIDE, self.SIDE), mode="bilinear", antialias=True)
        return self.trunk(images)

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> dict[str, Float[Tensor, "b values"]]:
        features = self.features(images)
        return {name: head(features) for name, head in self.heads.items()}

    @torch.no_grad()
    def read(self, images: Float[Tensor, "b 3 s s"]) -> Int64[Tensor, "b a"]:
        """The attributes of each picture, as places in `ATTRIBUTES`."""
        parts = [self(part) for part in images.split(256)]
        return torch.cat([torch.stack([p[k].argmax(1) for k in NAMES], 1) for p in parts])


def load_attribute_classifier() -> AttributeClassifier:
    """The shipped classifier with its weights, on the CPU, frozen and in evaluation mode."""
    classifier = AttributeClassifier()
    load_weights(pretrained("attribute_classifier_blooms.safetensors"), classifier)
    return classifier.eval().requires_grad_(False)


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
