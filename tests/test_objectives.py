"""Each loss against its equation in plain float64, and where it pulls."""

import math

import pytest
import torch

from t2i_utils.objectives import (
    contrastive_loss,
    generator_loss,
    gradient_penalty,
    joint_embedding_loss,
    kl_to_standard_normal,
    matching_aware_loss,
    real_fake_loss,
    relativistic_generator_loss,
    relativistic_loss,
)

LOSSES = [
    (matching_aware_loss, 3),
    (real_fake_loss, 2),
    (generator_loss, 1),
    (relativistic_loss, 3),
    (relativistic_generator_loss, 2),
]


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


def test_relativistic_losses_are_the_equations():
    s_r, s_w, s_f = logits(3)
    terms = [f + w for f, w in zip(log_d(s_r - s_f), log_d(s_r - s_w), strict=True)]
    assert relativistic_loss(s_r, s_w, s_f).item() == pytest.approx(-sum(terms) / 7, rel=1e-10)
    found = relativistic_generator_loss(s_r, s_f).item()
    assert found == pytest.approx(-sum(log_d(s_f - s_r)) / 7, rel=1e-10)


def pulls(loss, count):
    """dloss/ds of each kind of logit, at 0."""
    at_zero = [torch.zeros(5, dtype=torch.float64, requires_grad=True) for _ in range(count)]
    return [g.sum().item() for g in torch.autograd.grad(loss(*at_zero), at_zero)]


def test_pulls_at_zero():
    """Real up with one half; the two kinds of negative down, a quarter each: they balance."""
    assert pulls(matching_aware_loss, 3) == pytest.approx([-0.5, 0.25, 0.25], abs=1e-12)
    assert pulls(real_fake_loss, 2) == pytest.approx([-0.5, 0.5], abs=1e-12)
    assert pulls(generator_loss, 1) == pytest.approx([-0.5], abs=1e-12)
    assert pulls(relativistic_loss, 3) == pytest.approx([-1, 0.5, 0.5], abs=1e-12)
    assert pulls(relativistic_generator_loss, 2) == pytest.approx([0.5, -0.5], abs=1e-12)


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
    for signs in ((1, 1, 1), (1, -1, 1), (1, 1, -1)):
        s = [torch.full((3,), size * sign, requires_grad=True) for sign in signs[:count]]
        value = loss(*s)
        assert torch.isfinite(value)
        assert all(g.isfinite().all() for g in torch.autograd.grad(value, s))


def test_the_naive_form_would_fail_there():
    s = torch.full((3,), -1e4)
    assert not torch.isfinite(-torch.sigmoid(s).log().mean())


# ---- relativistic pairs -----------------------------------------------------------------------


def test_only_differences_of_scores_count():
    s_r, s_w, s_f = logits(3)
    moved = relativistic_loss(s_r + 5, s_w + 5, s_f + 5).item()
    assert moved == pytest.approx(relativistic_loss(s_r, s_w, s_f).item(), rel=1e-9)
    moved = relativistic_generator_loss(s_r + 5, s_f + 5).item()
    assert moved == pytest.approx(relativistic_generator_loss(s_r, s_f).item(), rel=1e-9)


def test_scores_are_paired_one_by_one():
    """Each real score with the fake of its own sentence: a mean taken first would be another."""
    s_r, s_w, s_f = logits(3)
    apart = relativistic_loss(s_r, s_w, s_f.roll(1)) - relativistic_loss(s_r, s_w, s_f)
    assert apart.abs() > 1e-3
    apart = relativistic_loss(s_r, s_w.roll(1), s_f) - relativistic_loss(s_r, s_w, s_f)
    assert apart.abs() > 1e-3
    apart = relativistic_generator_loss(s_r, s_f.roll(1)) - relativistic_generator_loss(s_r, s_f)
    assert apart.abs() > 1e-3


def test_each_player_steps_its_own_way():
    """D's step lifts the real above fakes and wrong pairs, G's step lifts its fakes."""
    torch.manual_seed(0)
    real, wrong, fake = torch.randn(3, 16, 4)
    D, fake = torch.nn.Linear(4, 1), fake.requires_grad_()

    def scores():
        return (D(x).squeeze(1) for x in (real, wrong, fake))

    s_r, s_w, s_f = scores()
    of_D = torch.autograd.grad(relativistic_loss(s_r, s_w, s_f), list(D.parameters()))
    s_r, s_w, s_f = scores()
    (of_G,) = torch.autograd.grad(relativistic_generator_loss(s_r.detach(), s_f), fake)
    with torch.no_grad():
        lifted = D(fake - 0.1 * of_G).squeeze(1)
        assert (lifted > s_f).all()
        for weight, gradient in zip(D.parameters(), of_D, strict=True):
            weight -= 0.01 * gradient
        r, w, f = scores()
    assert (r - f).mean() > (s_r - s_f).mean() and (r - w).mean() > (s_r - s_w).mean()


# ---- gradient penalty -------------------------------------------------------------------------


def some_images(n=5, side=4):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(n, 3, side, side, generator=generator, dtype=torch.float64)
    return images.requires_grad_()


def test_penalty_of_a_linear_score_is_its_weight_squared():
    """Summed over pixels and channels, the mean over pictures: not the other way round."""
    images, w = some_images(), torch.arange(48, dtype=torch.float64) / 48
    penalty = gradient_penalty(images.flatten(1) @ w + 3, images)
    assert penalty.shape == ()
    assert penalty.item() == pytest.approx(w.square().sum().item(), rel=1e-12)


def quadratic(images, A):
    x = images.flatten(1)
    return 0.5 * ((x @ A) * x).sum(1)


def test_penalty_of_a_quadratic_score():
    """D = ½ xᵀAx has the gradient ½ (A + Aᵀ) x, another one at every picture."""
    images, generator = some_images(), torch.Generator().manual_seed(1)
    A = torch.randn(48, 48, generator=generator, dtype=torch.float64)
    slopes = [0.5 * (A + A.T) @ x for x in images.detach().flatten(1)]
    expected = sum(float(slope @ slope) for slope in slopes) / len(slopes)
    found = gradient_penalty(quadratic(images, A), images)
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_the_penalty_can_be_differentiated():
    """By D's weights: against finite differences, and of higher order."""
    images, generator = some_images(n=2, side=2), torch.Generator().manual_seed(1)
    A = torch.randn(12, 12, generator=generator, dtype=torch.float64, requires_grad=True)

    def penalty(A):
        return gradient_penalty(quadratic(images, A).tanh(), images)

    assert torch.autograd.gradcheck(penalty, A)
    assert torch.autograd.gradgradcheck(penalty, A)


# ---- joint embedding: the hinge and the softmax -----------------------------------------------


def some_pairs(n=8, dim=5, dtype=torch.float64, seed=0):
    """θ, φ and who competes with whom: not symmetric, and the last pair has no rival at all."""
    generator = torch.Generator().manual_seed(seed)
    theta, phi = torch.randn(2, n, dim, generator=generator, dtype=dtype)
    drawn = torch.rand(n, n, generator=torch.Generator().manual_seed(seed)) < 0.6
    rivals = drawn & ~torch.eye(n, dtype=torch.bool)
    rivals[-1] = rivals[:, -1] = False
    assert 0.2 < (rivals != rivals.T).float().mean() < 0.6
    return theta, phi, rivals


def hinge_slowly(theta, phi, rivals, margin=1.0):
    """The equations, one pair at a time."""
    total, count = 0.0, 0
    for n in range(len(rivals)):
        for m in range(len(rivals)):
            if rivals[n, m]:  # sentence m is untrue of picture n
                fit = float(theta[n] @ phi[m])
                total += max(0.0, margin + fit - float(theta[n] @ phi[n]))  # picture n's own
                total += max(0.0, margin + fit - float(theta[m] @ phi[m]))  # sentence m's own
                count += 1
    return total / count


def softmax_slowly(theta, phi, rivals, temperature=0.07):
    def cosine(n, m):
        return float(theta[n] @ phi[m]) / math.hypot(*theta[n]) / math.hypot(*phi[m])

    def share(own, others):
        own, *others = (math.exp(value / temperature) for value in (own, *others))
        return own / (own + sum(others))

    size, total = range(len(rivals)), 0.0
    for i in size:
        sentences = [cosine(i, m) for m in size if rivals[i, m]]
        pictures = [cosine(n, i) for n in size if rivals[n, i]]
        total -= math.log(share(cosine(i, i), sentences)) / len(rivals)
        total -= math.log(share(cosine(i, i), pictures)) / len(rivals)
    return total


SLOWLY = {joint_embedding_loss: hinge_slowly, contrastive_loss: softmax_slowly}
both_losses = pytest.mark.parametrize("loss", SLOWLY)


@pytest.mark.parametrize(("dtype", "apart"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("setting", [None, 0.3])
@both_losses
def test_the_loss_is_the_slow_loop(loss, setting, dtype, apart):
    """Rows are pictures, columns sentences: the mask is not symmetric, so roles cannot swap."""
    theta, phi, rivals = some_pairs(dtype=dtype)
    options = () if setting is None else (setting,)
    expected = SLOWLY[loss](theta.double(), phi.double(), rivals, *options)
    found = loss(theta, phi, rivals, *options)
    assert found.dtype == dtype and found > 0.1
    assert found.item() == pytest.approx(expected, abs=apart, rel=apart)
    assert abs(loss(theta, phi, rivals.T, *options).item() - expected) > 100 * apart


def test_kl_is_that_of_torch_distributions():
    mu, logvar = torch.randn(2, 5, 7, dtype=torch.float64) * 2
    ours, standard = (
        torch.distributions.Normal(mu, (0.5 * logvar).exp()),
        torch.distributions.Normal(torch.zeros_like(mu), 1.0),
    )
    expected = torch.distributions.kl_divergence(ours, standard).sum(1).mean()
    torch.testing.assert_close(kl_to_standard_normal(mu, logvar), expected, rtol=1e-12, atol=0)


def test_kl_is_zero_at_the_standard_normal_only():
    """Its gradients are μ and ½ (σ² − 1): it pulls μ to 0 and σ to 1."""
    mu, logvar = torch.zeros(2, 1, 3, dtype=torch.float64)
    assert kl_to_standard_normal(mu, logvar) == 0
    mu, logvar = (torch.randn(1, 3, dtype=torch.float64).requires_grad_() for _ in range(2))
    pulls = torch.autograd.grad(kl_to_standard_normal(mu, logvar), (mu, logvar))
    torch.testing.assert_close(pulls, (mu.detach(), (logvar.detach().exp() - 1) / 2))


def test_kl_adds_up_dimensions_and_averages_sentences():
    mu, logvar = torch.randn(2, 4, 3, dtype=torch.float64)
    twice = kl_to_standard_normal(torch.cat([mu, mu], 1), torch.cat([logvar, logvar], 1))
    torch.testing.assert_close(twice, 2 * kl_to_standard_normal(mu, logvar))
    again = kl_to_standard_normal(torch.cat([mu, mu]), torch.cat([logvar, logvar]))
    torch.testing.assert_close(again, kl_to_standard_normal(mu, logvar))


def test_hinge_by_hand():
    """Sentence 1 is untrue of picture 0; sentence 0 is true of picture 1, so the 5 counts nowhere.

    (1 + 3 − 1) for picture 0 and (1 + 3 − 2) for sentence 1, over one rival.
    """
    fits = torch.tensor([[1.0, 3.0], [5.0, 2.0]])
    rivals = torch.tensor([[False, True], [False, False]])
    assert joint_embedding_loss(fits, torch.eye(2), rivals).item() == 5
    assert joint_embedding_loss(fits, torch.eye(2), rivals.T).item() == 9


def test_softmax_by_hand():
    theta, phi = torch.tensor([[0.6, 0.8], [0.28, 0.96]]), torch.eye(2)
    rivals = torch.tensor([[False, True], [False, False]])
    of_picture, of_sentence = math.log(1 + math.exp(0.8 - 0.6)), math.log(1 + math.exp(0.8 - 0.96))
    found = contrastive_loss(theta, phi, rivals, temperature=1.0)
    assert found.item() == pytest.approx((of_picture + of_sentence) / 2, rel=1e-6)


@both_losses
def test_gradients_of_the_joint_embedding(loss):
    theta, phi, rivals = some_pairs()
    theta.requires_grad_(), phi.requires_grad_()
    assert torch.autograd.gradcheck(lambda t, p: loss(t, p, rivals, 0.5), (theta, phi))


@both_losses
def test_what_is_true_of_a_picture_takes_no_part(loss):
    """The last pair's sentence is true of every picture, and every sentence of its picture."""
    theta, phi, rivals = some_pairs()
    before = loss(theta, phi, rivals).item()
    theta[-1], phi[-1] = 50 * phi[0], 50 * theta[0]
    # the softmax's mean is over pairs, and this one has won whatever it says
    assert loss(theta, phi, rivals).item() == pytest.approx(before, abs=1e-12)
    rivals[0, -1] = True  # now it competes for picture 0
    assert loss(theta, phi, rivals).item() > before + 0.1


@both_losses
def test_only_rivals_are_pushed_away(loss):
    """Sentence 1 pulls at pictures of which it is untrue and at its own, and at no other."""
    theta, phi, rivals = some_pairs()
    phi.requires_grad_()
    for n in range(8):
        alone = torch.zeros_like(rivals)
        alone[n] = rivals[n]
        (pull,) = torch.autograd.grad(loss(theta, phi, alone, 9.0), phi)
        touched = rivals[n].clone()
        touched[n] = rivals[n].any()  # its own sentence as well
        assert torch.equal(pull.abs().sum(1) > 0, touched)


def test_an_own_pair_is_never_its_own_rival():
    theta, phi, rivals = some_pairs()
    own = torch.eye(8, dtype=torch.bool)
    assert torch.equal(contrastive_loss(theta, phi, rivals | own),
                       contrastive_loss(theta, phi, rivals))  # fmt: skip


@pytest.mark.parametrize("size", [1, 4])
@both_losses
def test_a_batch_without_rivals_costs_nothing(loss, size):
    """As where every sentence is true of every picture; 0/0 and log 0 are near."""
    theta, phi = torch.randn(2, size, 3, generator=torch.Generator().manual_seed(0))
    theta.requires_grad_(), phi.requires_grad_()
    value = loss(theta, phi, torch.zeros(size, size, dtype=torch.bool))
    assert value.item() == 0
    assert all(g.abs().max() == 0 for g in torch.autograd.grad(value, (theta, phi)))


def test_the_softmax_compares_directions_the_hinge_lengths_too():
    theta, phi, rivals = some_pairs()
    lengths = torch.linspace(0.1, 30, 8, dtype=torch.float64)[:, None]
    before = contrastive_loss(theta, phi, rivals).item()
    for v, t in ((theta * lengths, phi), (theta, phi * lengths)):
        assert contrastive_loss(v, t, rivals).item() == pytest.approx(before, rel=1e-9)
        apart = joint_embedding_loss(v, t, rivals) - joint_embedding_loss(theta, phi, rivals)
        assert apart.abs() > 1


@both_losses
def test_what_matches_beats_what_does_not(loss):
    """Right pairs, well apart, cost nothing; the same vectors paired wrongly cost much."""
    theta, rivals = torch.eye(4) * 3, ~torch.eye(4, dtype=torch.bool)
    assert loss(theta, theta, rivals).item() < 1e-4
    assert loss(theta, theta.roll(1, 0), rivals).item() > 1
