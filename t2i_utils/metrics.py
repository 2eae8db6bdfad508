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
