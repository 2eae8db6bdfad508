"""Distances of features against torchmetrics and closed forms, and what each is blind to."""

import math

import pytest
import torch
from torch import nn
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from t2i_utils.metrics import inception_score, kernel_distance, nearest, precision_and_recall

# torchmetrics' words on memory, and on one split's spread
QUIET = pytest.mark.filterwarnings("ignore:Metric:UserWarning", "ignore:std:UserWarning")


def normal(n, d=8, shift=0.0, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift


def as_they_are(d):
    net = nn.Identity()
    net.num_features = d
    return net


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
