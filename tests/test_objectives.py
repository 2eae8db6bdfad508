"""Each loss against its equation in plain float64, and where it pulls."""

import math

import pytest
import torch

from t2i_utils.objectives import (
    generator_loss,
    joint_embedding_loss,
    matching_aware_loss,
    real_fake_loss,
)

LOSSES = [(matching_aware_loss, 3), (real_fake_loss, 2), (generator_loss, 1)]


def logits(count, n=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, n, generator=generator, dtype=torch.float64) * 3


def log_d(s):
    """log D of each logit, D = 1 / (1 + e^−s)."""
    return [math.log(1 / (1 + math.exp(-x))) for x in s.tolist()]


def log_not_d(s):
    return [math.log(1 - 1 / (1 + math.exp(-x))) for x in s.tolist()]


def test_matching_aware_loss_is_the_equation():
    s_r, s_w, s_f = logits(3)
    terms = [r + 0.5 * (w + f) for r, w, f in zip(log_d(s_r), log_not_d(s_w), log_not_d(s_f),
                                                  strict=True)]  # fmt: skip
    assert matching_aware_loss(s_r, s_w, s_f).item() == pytest.approx(-sum(terms) / 7, rel=1e-10)


def test_real_fake_loss_is_the_equation():
    s_r, s_f = logits(2)
    terms = [r + f for r, f in zip(log_d(s_r), log_not_d(s_f), strict=True)]
    assert real_fake_loss(s_r, s_f).item() == pytest.approx(-sum(terms) / 7, rel=1e-10)


def test_generator_loss_is_the_equation():
    (s_f,) = logits(1)
    assert generator_loss(s_f).item() == pytest.approx(-sum(log_d(s_f)) / 7, rel=1e-10)


def pulls(loss, count):
    """dloss/ds of each kind of logit, at 0."""
    at_zero = [torch.zeros(5, dtype=torch.float64, requires_grad=True) for _ in range(count)]
    return [g.sum().item() for g in torch.autograd.grad(loss(*at_zero), at_zero)]


def test_pulls_at_zero():
    """Real up with one half; the two kinds of negative down, a quarter each: they balance."""
    assert pulls(matching_aware_loss, 3) == pytest.approx([-0.5, 0.25, 0.25], abs=1e-12)
    assert pulls(real_fake_loss, 2) == pytest.approx([-0.5, 0.5], abs=1e-12)
    assert pulls(generator_loss, 1) == pytest.approx([-0.5], abs=1e-12)


def test_the_generator_wants_its_fakes_taken_for_real():
    """It falls as s_f rises, and pulls hardest where D is surest: the non-saturating form."""
    s_f = torch.linspace(-8, 8, 50, dtype=torch.float64, requires_grad=True)
    losses = torch.stack([generator_loss(s[None]) for s in s_f])
    assert (losses.diff() < 0).all()
    (pull,) = torch.autograd.grad(losses.sum(), s_f)
    assert pull[0] < -0.99 and pull[-1] > -0.01 and (pull.diff() > 0).all()


@pytest.mark.parametrize(("loss", "count"), LOSSES)
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_large_logits_stay_finite(loss, count, size):
    """A sigmoid before the logarithm would give inf or nan here, in float32."""
    s = [torch.full((3,), size, requires_grad=True) for _ in range(count)]
    value = loss(*s)
    assert torch.isfinite(value)
    assert all(g.isfinite().all() for g in torch.autograd.grad(value, s))


def test_the_naive_form_would_fail_there():
    s = torch.full((3,), -1e4)
    assert not torch.isfinite(-torch.sigmoid(s).log().mean())


# ---- joint embedding --------------------------------------------------------------------------


def some_pairs(n=8, dim=5, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    theta, phi = torch.randn(2, n, dim, generator=generator, dtype=dtype)
    return theta, phi, torch.tensor([0, 1, 2, 0, 3, 1, 4, 5])[:n]


def slowly(theta, phi, classes, margin=1.0):
    """The equations, one pair at a time."""
    total, rivals = 0.0, 0
    for n in range(len(classes)):
        own = float(theta[n] @ phi[n])
        for m in range(len(classes)):
            if classes[n] != classes[m]:
                total += max(0.0, margin + float(theta[n] @ phi[m]) - own)  # another sentence
                total += max(0.0, margin + float(theta[m] @ phi[n]) - own)  # another picture
                rivals += 1
    return total / rivals


@pytest.mark.parametrize("margin", [1.0, 0.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_joint_embedding_is_the_slow_loop(margin, dtype):
    theta, phi, classes = some_pairs(dtype=dtype)
    found = joint_embedding_loss(theta, phi, classes, margin).item()
    assert found > 0.1 and found == pytest.approx(slowly(theta, phi, classes, margin), abs=1e-5)


def test_joint_embedding_gradients():
    theta, phi, classes = some_pairs()
    theta.requires_grad_(), phi.requires_grad_()
    assert torch.autograd.gradcheck(lambda t, p: joint_embedding_loss(t, p, classes), (theta, phi))


def test_pairs_of_one_class_do_not_compete():
    theta = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]) * 10
    phi = theta.clone()  # rows 0 and 1 are hardly told apart, row 2 is
    assert joint_embedding_loss(theta, phi, torch.tensor([0, 0, 1])).item() == 0
    assert joint_embedding_loss(theta, phi, torch.tensor([0, 2, 1])).item() > 1
    one_class = joint_embedding_loss(theta, phi, torch.tensor([0, 0, 0]))
    assert one_class.item() == 0 and torch.isfinite(one_class)


def test_what_matches_beats_what_does_not():
    """Right pairs, well apart, cost nothing; the same vectors paired wrongly cost much."""
    theta = torch.eye(4) * 3
    classes = torch.arange(4)
    assert joint_embedding_loss(theta, theta, classes).item() == 0
    assert joint_embedding_loss(theta, theta.roll(1, 0), classes).item() > 1
