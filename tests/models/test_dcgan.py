"""The trunks follow DCGAN's rules."""

from functools import partial

import pytest
import torch
from torch import nn

from t2i_utils.models.dcgan import (
    Discriminator,
    Generator,
    discriminator_trunk,
    doublings,
    generator_trunk,
    init_weights,
)

SIZES = [8, 16, 32, 64, 128, 256]


@pytest.mark.parametrize("size", SIZES)
def test_from_a_code_to_a_picture_to_features(size):
    G, D = generator_trunk(5, 2, size), discriminator_trunk(2, size)
    images = G(torch.randn(2, 5, 1, 1))
    assert images.shape == (2, 3, size, size)
    assert images.abs().max() <= 1
    assert D(images).shape == (2, 2 * size // 8, 4, 4)
    assert 4 * 2 ** doublings(size) == size


@pytest.mark.parametrize("size", [-8, 0, 4, 7, 9, 48, 65])
def test_a_size_that_cannot_be_reached_is_named(size):
    for make in (doublings, partial(generator_trunk, 5, 2), partial(discriminator_trunk, 2)):
        with pytest.raises(ValueError, match=f"image_size is {size}; expected 8, 16"):
            make(size)


def test_the_rules_of_dcgan():
    G, D = list(generator_trunk(5, 2, 64)), list(discriminator_trunk(2, 64))
    for trunk, convolution in ((G, nn.ConvTranspose2d), (D, nn.Conv2d)):
        assert not any("Pool" in type(m).__name__ or isinstance(m, nn.Linear) for m in trunk)
        for layer in trunk:
            if isinstance(layer, convolution) and layer is not G[0]:
                assert layer.stride == (2, 2) and layer.kernel_size == (4, 4)
            if isinstance(layer, nn.BatchNorm2d):  # BatchNorm2d(n, 0.8) would set eps
                assert layer.eps == 1e-5 and layer.momentum == 0.1
    kinds = [type(m) for m in G]
    assert kinds[-2:] == [nn.ConvTranspose2d, nn.Tanh], "no batch norm before G's picture"
    assert kinds[:-2] == [nn.ConvTranspose2d, nn.BatchNorm2d, nn.ReLU] * 4
    kinds = [type(m) for m in D]
    assert kinds[:2] == [nn.Conv2d, nn.LeakyReLU], "no batch norm behind D's picture"
    assert kinds[2:] == [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU] * 3
    assert {m.negative_slope for m in D if isinstance(m, nn.LeakyReLU)} == {0.2}
    widths = [m.out_channels for m in (*G, *D) if isinstance(m, nn.ConvTranspose2d | nn.Conv2d)]
    assert widths == [16, 8, 4, 2, 3, 2, 4, 8, 16]


def test_initial_weights():
    torch.manual_seed(0)
    for layer in (nn.Conv2d(64, 64, 4), nn.ConvTranspose2d(64, 64, 4)):
        layer.apply(init_weights)
        assert abs(layer.weight.std().item() - 0.02) < 1e-3
        assert abs(layer.weight.mean().item()) < 1e-3
    norm = nn.BatchNorm2d(10_000)
    nn.init.ones_(norm.bias)
    norm.apply(init_weights)
    assert abs(norm.weight.mean().item() - 1) < 1e-3 and abs(norm.weight.std() - 0.02) < 1e-3
    assert not norm.bias.any()
    linear = nn.Linear(4, 4)
    before = linear.weight.clone()
    assert torch.equal(linear.apply(init_weights).weight, before), "PyTorch's own"


@pytest.mark.parametrize("size", [8, 64])
def test_the_players_end_in_a_picture_and_a_logit(size):
    G, D = Generator(z_dim=7, width=2, image_size=size), Discriminator(width=2, image_size=size)
    images = G(torch.randn(3, 7))
    assert images.shape == (3, 3, size, size) and D(images).shape == (3,)
    kernel = D.score.weight
    assert abs(kernel.std().item() - 0.02) < 0.01, "DCGAN's initial weights, the score's too"
    with torch.no_grad():
        kernel.mul_(1e4)
    assert D(images).abs().max() > 1, "a logit, not a probability"
