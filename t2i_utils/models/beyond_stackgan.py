"""A conditional pair of players of ten years later; the generator that opens the book is one.

Notebook 13 takes the recipe apart: conditional batch norm in G, a projection discriminator without
any normalisation, and the losses that go with them.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from t2i_utils.checkpoints import load_network
from t2i_utils.lesson import pretrained
from t2i_utils.models.dcgan import doublings


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose scale and shift are read from a code (de Vries et al. 2017, section 3.2)."""

    def __init__(self, channels: int, code_dim: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.heads = nn.Linear(code_dim, 2 * channels)

    def forward(
        self, x: Float[Tensor, "b c h w"], code: Float[Tensor, "b k"]
    ) -> Float[Tensor, "b c h w"]:
        gamma, beta = self.heads(code)[:, :, None, None].chunk(2, 1)
        return (1 + gamma) * self.norm(x) + beta


class UpBlock(nn.Module):
    """Twice the side, by a residual block that hears the code twice (Miyato and Koyama 2018).

    Bilinear up-sampling leaves nothing on the lines of the highest frequency, where transposed
    convolutions leave their lattice.
    """

    def __init__(self, wide: int, narrow: int, code_dim: int):
        super().__init__()
        self.norm1 = ConditionalBatchNorm(wide, code_dim)
        self.conv1 = nn.Conv2d(wide, narrow, 3, 1, 1, bias=False)
        self.norm2 = ConditionalBatchNorm(narrow, code_dim)
        self.conv2 = nn.Conv2d(narrow, narrow, 3, 1, 1)
        self.skip = nn.Conv2d(wide, narrow, 1)

    def forward(
        self, x: Float[Tensor, "b c h h"], code: Float[Tensor, "b k"]
    ) -> Float[Tensor, "b d s s"]:
        h = self.conv1(double(F.relu(self.norm1(x, code))))
        h = self.conv2(F.relu(self.norm2(h, code)))
        return h + double(self.skip(x))  # a 1×1 convolution and up-sampling may change places


def double(x: Tensor) -> Tensor:
    """[B, C, H, H] → [B, C, 2H, 2H]."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Generator(nn.Module):
    """G(z, φ(t)): the code of noise and sentence is the start, and steers every block."""

    def __init__(self, z_dim=100, embed_dim=256, text_dim=128, width=32, image_size=64):
        super().__init__()
        self.z_dim = z_dim
        self.compress = nn.Sequential(nn.Linear(embed_dim, text_dim), nn.LeakyReLU(0.2))
        code_dim, n = z_dim + text_dim, doublings(image_size)
        channels = [width * min(8, 2**i) for i in reversed(range(n + 1))]
        self.start = nn.Linear(code_dim, channels[0] * 4 * 4)
        self.blocks = nn.ModuleList(
            UpBlock(wide, narrow, code_dim)
            for wide, narrow in zip(channels, channels[1:], strict=False)
        )
        self.norm = ConditionalBatchNorm(channels[-1], code_dim)
        self.to_picture = nn.Conv2d(channels[-1], 3, 3, 1, 1)
        self.apply(orthogonal)

    def forward(
        self, z: Float[Tensor, "b z"], embedding: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b 3 s s"]:
        code = torch.cat([z, self.compress(embedding)], 1)  # [B, 100 + 128]
        h = self.start(code).view(len(z), -1, 4, 4)
        for block in self.blocks:
            h = block(h, code)
        return torch.tanh(self.to_picture(F.relu(self.norm(h, code))))


class Discriminator(nn.Module):
    """D(x, φ(t)) = ψ(f) + fᵀVφ(t), f the features of x: a projection discriminator.

    Miyato and Koyama 2018, equation 5. No normalisation: a score depends on its own pair alone,
    which pairs of scores and gradient penalties ask for.
    """

    def __init__(self, embed_dim=256, features=256, width=32, image_size=64):
        super().__init__()
        layers, wide = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)], width
        for _ in range(doublings(image_size) - 1):  # each halves the side
            layers += [nn.Conv2d(wide, wide * 2, 4, 2, 1), nn.LeakyReLU(0.2)]
            wide *= 2
        self.trunk = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(wide * 4 * 4, features), nn.LeakyReLU(0.2)
        )
        self.psi = nn.Linear(features, 1)
        self.V = nn.Linear(embed_dim, features)
        self.look = nn.Linear(features, features)  # what of a picture a sentence may speak of
        self.apply(orthogonal)

    def score(
        self, features: Float[Tensor, "b f"], embedding: Float[Tensor, "b t"]
    ) -> Float[Tensor, " b"]:
        """Logits of pictures' features with sentences; one look at a picture serves any."""
        match = (features * self.V(embedding)).sum(1) / features.shape[1] ** 0.5
        return self.psi(features).squeeze(1) + match

    def both_sides(
        self, features: Float[Tensor, "b f"], embedding: Float[Tensor, "b t"]
    ) -> tuple[Float[Tensor, "b f"], Float[Tensor, "b f"]]:
        """Picture and sentence as vectors to be compared, for `objectives.contrastive_loss`."""
        return self.look(features), self.V(embedding)

    def forward(
        self, images: Float[Tensor, "b 3 s s"], embedding: Float[Tensor, "b t"]
    ) -> Float[Tensor, " b"]:
        return self.score(self.trunk(images), embedding)


def orthogonal(module: nn.Module) -> None:
    """Orthogonal first weights, for `model.apply`; a conditional norm starts as a plain one."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.orthogonal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(module, ConditionalBatchNorm):  # apply comes to it after its heads
        nn.init.zeros_(module.heads.weight)


def load_generator(name: str = "generator_blooms.safetensors") -> Generator:
    """The shipped generator with its weights, on the CPU, frozen and in evaluation mode.

    Raises FileNotFoundError where the file is missing.
    """
    return load_network(pretrained(name), Generator)
