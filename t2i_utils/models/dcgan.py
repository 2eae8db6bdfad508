"""DCGAN's two players, and the convolutional trunks they share with their heirs.

By the rules of Radford et al. 2015, section 3.
"""

from jaxtyping import Float
from torch import Tensor, nn


def doublings(image_size: int) -> int:
    """How often 4 × 4 must double to reach `image_size`. Raises ValueError where it never does."""
    n = (image_size // 4).bit_length() - 1
    if not 1 <= n <= 6 or 4 * 2**n != image_size:
        raise ValueError(f"image_size is {image_size}; expected 8, 16, 32, 64, 128 or 256")
    return n


def generator_trunk(in_dim: int, width: int, image_size: int) -> nn.Sequential:
    """From a code [B, in_dim, 1, 1] to a picture [B, 3, S, S] in [−1, 1].

    `width` is the number of channels before the picture; it doubles towards the 4 × 4 start.
    """
    channels = [width * 2**i for i in reversed(range(doublings(image_size)))]
    layers = [
        nn.ConvTranspose2d(in_dim, channels[0], 4, 1, 0, bias=False),  # 1×1 → 4×4
        nn.BatchNorm2d(channels[0]),
        nn.ReLU(inplace=True),
    ]
    for wide, narrow in zip(channels, channels[1:], strict=False):
        layers += [
            nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False),  # doubles the side
            nn.BatchNorm2d(narrow),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 4, 2, 1), nn.Tanh())


def discriminator_trunk(width: int, image_size: int) -> nn.Sequential:
    """From a picture [B, 3, S, S] to features [B, C, 4, 4]; C = width · S / 8."""
    layers = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]  # no BN at D's input
    for _ in range(doublings(image_size) - 1):
        layers += [
            nn.Conv2d(width, width * 2, 4, 2, 1, bias=False),  # halves the side
            nn.BatchNorm2d(width * 2),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        width *= 2
    return nn.Sequential(*layers)


def init_weights(module: nn.Module) -> None:
    """DCGAN's initialisation, for `model.apply`: convolutions N(0, 0.02), batch norm N(1, 0.02).

    Linear layers keep PyTorch's, which fits the width of what they read.
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class Generator(nn.Module):
    """G(z): noise [B, z] becomes a picture [B, 3, S, S] in [−1, 1]."""

    def __init__(self, z_dim=100, width=64, image_size=64):
        super().__init__()
        self.z_dim = z_dim
        self.trunk = generator_trunk(z_dim, width, image_size)
        self.apply(init_weights)

    def forward(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b 3 s s"]:
        return self.trunk(z[:, :, None, None])


class Discriminator(nn.Module):
    """D(x): one logit for "this picture is real"."""

    def __init__(self, width=64, image_size=64):
        super().__init__()
        self.trunk = discriminator_trunk(width, image_size)
        self.score = nn.Conv2d(width * image_size // 8, 1, 4)  # 4×4 → one number
        self.apply(init_weights)

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, " b"]:
        return self.score(self.trunk(images)).flatten()
