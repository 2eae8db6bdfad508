"""Does a picture find its sentence? R-precision, by the two sides of a joint embedding."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


def contradicts(
    named: Int64[Tensor, "*#n a"], other: Int64[Tensor, "*#n a"]
) -> Bool[Tensor, "*n"]:
    """Whether two sentences cannot both be true: one names a value, the other another (−1: none).

    So a picture that obeys the one is never true of the other, whatever else it shows.
    """
    return ((named != other) & (named >= 0) & (other >= 0)).any(-1)


def finds_its_sentence(
    theta: Float[Tensor, "n t"],
    phi: Float[Tensor, "n t"],
    rivals: Bool[Tensor, "n n"],
    generator: torch.Generator,
    among: int = 99,
) -> Bool[Tensor, " n"]:
    """Whether each picture fits its own sentence better than `among` rivals drawn at random.

    The mean is R-precision (Xu et al. 2018, AttnGAN, section 4.1: one true sentence and 99 others).
    θ are the pictures' vectors, φ the sentences', fit is θᵀφ; a tie is a miss. `rivals[n, m]`:
    sentence m may stand against that of picture n (`contradicts`). Who knows nothing is right in
    1 of `among` + 1, who reads classes from random pictures more often: compute it, see notebook
    05. Raises ValueError where a picture has fewer rivals.
    """
    fewest = int(rivals.sum(1).min())
    if fewest < among:
        raise ValueError(f"a picture has {fewest} rivals; expected at least {among}")
    fits = theta @ phi.T  # [pictures, sentences]
    lots = torch.rand(fits.shape, generator=generator).to(fits.device)
    drawn = lots.masked_fill(~rivals.to(fits.device), -1).topk(among, 1).indices
    return (fits.diagonal()[:, None] > fits.gather(1, drawn)).all(1)
