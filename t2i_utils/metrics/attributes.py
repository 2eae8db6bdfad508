"""What a picture of Blooms shows: the shipped classifiers, and what their answers add up to."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from t2i_utils.checkpoints import load_network
from t2i_utils.data.blooms import ATTRIBUTES, CLASS_ATTRIBUTES, NAMES
from t2i_utils.lesson import pretrained
from t2i_utils.models.dcgan import doublings


class AttributeReader(nn.Module):
    """Reads the attributes of a bloom off its picture: features, and one linear head for each.

    Whoever inherits it says what the features are, and how many: `features`, `width_of_features`.
    """

    def __init__(self, width_of_features: int):
        super().__init__()
        self.heads = nn.ModuleDict(
            {name: nn.Linear(width_of_features, len(v)) for name, v in ATTRIBUTES.items()}
        )

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> dict[str, Float[Tensor, "b values"]]:
        features = self.features(images)
        return {name: head(features) for name, head in self.heads.items()}

    @torch.no_grad()
    def read(self, images: Float[Tensor, "b 3 s s"]) -> Int64[Tensor, "b a"]:
        """The attributes of each picture, as places in `ATTRIBUTES`."""
        return torch.cat([self.read_features(self.features(part)) for part in images.split(256)])

    def read_features(self, features: Float[Tensor, "b f"]) -> Int64[Tensor, "b a"]:
        """The same from features that are there already."""
        return torch.stack([self.heads[name](features).argmax(1) for name in NAMES], 1)


class AttributeClassifier(AttributeReader):
    """The measuring device: strided convolutions, and all of the last map.

    The one of `side` 64 brings pictures of any size to 64 × 64, so that small and large ones
    compare. The one of 128 shrinks nothing, since veins, stamens and rims are lines finer than a
    pixel at 64: it enlarges smaller pictures and pools the features of larger ones.
    """

    def __init__(self, width: int = 32, side: int = 64):
        super().__init__(256)
        self.side, layers, channels = side, [], 3
        for i in range(doublings(side)):
            wide = min(width * 2**i, 256)
            layers += [nn.Conv2d(channels, wide, 4, 2, 1, bias=False), nn.BatchNorm2d(wide),
                       nn.ReLU(inplace=True)]
            channels = wide
        # side × side → 4×4; what is left of the place is kept, petals are counted from it
        self.convolutions = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4))
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(channels * 16, 256), nn.ReLU())

    def features(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 256"]:
        """What the heads see of pictures in [−1, 1]."""
        size = (self.side, self.side)
        if images.shape[-1] < self.side or self.side < 128 and images.shape[-1] > self.side:
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        return self.trunk(self.convolutions(images))


class SecondClassifier(AttributeReader):
    """A second opinion at 64 pixels, as unlike the first as can be: where both agree, trust grows.

    Residual 3×3 convolutions with group norm in place of strided 4×4 ones with batch norm; of the
    last map its mean and its largest values, in place of all of it; trained on pictures degraded
    in other ways (`tools/make_pretrained.py`).
    """

    def __init__(self, width: int = 32):
        super().__init__(16 * width)
        self.side, wide = 64, [width, 2 * width, 4 * width, 8 * width]
        self.start = nn.Conv2d(3, width, 5, 2, 2)  # 64×64 → 32×32
        self.blocks = nn.Sequential(
            *(ResidualBlock(n, m) for n, m in zip([width, *wide], wide, strict=False))
        )

    def features(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b f"]:
        """What the heads see of pictures in [−1, 1]; those of another side are brought to 64."""
        if images.shape[-1] != self.side:
            size = (self.side, self.side)
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        h = F.relu(self.blocks(self.start(images)))  # [B, 8 · width, 4, 4]
        return torch.cat([h.mean((2, 3)), h.amax((2, 3))], 1)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside a 1×1 one; where the channels grow, the side is halved."""

    def __init__(self, narrow: int, wide: int):
        super().__init__()
        self.stride = 1 if narrow == wide else 2
        self.norm1, self.norm2 = nn.GroupNorm(8, narrow), nn.GroupNorm(8, wide)
        self.conv1 = nn.Conv2d(narrow, wide, 3, self.stride, 1)
        self.conv2 = nn.Conv2d(wide, wide, 3, 1, 1)
        self.skip = nn.Conv2d(narrow, wide, 1)

    def forward(self, x: Float[Tensor, "b c h h"]) -> Float[Tensor, "b d s s"]:
        h = self.conv1(F.relu(self.norm1(x)))
        h = self.conv2(F.relu(self.norm2(h)))
        return h + self.skip(F.avg_pool2d(x, self.stride))


def load_attribute_classifier(side: int = 64) -> AttributeClassifier:
    """The shipped classifier that reads 64 pixels, or 128 and more; on the CPU, frozen, eval mode.

    Raises FileNotFoundError where there is none of that side.
    """
    return load_network(pretrained(f"attribute_classifier_{side}.safetensors"), AttributeClassifier)


def load_second_classifier() -> SecondClassifier:
    """The shipped second opinion; on the CPU, frozen, in evaluation mode."""
    return load_network(pretrained("second_classifier_64.safetensors"), SecondClassifier)


def confusions(
    classifier: AttributeReader,
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
    classifier: AttributeReader,
    images: Float[Tensor, "b 3 s s"],
    named: Int64[Tensor, "b a"],
) -> dict[str, float]:
    """Share of pictures that show what their sentence names, for each attribute.

    `named` holds places in `ATTRIBUTES`, −1 where the sentence is silent: silence is not judged.
    An attribute that no sentence names is left out of the answer.
    """
    if len(images) != len(named) or named.shape[1] != len(NAMES):
        raise ValueError(f"named is {tuple(named.shape)}; expected ({len(images)}, {len(NAMES)}): "
                         "one row a picture, one column an attribute")
    seen = classifier.read(images).cpu()
    named = named.cpu()
    judged = named >= 0
    return {name: (seen[judged[:, i], i] == named[judged[:, i], i]).float().mean().item()
            for i, name in enumerate(NAMES) if judged[:, i].any()}


def jointly_right(
    classifier: AttributeReader,
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
