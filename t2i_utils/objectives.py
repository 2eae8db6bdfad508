"""Every loss term of the series, one function each, named as in the papers. Logits everywhere."""

import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

# With a logit s and D = sigmoid(s):  −log D = softplus(−s)  and  −log(1 − D) = softplus(s).


def matching_aware_loss(
    s_r: Float[Tensor, " b"], s_w: Float[Tensor, " b"], s_f: Float[Tensor, " b"]
) -> Float[Tensor, ""]:
    """GAN-CLS's loss of D: −E[log s_r + ½ (log(1 − s_w) + log(1 − s_f))].

    Reed et al. 2016, algorithm 1, with its sign turned to be minimised. The logits are D's for a
    real picture with its sentence, a real picture with a wrong sentence, a fake with its sentence.
    """
    return F.softplus(-s_r).mean() + 0.5 * (F.softplus(s_w).mean() + F.softplus(s_f).mean())


def real_fake_loss(s_r: Float[Tensor, " b"], s_f: Float[Tensor, " b"]) -> Float[Tensor, ""]:
    """The loss of D without wrong pairs: −E[log s_r + log(1 − s_f)] (Goodfellow et al. 2014)."""
    return F.softplus(-s_r).mean() + F.softplus(s_f).mean()


def generator_loss(s_f: Float[Tensor, " b"]) -> Float[Tensor, ""]:
    """The non-saturating loss of G: −E[log s_f] (Goodfellow et al. 2014, section 3)."""
    return F.softplus(-s_f).mean()


def joint_embedding_loss(
    theta: Float[Tensor, "b t"],
    phi: Float[Tensor, "b t"],
    classes: Int64[Tensor, " b"],
    margin: float = 1.0,
) -> Float[Tensor, ""]:
    """Structured joint embedding: a picture is nearest its own sentence, and the other way round.

    Symmetric hinge on the compatibility F(v, t) = θ(v)ᵀφ(t) (Reed et al. 2016, CVPR, equations 2
    to 5). θ and φ are the picture's and the sentence's vectors; pairs of one class do not compete.
    """
    compatibility = theta @ phi.T  # [B, B]: row = picture, column = sentence
    own = compatibility.diagonal()
    rivals = (classes[:, None] != classes[None, :]).to(compatibility.dtype)
    sentences = F.relu(margin + compatibility - own[:, None]) * rivals
    pictures = F.relu(margin + compatibility - own[None, :]) * rivals
    return (sentences + pictures).sum() / rivals.sum().clamp(min=1)


