"""GAN-CLS: both players read the sentence, at every size."""

from types import SimpleNamespace

import pytest
import torch

from t2i_utils import checkpoints
from t2i_utils.models.char_cnn_rnn import load_text_encoder
from t2i_utils.models.gan_cls import Discriminator, Generator, generator_of_run, load_generator

SMALL = dict(embed_dim=6, text_dim=5, width=4)


def players(size=16):
    torch.manual_seed(0)
    return Generator(z_dim=3, image_size=size, **SMALL), Discriminator(image_size=size, **SMALL)


@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_shapes(size):
    G, D = players(size)
    z, embedding = torch.randn(2, G.z_dim), torch.randn(2, 6)
    images = G(z, embedding)
    assert images.shape == (2, 3, size, size) and images.abs().max() <= 1
    features = D.trunk(images)
    assert features.shape == (2, 4 * size // 8, 4, 4)
    assert D.score(features, embedding).shape == D(images, embedding).shape == (2,)


def test_the_papers_sizes():
    G, D = Generator(), Discriminator()
    assert (G.z_dim, G.compress[0].in_features, G.compress[0].out_features) == (100, 1024, 128)
    assert G.trunk[0].in_channels == 100 + 128
    assert D.joint[0].in_channels == 512 + 128 and D.joint[0].kernel_size == (1, 1)


@pytest.mark.parametrize("training", [True, False])
def test_features_and_score_are_the_whole(training):
    """The trunk's features of an image serve the right and the wrong sentence alike."""
    _, D = players()
    D.train(training)
    images, right, wrong = torch.randn(4, 3, 16, 16), torch.randn(4, 6), torch.randn(4, 6)
    features = D.trunk(images)
    for embedding in (right, wrong):
        torch.testing.assert_close(D.score(features, embedding), D(images, embedding))
    assert (D(images, right) - D(images, wrong)).abs().min() > 0, "D reads the sentence"


def test_scores_are_logits():
    """No sigmoid: scores of both signs, and as large as the weights make them."""
    _, D = players()
    D.joint[-1].weight.data.mul_(1e4)
    scores = D(torch.randn(32, 3, 16, 16), torch.randn(32, 6))
    assert scores.min() < -1 and scores.max() > 1


def test_the_picture_depends_on_noise_and_sentence():
    G = players()[0].eval()
    z, embedding = torch.randn(1, 3), torch.randn(1, 6)
    picture = G(z, embedding)
    assert torch.equal(picture, G(z, embedding))
    assert not torch.allclose(picture, G(z + 1, embedding))
    assert not torch.allclose(picture, G(z, embedding + 1))


@pytest.mark.parametrize("size", [0, 4, 48, 65])
def test_a_size_that_cannot_be_reached_is_named(size):
    for model in (Generator, Discriminator):
        with pytest.raises(ValueError, match=f"image_size is {size}; expected 8, 16"):
            model(image_size=size, **SMALL)


def test_a_sample_does_not_depend_on_its_batch():
    G, _ = players()
    z, embedding = torch.randn(8, 3), torch.randn(8, 6)
    G.eval()
    torch.testing.assert_close(G(z[:1], embedding[:1])[0], G(z, embedding)[0])
    G.train()  # as it must with batch norm's own statistics
    assert (G(z[:1], embedding[:1])[0] - G(z, embedding)[0]).abs().max() > 1e-4


@pytest.mark.parametrize("name", ["gan_cls_blooms", "gan_cls_early_blooms"])
def test_the_shipped_generators_draw_what_is_red_redder_than_what_is_blue(name):
    G = load_generator(f"{name}.safetensors")
    assert not G.training and not any(p.requires_grad for p in G.parameters())
    sentences = ["a flower with red petals and a yellow centre",
                 "a flower with blue petals and a yellow centre"]  # fmt: skip
    phi = load_text_encoder().encode(sentences).repeat_interleave(16, 0)
    z = torch.randn(16, G.z_dim, generator=torch.Generator().manual_seed(0)).repeat(2, 1)
    images = G(z, phi)
    assert images.shape == (32, 3, 64, 64)
    red, blue = (own[:, 0] - own[:, 2] for own in images[..., 16:48, 16:48].split(16))
    assert red.mean() > blue.mean() + 0.3


def test_the_shipped_generators_are_two():
    late, early = (load_generator(*name) for name in ((), ("gan_cls_early_blooms.safetensors",)))
    named = load_generator("gan_cls_blooms.safetensors")
    for a, b, c in zip(late.parameters(), named.parameters(), early.parameters(), strict=True):
        assert torch.equal(a, b) and a.shape == c.shape and not torch.equal(a, c)


def test_a_missing_generator_is_named():
    with pytest.raises(FileNotFoundError, match=r"no_such\.safetensors"):
        load_generator("no_such.safetensors")


@pytest.mark.parametrize(
    "widths", [(3, 6, 5, 4, 16), (7, 4, 2, 3, 64)], ids=lambda widths: f"side {widths[-1]}"
)
def test_the_averaged_generator_of_a_run_has_its_widths(widths, tmp_path, monkeypatch):
    torch.manual_seed(0)
    G = Generator(*widths)
    averaged = torch.optim.swa_utils.AveragedModel(G, use_buffers=True)
    G(torch.randn(8, widths[0]), torch.randn(8, widths[1]))
    averaged.update_parameters(G)
    kept = SimpleNamespace(networks={"G_avg": averaged.state_dict()})
    monkeypatch.setattr(checkpoints, "read", {tmp_path / "checkpoint.safetensors": kept}.get)
    loaded = generator_of_run(str(tmp_path))
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    z, embedding = torch.randn(2, widths[0]), torch.randn(2, widths[1])
    images = loaded(z, embedding)
    assert images.shape[-1] == widths[-1] and loaded.z_dim == widths[0]
    assert torch.equal(images, averaged.module.eval()(z, embedding))
