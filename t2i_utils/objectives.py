"""Every loss term of the series, one function each, named as in the papers. Logits everywhere."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
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


def kl_to_standard_normal(
    mu: Float[Tensor, "b c"], logvar: Float[Tensor, "b c"]
) -> Float[Tensor, ""]:
    """KL(N(μ, σ²) ‖ N(0, 1)) in nats: ½ Σ_j (μ_j² + σ_j² − log σ_j² − 1), the mean over the batch.

    Zhang et al. 2017, equation 2, whose λ is 1. The authors' code takes the mean over the
    dimensions in place of their sum, and 2 for λ: with 128 dimensions that is a λ of 2/128 here.
    """
    return 0.5 * (mu.square() + logvar.exp() - logvar - 1).sum(1).mean()


def joint_embedding_loss(
    theta: Float[Tensor, "b t"],
    phi: Float[Tensor, "b t"],
    rivals: Bool[Tensor, "b b"],
    margin: float = 1.0,
) -> Float[Tensor, ""]:
    """Structured joint embedding: a picture is nearer its own sentence than any rival, and back.

    Symmetric hinge on the compatibility C(x, t) = θ(x)ᵀφ(t) (Reed et al. 2016, CVPR, equations 2
    to 5, with the mean over rivals in place of the worst). θ and φ are the picture's and the
    sentence's vectors. `rivals[n, m]`: sentence m competes for picture n, see
    `CaptionedImages.rivals`; own pairs are no rivals.
    """
    compatibility = theta @ phi.T  # [B, B]: row = picture, column = sentence
    own = compatibility.diagonal()
    compete = rivals.to(compatibility.dtype)
    sentences = F.relu(margin + compatibility - own[:, None]) * compete
    pictures = F.relu(margin + compatibility - own[None, :]) * compete
    return (sentences + pictures).sum() / compete.sum().clamp(min=1)


def contrastive_loss(
    theta: Float[Tensor, "b t"],
    phi: Float[Tensor, "b t"],
    rivals: Bool[Tensor, "b b"],
    temperature: float = 0.07,
) -> Float[Tensor, ""]:
    """−log of the softmax share of the own pair among its rivals, both ways, on cosines.

    The softmax form of the same wish (Radford et al. 2021, figure 3; DAMSM of Xu et al. 2018,
    equations 10 to 12, has it for classes). `rivals` as in `joint_embedding_loss`: what is neither
    own nor rival, a sentence of another picture that is true of this one, takes no part.
    """
    cosine = F.normalize(theta, dim=1) @ F.normalize(phi, dim=1).T
    takes_part = rivals | torch.eye(len(rivals), dtype=torch.bool, device=rivals.device)
    logits = (cosine / temperature).masked_fill(~takes_part, -torch.inf)
    own = torch.arange(len(logits), device=logits.device)
    return F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)


# Since StackGAN: the terms by which the shipped generator was trained.


def relativistic_loss(
    s_r: Float[Tensor, " b"], s_w: Float[Tensor, " b"], s_f: Float[Tensor, " b"]
) -> Float[Tensor, ""]:
    """D's loss by pairs: −E[log sigmoid(s_r − s_f) + log sigmoid(s_r − s_w)].

    A real picture with its sentence shall score above a fake one with it (Jolicoeur-Martineau
    2019, relativistic pairing) and above itself with a wrong sentence (Reed et al. 2016).
    """
    return F.softplus(s_f - s_r).mean() + F.softplus(s_w - s_r).mean()


def relativistic_generator_loss(
    s_r: Float[Tensor, " b"], s_f: Float[Tensor, " b"]
) -> Float[Tensor, ""]:
    """G's loss by pairs: −E[log sigmoid(s_f − s_r)] (Jolicoeur-Martineau 2019)."""
    return F.softplus(s_r - s_f).mean()


def gradient_penalty(
    scores: Float[Tensor, " b"], images: Float[Tensor, "b 3 s s"]
) -> Float[Tensor, ""]:
    """E|∇ₓ D(x)|² at the images that the scores are of (R1: Mescheder et al. 2018, equation 9).

    `images` must require gradients; the penalty itself can be differentiated.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()
