"""How far two sets of pictures are apart, by the features of a network: one row a picture.

Which network, how many pictures, which ones: a distance without these says nothing.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def moments(
    features: Float[Tensor, "n d"],
) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """Mean μ and covariance Σ of features, in double precision; ValueError for fewer than two."""
    if len(features) < 2:
        raise ValueError(f"{len(features)} features; expected 2 or more: one has no covariance")
    features = features.double()
    return features.mean(0), features.T.cov()


def frechet_of_moments(
    mean_r: Float[Tensor, " d"],
    cov_r: Float[Tensor, "d d"],
    mean_f: Float[Tensor, " d"],
    cov_f: Float[Tensor, "d d"],
) -> float:
    """|μ_r − μ_f|² + tr(Σ_r + Σ_f − 2 (Σ_r Σ_f)^½): Heusel et al. 2017, equation 6.

    Σ_r Σ_f is not symmetric, but Σ_r^½ Σ_f Σ_r^½ is, and has the same eigenvalues: the trace of
    the root is the sum of theirs.
    """
    values, directions = torch.linalg.eigh(cov_r)
    root_r = (directions * values.clamp(min=0).sqrt()) @ directions.T
    root = torch.linalg.eigvalsh(root_r @ cov_f @ root_r).clamp(min=0).sqrt()
    apart = (mean_r - mean_f).square().sum()
    return (apart + cov_r.trace() + cov_f.trace() - 2 * root.sum()).item()


def frechet_distance(real: Float[Tensor, "n d"], fake: Float[Tensor, "m d"]) -> float:
    """How far two sets of features are apart, each taken for a normal distribution.

    0 for equal sets; of two halves of one set it is above 0, and the more so the fewer they are:
    compare like with like. See `frechet_of_moments`. Raises ValueError for fewer than two.
    """
    return frechet_of_moments(*moments(real), *moments(fake))


def kernel_mmd(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> Float[Tensor, ""]:
    """MMD² with the kernel (xᵀy/d + 1)³, without bias (Bińkowski et al. 2018, equation 4).

    The terms of a feature with itself are left out; so it may come out below 0.
    """
    x, y, n, m = x.double(), y.double(), len(x), len(y)
    k_xx, k_yy, k_xy = (((a @ b.T) / a.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    within_x = (k_xx.sum() - k_xx.trace()) / (n * (n - 1))
    within_y = (k_yy.sum() - k_yy.trace()) / (m * (m - 1))
    return within_x + within_y - 2 * k_xy.mean()


def kernel_distance(
    real: Float[Tensor, "n d"], fake: Float[Tensor, "m d"], block: int = 1000
) -> tuple[float, float]:
    """KID, the mean of `kernel_mmd` over blocks of `block` features of each set, and its error.

    Its expectation does not depend on the number, and is 0 for sets of one distribution. The
    standard error is that of the mean over blocks; nan where there is one. Raises ValueError for a
    set of fewer than two.
    """
    _at_least(2, real, fake)
    size = min(block, len(real), len(fake))
    count = min(len(real), len(fake)) // size
    blocks = zip(real.split(size), fake.split(size), strict=False)
    values = torch.stack([kernel_mmd(*pair) for pair, _ in zip(blocks, range(count), strict=False)])
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
        raise ValueError(f"features of {len(real)} real and {len(fake)} fake pictures; expected "
                         f"{count} or more")
