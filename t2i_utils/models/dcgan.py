"""The convolutional trunks of both players, by the rules of DCGAN (Radford et al. 2015)."""

from torch import nn


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
