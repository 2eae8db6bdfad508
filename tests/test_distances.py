"""Distances of features against torchmetrics and closed forms, and what each is blind to."""

import math

import numpy as np
import pytest
import torch
from scipy import linalg
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from t2i_utils.metrics import (
    frechet_distance,
    frechet_of_moments,
    inception_score,
    kernel_distance,
    moments,
    nearest,
    precision_and_recall,
)
from t2i_utils.metrics.card import CHUNK, GROUPS, Apart, Sums

# torchmetrics' words on memory, and on one split's spread
QUIET = pytest.mark.filterwarnings("ignore:Metric:UserWarning", "ignore:std:UserWarning")


def normal(n, d=8, shift=0.0, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift


def as_they_are(d):
    net = nn.Identity()
    net.num_features = d
    return net


# ---- Fréchet ----------------------------------------------------------------------------------


def covariance(d, seed):
    """Correlated, with a spread of its own along each of slanted directions."""
    mix = normal(d, d, seed=seed).double()
    return mix @ mix.T + 0.1 * torch.eye(d).double()


@QUIET
def test_frechet_distance_is_torchmetrics():
    mix = normal(6, 6, seed=2)
    real, fake = normal(900, 6) @ mix, normal(700, 6, 0.4, 1)
    fid = FrechetInceptionDistance(feature=as_they_are(6))
    fid.update(real, real=True)
    fid.update(fake, real=False)
    assert frechet_distance(real, fake) == pytest.approx(fid.compute().item(), rel=1e-3)
    assert frechet_distance(fake, real) == pytest.approx(fid.compute().item(), rel=1e-3)


def test_frechet_distance_in_one_dimension():
    """(μ_r − μ_f)² + (σ_r − σ_f)²: all of it can be done in one's head."""
    one = torch.ones(1).double()
    found = frechet_of_moments(0 * one, 9 * one[None], 2 * one, 25 * one[None])
    assert found == pytest.approx(2**2 + (3 - 5) ** 2)


def test_frechet_distance_of_two_dimensions_in_closed_form():
    """tr √M of a 2 × 2 matrix is √(tr M + 2 √det M): no root of a matrix is taken."""
    zero = torch.zeros(2).double()
    for seed in range(5):
        A, B = covariance(2, seed), covariance(2, seed + 10)
        assert (A @ B - B @ A).abs().max() > 0.1, "they do not commute"
        root = ((A @ B).trace() + 2 * torch.linalg.det(A @ B).sqrt()).sqrt()
        expected = 5 + (A.trace() + B.trace() - 2 * root).item()
        apart = torch.tensor([1.0, -2.0]).double()
        assert frechet_of_moments(zero, A, apart, B) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("d", [3, 20])
def test_the_root_is_that_of_the_product(d):
    """And no other that is mistaken for it: each of those gives another number."""
    A, B, zero = covariance(d, 0), covariance(d, 1), torch.zeros(d).double()
    found = frechet_of_moments(zero, A, zero, B)
    A, B = A.numpy(), B.numpy()

    def distance(root):
        return A.trace() + B.trace() - 2 * np.trace(root).real

    assert found == pytest.approx(distance(linalg.sqrtm(A @ B)), rel=1e-8)
    values, directions = np.linalg.eigh(A @ B)  # which reads half of it, as if it were symmetric
    wrong = {
        "elementwise": np.sqrt(np.abs(A @ B)),
        "as if symmetric": directions @ np.diag(np.sqrt(np.abs(values))) @ directions.T,
        "product of roots": linalg.sqrtm(A) @ linalg.sqrtm(B),
    }
    for name, root in wrong.items():
        assert abs(distance(root) / found - 1) > 0.02, name


@pytest.mark.parametrize("n", [400, 800, 1600, 3200])
def test_the_bias_of_frechet_distance_is_that_of_the_law(n):
    """Two samples of N(0, 1) are apart by 2d/N in means and d(d + 1)/2N in covariances."""
    d, draws = 6, 600
    g = torch.Generator().manual_seed(n)
    values = [
        frechet_distance(torch.randn(n, d, generator=g), torch.randn(n, d, generator=g))
        for _ in range(draws)
    ]
    law = 2 * d / n + d * (d + 1) / (2 * n)
    assert sum(values) / draws == pytest.approx(law, rel=0.05)


def test_fewer_pictures_than_dimensions_give_a_number():
    """Σ_r and Σ_f are of rank 9 in 40: tr (Σ_r Σ_f)^½ is the sum of X_r X_fᵀ's singular values."""
    real, fake = normal(10, 40), normal(12, 40, 0.3, 1)
    X, Y = ((x - x.mean(0)).double() / (len(x) - 1) ** 0.5 for x in (real, fake))
    apart = (real.double().mean(0) - fake.double().mean(0)).square().sum()
    cross = torch.linalg.svdvals(X @ Y.T).sum()
    expected = (apart + X.square().sum() + Y.square().sum() - 2 * cross).item()
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-5)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-5)
    constant = torch.ones(10, 40)  # no spread at all
    alone = (real.double().mean(0) - 1).square().sum() + X.square().sum()
    assert frechet_distance(real, constant) == pytest.approx(alone.item(), rel=1e-5)


def test_moments_are_taken_in_double():
    features = normal(500, 4) * 0.01 + 1000  # float32 has seven digits
    mean, cov = moments(features)
    expected = np.cov(features.double().numpy().T)
    np.testing.assert_allclose(cov, expected, rtol=1e-9)
    np.testing.assert_allclose(mean, features.double().numpy().mean(0), rtol=1e-12)
    with pytest.raises(ValueError, match="1 features; expected 2 or more"):
        moments(features[:1])


# ---- KID --------------------------------------------------------------------------------------


@QUIET
def test_kernel_distance_is_torchmetrics():
    real, fake = normal(300), normal(300, shift=0.5, seed=1)
    kid = KernelInceptionDistance(feature=as_they_are(8), subsets=1, subset_size=300)
    kid.update(real, real=True)
    kid.update(fake, real=False)
    assert kernel_distance(real, fake)[0] == pytest.approx(kid.compute()[0].item(), rel=1e-3)


def test_kernel_distance_is_that_of_the_definition():
    """(E k(x, x') + E k(y, y') − 2 E k(x, y)) by loops, x ≠ x'."""
    x, y = normal(7, 3).double(), normal(7, 3, 1.0, 1).double()

    def k(a, b):
        return float(a @ b / 3 + 1) ** 3

    pairs = [(i, j) for i in range(7) for j in range(7)]
    own = sum(k(x[i], x[j]) + k(y[i], y[j]) for i, j in pairs if i != j) / 42
    cross = sum(k(x[i], y[j]) for i, j in pairs) / 49
    assert kernel_distance(x.float(), y.float())[0] == pytest.approx(own - 2 * cross, rel=1e-5)


@pytest.mark.parametrize("n", [50, 400])
def test_kernel_distance_has_no_bias(n):
    """Of two samples of one distribution 0 in the mean, whatever their number."""
    values = torch.tensor([
        kernel_distance(normal(n, seed=2 * i), normal(n, seed=2 * i + 1))[0] for i in range(60)
    ])  # fmt: skip
    assert abs(values.mean()) < 3 * values.std() / 60**0.5
    assert (values < 0).any() and (values > 0).any()


def test_its_error_is_that_of_the_mean_of_blocks():
    real, fake = normal(4000), normal(4000, shift=0.3, seed=1)
    value, error = kernel_distance(real, fake, block=200)
    blocks = [kernel_distance(real[i : i + 200], fake[i : i + 200])[0] for i in range(0, 4000, 200)]
    assert value == pytest.approx(sum(blocks) / 20, rel=1e-6)
    assert error == pytest.approx(torch.tensor(blocks).std().item() / 20**0.5, rel=1e-4)
    assert math.isnan(kernel_distance(real[:50], fake[:80])[1])


# ---- Inception Score --------------------------------------------------------------------------


@QUIET
def test_inception_score_is_torchmetrics():
    logits = 3 * normal(500, 10)
    score = InceptionScore(feature=as_they_are(10), splits=1)
    score.update(logits)
    ours = inception_score(logits.softmax(1))
    assert ours == pytest.approx(score.compute()[0].item(), rel=1e-3)


def test_inception_score_at_its_ends():
    sure = torch.eye(5).repeat(4, 1)  # every class, each for sure; and one class alone
    assert inception_score(sure) == pytest.approx(5)
    assert inception_score(sure[:1].repeat(9, 1)) == pytest.approx(1)
    assert inception_score(torch.full((9, 5), 0.2)) == pytest.approx(1)
    with pytest.raises(ValueError, match="rows sum to 5 up to 5; expected 1"):
        inception_score(torch.ones(3, 5))


# ---- precision, recall, copies ----------------------------------------------------------------


def test_precision_and_recall_tell_a_loss_of_variety_from_a_loss_of_quality():
    real = normal(800)
    same, narrow, far = normal(800, seed=1), 0.3 * normal(800, seed=2), normal(800, shift=9, seed=3)
    both = precision_and_recall(real, same)
    assert min(both) > 0.6
    precision, recall = precision_and_recall(real, narrow)
    assert precision > 0.95 and recall < both[1] / 2
    assert precision_and_recall(real, far) == (0, 0)
    assert precision_and_recall(real, real) == (1, 1)


def test_a_low_quantile_sees_copies_that_a_median_does_not():
    known, held_out, fresh = normal(2000), normal(1000, seed=1), normal(1000, seed=2)
    copying = torch.cat([known[:490], fresh[490:]])  # 49 % copies
    to = {name: nearest(x, known) for name, x in (("real", held_out), ("copying", copying))}
    assert to["copying"][:490].max() < 1e-2 and to["copying"][490:].min() > 0.1
    middle, low = (to["copying"].quantile(q) / to["real"].quantile(q) for q in (0.5, 0.05))
    assert low < 0.05 and middle > 0.3


def test_too_few_features_are_named():
    for function, least in ((kernel_distance, 2), (precision_and_recall, 4)):
        with pytest.raises(ValueError, match=f"1 real and 9 fake pictures; expected {least} or"):
            function(normal(1), normal(9))


# ---- all of them from sums, a chunk at a time -------------------------------------------------


def apart(real, fake, known, chunk=CHUNK):
    """What the report card does with features: a chunk after the other, and then its rows."""
    sums = Apart()
    for r, f in zip(real.split(chunk), fake.split(chunk), strict=True):
        sums.add(r, f, nearest(r, known), nearest(f, known))
    return sums


def test_sums_have_the_moments_of_all_and_give_back_what_was_added():
    x, y = normal(30, 5), normal(50, 5, 2.0, 1)
    both = Sums.of(x) + Sums.of(y)
    for found, of in ((both, torch.cat([x, y])), (both - Sums.of(x), y)):
        for ours, expected in zip(found.moments(), moments(of), strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [100, 700, 2048, 132 * 256 + 40])
def test_chunks_give_what_all_at_once_does(n):
    """Of the last the sums are joined, an odd number of them; there are never more than GROUPS."""
    real, fake, known = normal(n, 4), 1.3 * normal(n, 4, 0.2, 1), normal(50, 4, seed=2)
    sums = apart(real, fake, known)
    sizes = [own.n for pair in sums.groups for own in pair]
    assert len(sizes) <= 2 * GROUPS and sum(sizes) == 2 * n
    rows = sums.rows()
    assert rows["Fréchet distance"][0] == pytest.approx(frechet_distance(real, fake), rel=1e-6)
    kid = kernel_distance(real, fake, block=256)
    assert rows["KID"] == pytest.approx(kid, rel=1e-6, nan_ok=True)
    covered = precision_and_recall(real[:CHUNK], fake[:CHUNK])
    assert (rows["precision"][0], rows["recall"][0]) == covered
    least = nearest(real, known).quantile(0.01)
    share = (nearest(fake, known) < least).float().mean().item()
    assert rows["copying"] == pytest.approx((share, (share * (1 - share) / n) ** 0.5))


@pytest.mark.parametrize("row", ["Fréchet distance", "precision", "recall"])
def test_a_stated_error_is_the_spread_of_fresh_draws(row):
    """512 pictures, 24 times: the binomial error of precision is a third too small here."""
    known, found = normal(10, 4), []
    for seed in range(24):
        sums = Apart(512 // GROUPS)
        real, fake = normal(512, 4, seed=2 * seed), 1.3 * normal(512, 4, 0.2, 2 * seed + 1)
        sums.add(real, fake, nearest(real, known), nearest(fake, known))
        assert len(sums.groups) == GROUPS
        found.append(sums.rows()[row])
    values, errors = torch.tensor(found).T
    assert 0.7 < errors.square().mean().sqrt() / values.std() < 2


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_copies_are_counted(share):
    """Beside them only what lies nearer than the nearest hundredth of real ones, by chance."""
    known, real, fake = normal(800), normal(500, seed=1), normal(500, seed=2)
    copies = round(500 * share)
    fake = torch.cat([known[:copies], fake[copies:]])
    found, _ = apart(real, fake, known).rows()["copying"]
    assert share <= found <= share + 0.03 * (1 - share)


@pytest.mark.parametrize("shift, n, d", [(0.0, 2048, 4), (0.5, 2048, 4), (0.0, 1100, 64)])
def test_the_jackknife_is_the_spread_over_independent_draws(shift, n, d):
    """Also where the last group is short: its bias is larger, and is no spread."""
    found = []
    for i in range(40):
        real, fake = normal(n, d, seed=2 * i), 1.2 * normal(n, d, shift, 2 * i + 1)
        found.append(apart(real, fake, real[:9]).rows()["Fréchet distance"])
    values, errors = torch.tensor(found).T
    assert 0.5 < errors.mean() / values.std() < 2
