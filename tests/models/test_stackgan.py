"""StackGAN's networks: the sizes of paper and code, at every size; what the noise decides."""

import pytest
import torch
from torch import nn

from t2i_utils.checkpoints import CheckpointError
from t2i_utils.data.blooms import load_blooms
from t2i_utils.metrics import (
    attribute_accuracy,
    drawer,
    jointly_right,
    load_attribute_classifier,
    nyquist_power,
)
from t2i_utils.models import gan_cls
from t2i_utils.models.augmentation import (
    AugmentedGenerator,
    ConditioningAugmentation,
    reparameterise,
)
from t2i_utils.models.char_cnn_rnn import load_text_encoder
from t2i_utils.models.gan_cls import three_scores
from t2i_utils.models.stackgan import (
    Discriminator,
    StackGAN,
    Stage1Generator,
    Stage2Generator,
    load_stackgan,
    load_stage1,
    stage1_of_run,
)
from t2i_utils.objectives import generator_loss, kl_to_standard_normal, matching_aware_loss
from t2i_utils.training import Players, fit, frozen

SMALL = dict(embed_dim=6, c_dim=5, width=8)


def weights(network):
    return sum(p.numel() for p in network.parameters())


def convolutions(network):
    """(in, out, kernel) of each convolution and linear layer, in the order of their making."""
    return [
        (layer.in_channels, layer.out_channels, layer.kernel_size[0])
        if isinstance(layer, nn.Conv2d)
        else (layer.in_features, layer.out_features, 0)
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]


def test_stage_1_generator_of_the_code():
    """stageI/model.py with GF_DIM 128, EMBEDDING_DIM 128, Z_DIM 100, text 1024."""
    assert convolutions(Stage1Generator()) == [
        (1024, 256, 0),
        (228, 1024 * 16, 0),
        *[(1024, 256, 1), (256, 256, 3), (256, 1024, 3)],  # at 4 × 4
        (1024, 512, 3),
        *[(512, 128, 1), (128, 128, 3), (128, 512, 3)],  # at 8 × 8
        *[(512, 256, 3), (256, 128, 3), (128, 3, 3)],
    ]


def test_stage_1_discriminator_of_the_code():
    """stageI/model.py with DF_DIM 64: 512 channels at 4 × 4 (the option D1_dim)."""
    assert convolutions(Discriminator()) == [
        *[(3, 64, 4), (64, 128, 4), (128, 256, 4), (256, 512, 4)],
        *[(512, 128, 1), (128, 128, 3), (128, 512, 3)],
        (1024, 128, 0),
        *[(640, 512, 1), (512, 1, 4)],
    ]


def test_stage_2_generator_of_the_code():
    """stageII/model.py: 512 channels at 16 × 16 (the option G2_dim), four residual blocks."""
    assert convolutions(Stage2Generator()) == [
        (1024, 256, 0),
        *[(3, 128, 3), (128, 256, 4), (256, 512, 4)],
        (640, 512, 3),
        *[(512, 512, 3)] * 8,
        *[(512, 256, 3), (256, 128, 3), (128, 64, 3), (64, 32, 3), (32, 3, 3)],
    ]


def test_stage_2_discriminator_of_the_code():
    assert convolutions(Discriminator(image_size=256)) == [
        *[(3, 64, 4), (64, 128, 4), (128, 256, 4), (256, 512, 4)],
        *[(512, 1024, 4), (1024, 2048, 4), (2048, 1024, 1), (1024, 512, 1)],
        *[(512, 128, 1), (128, 128, 3), (128, 512, 3)],
        (1024, 128, 0),
        *[(640, 512, 1), (512, 1, 4)],
    ]


@pytest.mark.parametrize(
    "network, number",
    [
        (Stage1Generator, 14_247_811),
        (Discriminator, 4_029_889),
        (Stage2Generator, 26_290_211),
        (lambda: Discriminator(image_size=256), 48_603_585),
    ],
)
def test_number_of_weights(network, number):
    assert weights(network()) == number


@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_stage_1_at_every_size(size):
    G, D = Stage1Generator(z_dim=3, image_size=size, **SMALL), Discriminator(6, 5, 8, size)
    assert G.noise_dim == 3 + 5
    noise, embedding = torch.randn(2, G.noise_dim), torch.randn(2, 6)
    images = G(noise, embedding)
    assert images.shape == (2, 3, size, size) and images.abs().max() <= 1
    assert D(images, embedding).shape == (2,)
    scores = three_scores(D, images, images, embedding, embedding.flip(0))
    assert [s.shape for s in scores] == [(2,)] * 3


@pytest.mark.parametrize("sketch, size", [(16, 32), (32, 64), (32, 128), (64, 128), (64, 256)])
def test_stage_2_at_every_size(sketch, size):
    G = Stage2Generator(6, 5, 8, sketch, size, blocks=1)
    images = G(torch.rand(2, 3, sketch, sketch), torch.randn(2, G.noise_dim), torch.randn(2, 6))
    assert images.shape == (2, 3, size, size) and images.abs().max() <= 1


@pytest.mark.parametrize("sketch, size", [(64, 64), (16, 128), (64, 32)])
def test_stage_2_refuses_other_ratios(sketch, size):
    with pytest.raises(ValueError, match=f"image_size is {size} from sketches of {sketch}"):
        Stage2Generator(6, 5, 8, sketch, size)


def test_augmentation_has_both_signs_and_any_sigma():
    """No ReLU over μ and log σ², as the most-copied code has it; two different halves."""
    torch.manual_seed(0)
    mu, logvar = ConditioningAugmentation(6, 5)(torch.randn(64, 6))
    for part in (mu, logvar):
        assert part.shape == (64, 5) and part.min() < -0.1 and part.max() > 0.1
    assert not torch.allclose(mu, logvar)


def test_sigma_is_the_standard_deviation():
    mu, logvar = torch.tensor([[1.0, -2.0]]), torch.tensor([[4.0, 0.25]]).log()
    eps = torch.randn(200_000, 2, generator=torch.Generator().manual_seed(0))
    c_hat = reparameterise(mu.expand_as(eps), logvar.expand_as(eps), eps)
    torch.testing.assert_close(c_hat.mean(0), mu[0], atol=0.02, rtol=0)
    torch.testing.assert_close(c_hat.var(0), logvar.exp()[0], atol=0.03, rtol=0.01)


@pytest.mark.parametrize("kind", [AugmentedGenerator, Stage1Generator])
def test_noise_and_sentence_decide_the_picture(kind):
    torch.manual_seed(0)
    G = kind(z_dim=3, image_size=16, **SMALL).eval()
    noise, embedding = torch.randn(1, 8), torch.randn(1, 6)
    picture = G(noise, embedding)
    assert torch.equal(picture, G(noise, embedding)), "the same noise draws the same picture"
    for i in range(8):  # z and ε alike
        other = noise.clone()
        other[0, i] += 1
        assert not torch.allclose(picture, G(other, embedding))
    assert not torch.allclose(picture, G(noise, -embedding))


def test_gradients_reach_mu_and_sigma():
    torch.manual_seed(0)
    G = Stage1Generator(z_dim=3, image_size=16, **SMALL)
    G(torch.randn(4, 8), torch.randn(4, 6)).square().sum().backward()
    mu, logvar = G.augment.linear.weight.grad.chunk(2)
    assert mu.abs().max() > 0 and logvar.abs().max() > 0


def test_the_card_draws_by_the_seed():
    """`drawer` gives z and ε from its seed: the same pictures again, others for another."""
    torch.manual_seed(0)
    G = Stage1Generator(z_dim=3, image_size=16, **SMALL)
    draw = drawer(G, lambda sentences: torch.ones(len(sentences), 6))
    first, again, other = (draw(["a", "b"], seed) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.allclose(first, other)
    assert not torch.allclose(first[0], first[1]), "each sentence has noise of its own"


# ---- both stages: the first one stays as it is --------------------------------------------------


def both(kind=StackGAN):
    torch.manual_seed(0)
    first = Stage1Generator(z_dim=3, image_size=16, **SMALL)
    first.train()(torch.randn(8, 8), torch.randn(8, 6))  # its averages are not those of a new one
    return kind(first, Stage2Generator(6, 5, 8, 16, 32, blocks=1))


class LeftInTrainMode(StackGAN):
    """As published implementations have it: no gradients, and batch norm that goes on counting."""

    def train(self, mode=True):
        return super(StackGAN, self).train(mode)


class LeftToLearn(StackGAN):
    def __init__(self, *stages):
        super().__init__(*stages)
        self.stage1.requires_grad_(True)

    def sketch(self, noise, embedding):
        return self.stage1(noise[:, : self.split[0]], embedding)


def step(players, batch):
    G, D = players.G, players.D
    images, right, wrong = batch
    fake = G(torch.randn(len(right), G.noise_dim), right)
    players.update_D(matching_aware_loss(*three_scores(D, images, fake.detach(), right, wrong)))
    with frozen(D):
        kl = kl_to_standard_normal(*G.augment(right))
        players.update_G(generator_loss(D(fake, right)) + 0.1 * kl)
    return {"kl": kl}


def after_50_steps(G):
    """Bytes of every tensor of Stage-I before and after, and of the average's Stage-I."""

    def content(network):
        tensors = {name: t.detach().clone() for name, t in network.stage1.state_dict().items()}
        return {name: t.contiguous().numpy().tobytes() for name, t in tensors.items()}

    before, second = content(G), G.stage2.join[0].weight.detach().clone()
    D, by_seed = Discriminator(6, 5, 8, 32), torch.Generator().manual_seed(1)
    trained = [p for p in G.parameters() if p.requires_grad]
    opts = [torch.optim.Adam(weights, 1e-3, (0.5, 0.999)) for weights in (trained, D.parameters())]
    players = Players(G, D, *opts)
    batches = [(torch.rand(4, 3, 32, 32, generator=by_seed) * 2 - 1,
                *torch.randn(2, 4, 6, generator=by_seed)) for _ in range(50)]
    fit(players, batches, step, steps=50, progress=False)
    assert not torch.equal(second, G.stage2.join[0].weight), "Stage-II learns"
    return before, content(G), content(players.G_avg.module)


def moved(before, after):
    return {name for name in before if before[name] != after[name]}


def test_stage_1_is_byte_identical_after_50_steps():
    """Parameters and buffers, in G and in its average; fit puts G in training mode."""
    G = both()
    before, after, average = after_50_steps(G)
    assert len(before) > 20 and any("running_mean" in name for name in before)
    assert moved(before, after) == moved(before, average) == set()
    assert G.training and not any(layer.training for layer in G.stage1.modules())
    assert all(p.grad is None for p in G.stage1.parameters())


def test_train_mode_left_on_moves_the_statistics_of_stage_1():
    before, after, _ = after_50_steps(both(LeftInTrainMode))
    assert moved(before, after) == {name for name in before if "running" in name or "num" in name}


def test_gradients_left_on_move_the_weights_of_stage_1():
    before, after, _ = after_50_steps(both(LeftToLearn))
    assert any("weight" in name for name in moved(before, after))


def test_a_sketch_and_a_sentence_decide_all_but_the_cloud():
    """No z in Stage-II: other ε draw other pictures on the same sketch; the sentence counts."""
    G = both().eval()
    embedding, noise = torch.randn(1, 6), torch.randn(1, G.noise_dim)
    assert G.noise_dim == 3 + 5 + 5
    other = noise.clone()
    other[:, 8:] += 1
    assert torch.equal(G.sketch(noise, embedding), G.sketch(other, embedding))
    assert not torch.allclose(G(noise, embedding), G(other, embedding))
    sketch, eps = G.sketch(noise, embedding), noise[:, 8:]
    assert torch.equal(G(noise, embedding), G.stage2(sketch, eps, embedding))
    assert not torch.allclose(G(noise, embedding), G.stage2(sketch, eps, -embedding))
    unlike = 100 * torch.randn_like(sketch)  # an untrained Stage-II hardly hears a sketch
    assert not torch.allclose(G(noise, embedding), G.stage2(unlike, eps, embedding))


def test_no_gradient_reaches_stage_1():
    G = both()
    G(torch.randn(2, G.noise_dim), torch.randn(2, 6)).sum().backward()
    assert all(p.grad is None for p in G.stage1.parameters())
    assert all(p.grad is not None for p in G.stage2.parameters())


# ---- Stage-I of a run that was kept --------------------------------------------------------------


def kept_run(G, size, folder):
    """Two steps of a small run, kept in a folder."""
    D, by_seed = Discriminator(6, 5, 8, size), torch.Generator().manual_seed(1)
    opts = [torch.optim.Adam(p.parameters(), 1e-3) for p in (G, D)]
    pairs = torch.rand(4, 3, size, size, generator=by_seed), *torch.randn(2, 4, 6)

    def a_step(players, batch):
        images, right, wrong = batch
        noise = torch.randn(len(right), getattr(G, "noise_dim", 3))
        fake = players.G(noise, right)
        scores = three_scores(players.D, images, fake.detach(), right, wrong)
        players.update_D(matching_aware_loss(*scores))
        loss = generator_loss(players.D(fake, right))
        players.update_G(loss)
        return {"loss": loss}

    fit(Players(G, D, *opts), [pairs] * 2, a_step, steps=2, run_dir=folder, progress=False)


@pytest.mark.parametrize("size", [16, 64])
def test_stage_1_comes_out_of_its_run(size, tmp_path):
    """Its sizes are read off its tensors; it is frozen, in evaluation mode, and the average."""
    kept_run(Stage1Generator(3, image_size=size, **SMALL), size, tmp_path)
    G = stage1_of_run(tmp_path)
    assert G.split == (3, 5) and not G.training
    assert not any(p.requires_grad for p in G.parameters())
    assert G(torch.randn(2, 8), torch.randn(2, 6)).shape == (2, 3, size, size)


def test_another_generator_is_refused_by_name(tmp_path):
    kept_run(gan_cls.Generator(3, 6, 5, 8, 16), 16, tmp_path)
    with pytest.raises(CheckpointError, match="found a generator with compress.0.bias.*expected a "
                                              "Stage1Generator"):  # fmt: skip
        stage1_of_run(tmp_path)


# ---- the shipped pair ----------------------------------------------------------------------------


@torch.no_grad()
def test_the_shipped_pair_draws_what_it_is_told():
    """Of combinations that training never had: the sketch, and the picture made of it."""
    data = load_blooms(400, 8, seed=77)
    rows = data.splits["test"]
    phi = load_text_encoder().encode([data.captions[p][0] for p in rows.tolist()])
    named, both = data.named[rows, 0], load_stackgan()
    noise = torch.randn(len(rows), both.noise_dim, generator=torch.Generator().manual_seed(0))
    for side, images in ((64, both.sketch(noise, phi)), (128, both(noise, phi))):
        assert images.shape == (len(rows), 3, side, side)
        judge = load_attribute_classifier(side)
        found = attribute_accuracy(judge, images, named)
        for name in ("petal_colour", "centre_colour", "background", "size"):
            assert found[name] >= 0.9, (side, found)
        assert jointly_right(judge, images, named) >= 0.6 and nyquist_power(images) < 0.005
        shuffled = attribute_accuracy(judge, images.roll(1, 0), named)
        assert shuffled["petal_colour"] < 0.4 and shuffled["background"] < 0.5


def test_the_shipped_pair_is_still_and_frozen():
    both, first = load_stackgan(), load_stage1()
    assert not any(part.training for part in both.modules())
    assert not any(p.requires_grad for p in both.parameters())
    for name, tensor in first.state_dict().items():
        assert torch.equal(both.stage1.state_dict()[name], tensor), name


def test_a_pair_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match="no_such.safetensors"):
        load_stackgan(stage2="no_such.safetensors")
