"""How far two sets of pictures are apart, by the features of a network: one row a picture.

Which network, how many pictures, which ones: a distance without these says nothing.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def frechet_distance(real: Float[Tensor, "n d"], fake: Float[Tensor, "m d"]) -> float:
    """How far two sets of features are apart, each taken for a normal distribution.

    |μ_r − μ_f|² + tr(Σ_r + Σ_f − 2 (Σ_r Σ_f)^½) (Heusel et al. 2017, equation 6), by torchmetrics.
    0 for equal sets. It falls with the number of features given: compare only like with like.
    Raises ValueError for a set of fewer than two.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance  # slow to import

    _at_least(2, real, fake)
    as_they_are = nn.Identity()
    as_they_are.num_features = real.shape[1]
    distance = FrechetInceptionDistance(feature=as_they_are)
    distance.update(real.cpu().double(), real=True)
    distance.update(fake.cpu().double(), real=False)
    return distance.compute().item()


def kernel_distance(
    real: Float[Tensor, "n d"], fake: Float[Tensor, "m d"], block: int = 1000
) -> tuple[float, float]:
    """KID and its standard error: MMD² with the kernel (xᵀy/d + 1)³ (Bińkowski et al. 2018).

    The mean over neighbouring blocks of `block` features of each set, without the terms of a
    feature with itself: its expectation does not depend on the number, and is 0 for sets of one
    distribution, so it may come out below 0. The error is that of the mean over blocks; nan where
    there is one. Raises ValueError for a set of fewer than two.
    """
    from torchmetrics.image.kid import poly_mmd  # slow to import

    _at_least(2, real, fake)
    size = min(block, len(real), len(fake))
    count = min(len(real), len(fake)) // size
    values = torch.stack([
        poly_mmd(real[i * size : (i + 1) * size].double(), fake[i * size : (i + 1) * size].double())
        for i in range(count)
    ])  # fmt: skip
    return values.mean().item(), (values.std() / count**0.5).item() if count > 1 else float("nan")


def inception_score(probabilities: Float[Tensor, "n k"]) -> float:
    """exp E_x KL(p(y|x) ‖ p(y)), between 1 and the number of classes k (Salimans et al. 2016).

    `probabilities` are a classifier's answers, a row a picture. High where each picture is of one
    class for sure and all classes occur; whether it is the class that was asked for, it cannot say.
    Raises ValueError for rows that do not sum to 1.
    """
    p = probabilities.double()
    if not torch.allclose(p.sum(1), p.new_ones(len(p)), atol=1e-3):
        raise ValueError(f"rows sum to {p.sum(1).min():.3g} up to {p.sum(1).max():.3g}; expected 1")
    # p log p is 0 where p is 0
    divergence = (torch.special.xlogy(p, p) - torch.special.xlogy(p, p.mean(0))).sum(1)
    return divergence.mean().exp().item()


def precision_and_recall(
    real: Float[Tensor, "n d"], fake: Float[Tensor, "m d"], k: int = 3
) -> tuple[float, float]:
    """Which share of the fakes lies where the real ones are, and the other way round.

    A set's place is the union of balls around its features, each as wide as to the k-th nearest of
    its own (Kynkäänniemi et al. 2019). Both in 0 to 1; of two halves of one set each is well below
    1, so that it needs a ceiling beside it. Raises ValueError for sets of k features or fewer.
    """
    _at_least(k + 1, real, fake)

    def covered(centres: Tensor, points: Tensor) -> float:
        own = torch.cdist(centres, centres)
        radius = own.kthvalue(k + 1, dim=1).values  # the first is the centre itself
        near = [(torch.cdist(part, centres) <= radius).any(1) for part in points.split(1024)]
        return torch.cat(near).float().mean().item()

    return covered(real, fake), covered(fake, real)


def nearest(features: Float[Tensor, "n d"], to: Float[Tensor, "m d"]) -> Float[Tensor, " n"]:
    """Each feature's distance to the nearest of `to`: of a copy it is 0.

    Of a generator that copies some pictures a low quantile tells, beside that of real pictures that
    were held out; a mean or a median is blind to anything below half of them.
    """
    return torch.cat([torch.cdist(part, to).amin(1) for part in features.split(1024)])


def _at_least(count: int, real: Tensor, fake: Tensor) -> None:
    if min(len(real), len(fake)) < count:
        raise ValueError(
            f"features of {len(real)} real and {len(fake)} fake pictures; expected {count} or more"
        )
