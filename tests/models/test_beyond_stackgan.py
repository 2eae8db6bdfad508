"""Conditional norms in G, a projection in D, no normalisation there: each pair for itself."""

import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from t2i_utils.checkpoints import CheckpointError, save_weights
from t2i_utils.data.blooms import load_blooms
from t2i_utils.metrics import (
    attribute_accuracy,
    jointly_right,
    load_attribute_classifier,
    nyquist_power,
)
from t2i_utils.models import beyond_stackgan
from t2i_utils.models.beyond_stackgan import (
    ConditionalBatchNorm,
    Discriminator,
    Generator,
    UpBlock,
    double,
    load_generator,
)
from t2i_utils.models.char_cnn_rnn import load_text_encoder
from t2i_utils.objectives import (
    contrastive_loss,
    gradient_penalty,
    joint_embedding_loss,
    relativistic_generator_loss,
    relativistic_loss,
)

SMALL = dict(z_dim=3, embed_dim=6, text_dim=5, width=4)


def players(size=16):
    torch.manual_seed(0)
    return Generator(**SMALL, image_size=size), Discriminator(6, 7, 4, size)


def some_pairs(n=8, size=16):
    generator = torch.Generator().manual_seed(1)
    shapes = (n, 3, size, size), (n, 6)
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


def not_yet_plain(G):
    """Gives the conditional norms something to say, as training would."""
    generator = torch.Generator().manual_seed(2)
    for module in G.modules():
        if isinstance(module, ConditionalBatchNorm):
            nn.init.normal_(module.heads.weight, std=0.2, generator=generator)
    return G


@pytest.mark.parametrize("size", [16, 32, 64])
def test_shapes(size):
    G, D = players(size)
    z, embedding = torch.randn(2, G.z_dim), torch.randn(2, 6)
    images = G(z, embedding)
    assert images.shape == (2, 3, size, size) and images.abs().max() <= 1
    features = D.trunk(images)
    assert features.shape == (2, 7)
    assert D.score(features, embedding).shape == D(images, embedding).shape == (2,)
    assert [side.shape for side in D.both_sides(features, embedding)] == [(2, 7), (2, 7)]


def test_the_usual_sizes():
    G, D = Generator(), Discriminator()
    assert (G.z_dim, G.compress[0].in_features, G.start.in_features) == (100, 256, 100 + 128)
    widths = [block.conv1.in_channels for block in G.blocks]
    assert widths == [256, 256, 128, 64] and G.to_picture.in_channels == 32
    assert G.start.out_features == 256 * 4 * 4
    assert [m.out_channels for m in D.trunk if isinstance(m, nn.Conv2d)] == [32, 64, 128, 256]
    assert (D.V.in_features, D.V.out_features) == (256, 256)


@pytest.mark.parametrize("size", [0, 4, 48, 65])
def test_a_size_that_cannot_be_reached_is_named(size):
    for model in (Generator, Discriminator):
        with pytest.raises(ValueError, match=f"image_size is {size}; expected 8, 16"):
            model(image_size=size)


# ---- the generator ----------------------------------------------------------------------------


def test_the_picture_depends_on_noise_and_sentence():
    G = players()[0].eval()
    z, embedding = torch.randn(1, 3), torch.randn(1, 6)
    picture = G(z, embedding)
    assert torch.equal(picture, G(z, embedding))
    assert (picture - G(z + 1, embedding)).abs().max() > 0.01
    assert (picture - G(z, embedding + 1)).abs().max() > 0.01


def test_every_norm_hears_noise_and_sentence():
    """Not the start alone: with the first 4 × 4 map silenced, both still change the picture."""
    G = not_yet_plain(players()[0]).eval()
    z, embedding = torch.randn(1, 3), torch.randn(1, 6)
    nn.init.zeros_(G.start.weight)
    nn.init.normal_(G.start.bias)
    for norm in (m for m in G.modules() if isinstance(m, ConditionalBatchNorm)):
        kept = norm.heads.weight.data.clone()
        for other in (m for m in G.modules() if isinstance(m, ConditionalBatchNorm)):
            other.heads.weight.data.mul_(other is norm)
        assert (G(z, embedding) - G(z + 1, embedding)).abs().max() > 1e-4
        assert (G(z, embedding) - G(z, embedding + 1)).abs().max() > 1e-4
        not_yet_plain(G)
        assert torch.equal(norm.heads.weight, kept)


def test_a_conditional_norm_starts_as_a_plain_one():
    G, _ = players()
    norms = [m for m in G.modules() if isinstance(m, ConditionalBatchNorm)]
    assert len(norms) == 2 * len(G.blocks) + 1
    x = 3 * torch.randn(6, 8, 5, 5) + 2
    for norm in norms:
        code = torch.randn(6, 8)
        maps = x.repeat(1, 4, 1, 1)[:, : norm.norm.num_features]
        plain = nn.BatchNorm2d(maps.shape[1])
        torch.testing.assert_close(norm(maps, code), plain(maps))
        assert torch.equal(norm.norm.running_mean, plain.running_mean)
        assert not list(norm.norm.parameters()), "scale and shift are the code's alone"


def test_scale_and_shift_are_read_from_the_code():
    """1 + γ, so that γ = 0 keeps the signal; γ first, then β; each picture has its own."""
    norm = ConditionalBatchNorm(2, 1)
    norm.heads.weight.data.copy_(torch.tensor([[1.0], [2.0], [10.0], [20.0]]))
    norm.heads.bias.data.zero_()
    x, code = torch.randn(4, 2, 3, 3), torch.tensor([[0.0], [1.0], [-1.0], [2.0]])
    plain = F.batch_norm(x, None, None, training=True)
    gamma, beta = (code * torch.tensor(pair) for pair in ([1.0, 2.0], [10.0, 20.0]))
    expected = (1 + gamma)[:, :, None, None] * plain + beta[:, :, None, None]
    torch.testing.assert_close(norm(x, code), expected)


def test_the_first_weights_are_orthogonal():
    G, D = players()
    for layer in (m for net in players() for m in net.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.weight.abs().sum() > 0:
            rows = layer.weight.flatten(1)
            rows = rows if len(rows) <= rows.shape[1] else rows.T
            torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)), atol=1e-4, rtol=0)
            assert layer.bias is None or layer.bias.abs().max() == 0
    assert G.start.weight.abs().sum() > 0 and D.V.weight.abs().sum() > 0


def test_a_block_doubles_the_side_and_the_skip_may_come_before_or_after():
    torch.manual_seed(0)
    block, x, code = UpBlock(6, 4, 5), torch.randn(3, 6, 4, 4), torch.randn(3, 5)
    nn.init.normal_(block.skip.bias)
    assert block(x, code).shape == (3, 4, 8, 8)
    torch.testing.assert_close(double(block.skip(x)), block.skip(double(x)))
    for weight in (block.conv2.weight, block.conv2.bias):
        nn.init.zeros_(weight)
    torch.testing.assert_close(block(x, code), double(block.skip(x)))  # nothing else is added


def test_up_sampling_leaves_no_lattice():
    """Between four neighbours bilinear: constants stay, and the highest frequency gets nothing."""
    torch.testing.assert_close(double(torch.full((1, 1, 4, 4), 2.5)), torch.full((1, 1, 8, 8), 2.5))
    row = double(torch.tensor([0.0, 4.0]).expand(1, 1, 2, 2))[0, 0, 0]
    assert row.tolist() == [0, 1, 3, 4]


def test_the_gradient_reaches_every_parameter_of_the_generator():
    """In training, too, but for biases that the next norm takes off again with the mean."""
    for training in (False, True):
        G = not_yet_plain(players()[0]).double().train(training)
        embedding = some_pairs()[1].double()
        weights = torch.randn(8, 3, 16, 16, dtype=torch.float64)
        pictures = G(torch.randn(8, 3, dtype=torch.float64), embedding)
        (pictures * weights).sum().backward()
        for name, parameter in G.named_parameters():
            taken_off = training and name.endswith(("conv2.bias", "skip.bias"))
            assert taken_off or parameter.grad.abs().max() > 1e-3, name


def test_a_sample_does_not_depend_on_its_batch():
    G, _ = players()
    z, embedding = torch.randn(8, 3), torch.randn(8, 6)
    G(z, embedding)
    G.eval()
    alone = G(z[:1], embedding[:1])[0]
    torch.testing.assert_close(alone, G(z, embedding)[0], atol=1e-5, rtol=1e-4)


# ---- the discriminator ------------------------------------------------------------------------


def test_a_score_depends_on_its_own_pair_alone():
    """In training mode: batch statistics would tell of the others and spoil pairs and penalties."""
    _, D = players()
    images, embedding = some_pairs()
    assert D.training and not any("Norm" in type(m).__name__ for m in D.modules())
    scores = D(images, embedding)
    other_images, other_embedding = images.clone(), embedding.clone()
    other_images[1:], other_embedding[1:] = torch.randn(7, 3, 16, 16) * 9, torch.randn(7, 6) * 9
    other = D(other_images, other_embedding)
    torch.testing.assert_close(other[0], scores[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(D(images[:1], embedding[:1])[0], scores[0], atol=1e-5, rtol=1e-5)
    assert (other[1:] - scores[1:]).abs().min() > 1e-3
    images.requires_grad_()
    (slope,) = torch.autograd.grad(D(images, embedding)[2], images)
    assert (slope.abs().sum((1, 2, 3)) > 0).tolist() == [i == 2 for i in range(8)]


def test_the_score_is_the_projection():
    """ψ(f) + fᵀV φ(t), the product over the root of the number of features."""
    _, D = players()
    nn.init.normal_(D.psi.bias), nn.init.normal_(D.V.bias)
    images, embedding = some_pairs()
    features = D.trunk(images)
    for n, score in enumerate(D.score(features, embedding)):
        f, y = features[n], D.V.weight @ embedding[n] + D.V.bias
        expected = D.psi.weight[0] @ f + D.psi.bias[0] + f @ y / 7**0.5
        torch.testing.assert_close(score, expected)
    torch.testing.assert_close(D.score(features, embedding), D(images, embedding))


def test_a_look_at_a_picture_serves_any_sentence():
    _, D = players()
    images, right = some_pairs()
    wrong = right.roll(1, 0)
    features = D.trunk(images)
    torch.testing.assert_close(D.score(features, wrong), D(images, wrong))
    assert (D(images, right) - D(images, wrong)).abs().min() > 1e-4, "D reads the sentence"


def test_the_two_sides_meet_in_one_space():
    """The picture's side of the picture alone, the sentence's of the sentence alone."""
    _, D = players()
    images, embedding = some_pairs()
    features = D.trunk(images)
    of_picture, of_sentence = D.both_sides(features, embedding)
    torch.testing.assert_close(of_picture, D.look(features))
    torch.testing.assert_close(of_sentence, D.V(embedding))


def test_scores_are_logits():
    _, D = players()
    D.psi.weight.data.mul_(1e4)
    scores = D(*some_pairs(32))
    assert scores.min() < -1 and scores.max() > 1


# ---- both, and the losses ---------------------------------------------------------------------


def losses(G, D, device, size=16):
    """Every term by which the two are trained, as in the recipe of the shipped generator."""
    real = torch.randn(8, 3, size, size, device=device).requires_grad_()
    z, embedding, wrong = (torch.randn(8, n, device=device) for n in (3, 6, 6))
    rivals = torch.ones(8, 8, dtype=torch.bool, device=device).triu(1)
    fake, features = G(z, embedding), D.trunk(real)
    s_r, s_w = D.score(features, embedding), D.score(features, wrong)
    s_f = D(fake, embedding)
    sides = D.both_sides(features, embedding)
    return {
        "of D": relativistic_loss(s_r, s_w, s_f),
        "of G": relativistic_generator_loss(s_r, s_f),
        "softmax": contrastive_loss(*sides, rivals, 0.1),
        "hinge": joint_embedding_loss(*sides, rivals),
        "penalty": gradient_penalty(s_r, real),
    }


def test_nothing_waits_for_the_device():
    """On "meta" there are shapes and no numbers: whatever asked for one would raise."""
    G, D = (net.to("meta") for net in players())
    terms = losses(G, D, "meta")
    for name, term in terms.items():
        assert term.is_meta and term.shape == () and term.requires_grad, name
    sum(terms.values()).backward()
    for net in (G, D):
        assert all(p.grad is not None and p.grad.is_meta for p in net.parameters())


def test_the_losses_reach_every_parameter_of_the_discriminator():
    """But for ψ's bias, which is in every score and in no difference of two."""
    G, D = players()
    sum(losses(G, D, "cpu").values()).backward()
    for name, parameter in D.named_parameters():
        assert name == "psi.bias" or parameter.grad.abs().max() > 1e-4, name
    assert torch.autograd.grad(losses(G, D, "cpu")["penalty"], D.psi.weight)[0].abs().max() > 1e-4


# ---- weights in a file ------------------------------------------------------------------------


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A folder that stands for data/pretrained/."""
    monkeypatch.setattr(beyond_stackgan, "pretrained", lambda name: tmp_path / name)
    return tmp_path / "some.safetensors"


def test_a_generator_comes_back_from_its_file(shipped):
    G = not_yet_plain(players()[0])
    G(torch.randn(8, 3), torch.randn(8, 6))  # batch norm has statistics to keep
    save_weights(shipped, G, {"widths": json.dumps(SMALL | {"image_size": 16})})
    loaded = load_generator("some.safetensors")
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    z, embedding = torch.randn(2, 3), torch.randn(2, 6)
    assert torch.equal(loaded(z, embedding), G.eval()(z, embedding))


def test_weights_of_another_model_are_named(shipped):
    G, _ = players()
    save_weights(shipped, G, {"widths": json.dumps(SMALL | {"image_size": 16, "text_dim": 4})})
    with pytest.raises(CheckpointError, match=r"compress\.0\.weight: found \[5, 6\].*\[4, 6\]"):
        load_generator("some.safetensors")


def test_missing_weights_are_named():
    with pytest.raises(FileNotFoundError, match="no_such_generator.safetensors"):
        load_generator("no_such_generator.safetensors")


@torch.no_grad()
def test_the_shipped_generator_draws_what_it_is_told():
    """Of combinations that training never had, and without a lattice."""
    data = load_blooms(400, 8, seed=77)
    rows = data.splits["test"]
    phi = load_text_encoder().encode([data.captions[p][0] for p in rows.tolist()])
    G = load_generator()
    z = torch.randn(len(rows), G.z_dim, generator=torch.Generator().manual_seed(0))
    images, named, judge = G(z, phi), data.named[rows, 0], load_attribute_classifier()
    found = attribute_accuracy(judge, images, named)
    for name in ("petal_colour", "petal_shape", "centre_colour", "background", "size"):
        assert found[name] >= 0.9, found
    assert jointly_right(judge, images, named) >= 0.8 and nyquist_power(images) < 0.005
    # The judge sees what is there: the next sentence's picture obeys by chance alone.
    shuffled = attribute_accuracy(judge, images.roll(1, 0), named)
    assert shuffled["petal_colour"] < 0.4 and shuffled["background"] < 0.5
