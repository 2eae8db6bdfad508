"""Conditioning augmentation: a sentence as a distribution (Zhang et al. 2017, section 3.2)."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from t2i_utils.models.dcgan import generator_trunk, init_weights


class ConditioningAugmentation(nn.Module):
    """φ(t) → μ and log σ² of a normal distribution with independent dimensions; `c_dim` is N_g."""

    def __init__(self, embed_dim=1024, c_dim=128):
        super().__init__()
        self.linear = nn.Linear(embed_dim, 2 * c_dim)  # nothing after it: both signs, any σ

    def forward(
        self, embedding: Float[Tensor, "b t"]
    ) -> tuple[Float[Tensor, "b c"], Float[Tensor, "b c"]]:
        mu, logvar = self.linear(embedding).chunk(2, 1)
        return mu, logvar


def reparameterise(
    mu: Float[Tensor, "b c"], logvar: Float[Tensor, "b c"], eps: Float[Tensor, "b c"]
) -> Float[Tensor, "b c"]:
    """ĉ = μ + σ ⊙ ε: a sample of N(μ, σ²) that lets gradients through to μ and log σ²."""
    return mu + torch.exp(0.5 * logvar) * eps


class AugmentedGenerator(nn.Module):
    """G(z, ε, φ(t)): GAN-CLS's generator with ĉ in place of the compressed sentence.

    A picture takes `noise_dim` independent normal numbers: z, and ε for the sentence. The same
    noise and sentence give the same picture. `trunk` makes the body, as `generator_trunk` does.
    """

    def __init__(
        self,
        z_dim=100,
        embed_dim=1024,
        c_dim=128,
        width=64,
        image_size=64,
        trunk: Callable[[int, int, int], nn.Module] = generator_trunk,
    ):
        super().__init__()
        self.noise_dim, self.split = z_dim + c_dim, (z_dim, c_dim)
        self.augment = ConditioningAugmentation(embed_dim, c_dim)
        self.trunk = trunk(z_dim + c_dim, width, image_size)
        self.apply(init_weights)

    def forward(
        self, noise: Float[Tensor, "b n"], embedding: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b 3 s s"]:
        z, eps = noise.split(self.split, 1)
        c_hat = reparameterise(*self.augment(embedding), eps)
        return self.trunk(torch.cat([z, c_hat], 1)[:, :, None, None])
