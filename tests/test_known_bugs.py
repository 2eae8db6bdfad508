"""Silent bugs of published implementations: each check passes here, and fails on the bug.

Every test runs one check on the right version (None: it passes) and on versions with the mistake
put in (the words with which it fails). The checks take a step function, a loss, a batch or a
sampler, so they hold for any that a notebook writes.
"""

import warnings
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from t2i_utils import training
from t2i_utils.data.blooms import ATTRIBUTES, NAMES, load_blooms, parse
from t2i_utils.data.captioned import Batches, CaptionedImages
from t2i_utils.models.gan_cls import Discriminator, Generator
from t2i_utils.objectives import generator_loss, matching_aware_loss, real_fake_loss
from t2i_utils.training import Players, fit, frozen


def expect(failure):
    """A check passes where `failure` is None, and else fails with these words."""
    return nullcontext() if failure is None else pytest.raises(AssertionError, match=failure)


# ---- something small to train -----------------------------------------------------------------


def one_colour_each():
    """32 pictures of four classes, each class of one colour, each sentence the class's name."""
    colours = np.array([[220, 30, 30], [30, 220, 30], [30, 30, 220], [220, 220, 30]])
    classes = torch.arange(32) % 4
    noise = np.random.default_rng(0).integers(-20, 20, (32, 3, 8, 8))
    data = CaptionedImages(
        name="colours",
        images=(colours[classes.numpy()][:, :, None, None] + noise).astype(np.uint8),
        captions=[[f"class {c}"] for c in classes.tolist()],
        classes=classes,
        class_names=["red", "green", "blue", "yellow"],
        splits={"train": torch.arange(32), "test": torch.arange(0)},
        crop=8,
        flip=True,
    )
    return Batches(data, torch.eye(4)[classes][:, None], "train", 16, seed=0)


def make_players(lr_G=2e-3, lr_D=2e-3, kind=Players):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        G = Generator(z_dim=4, embed_dim=4, text_dim=4, width=8, image_size=8)
        D = Discriminator(embed_dim=4, text_dim=4, width=8, image_size=8)
    opt_G = torch.optim.Adam(G.parameters(), lr_G, betas=(0.5, 0.999))
    opt_D = torch.optim.Adam(D.parameters(), lr_D, betas=(0.5, 0.999))
    return kind(G, D, opt_G, opt_D, ema_decay=0.9)


def train(step, steps, players=None, **settings):
    players = players or make_players()
    fit(players, one_colour_each(), step, steps=steps, progress=False, device="cpu", **settings)
    return players


def a_step(loss_of_D=matching_aware_loss, loss_of_G=generator_loss, detach=True):
    """GAN-CLS's step, with room for one mistake."""

    def step(players, batch):
        G, D = players.G, players.D
        z = torch.randn(len(batch.images), G.z_dim, device=batch.images.device)
        fake = G(z, batch.embedding)
        features = D.trunk(batch.images)
        s_r = D.score(features, batch.embedding)
        s_w = D.score(features, batch.wrong_embedding)
        s_f = D(fake.detach() if detach else fake, batch.embedding)
        loss_D = loss_of_D(s_r, s_w, s_f)
        players.update_D(loss_D)
        if not detach:  # the graph is used up
            fake = G(z, batch.embedding)
        with frozen(D):
            loss_G = loss_of_G(D(fake, batch.embedding))
            players.update_G(loss_G)
        return {"loss_D": loss_D, "loss_G": loss_G}

    return step


def no_wrong_pair(s_r, s_w, s_f):
    return real_fake_loss(s_r, s_f)


def one_each(s_r, s_w, s_f):
    return softplus(-s_r).mean() + softplus(s_w).mean() + softplus(s_f).mean()


def wgan_one_each(s_r, s_w, s_f):
    return -s_r.mean() + s_w.mean() + s_f.mean()


def only_fakes_halved(s_r, s_w, s_f):
    return softplus(-s_r).mean() + softplus(s_w).mean() + 0.5 * softplus(s_f).mean()


def wrong_taken_for_right(s_r, s_w, s_f):
    return matching_aware_loss(s_r, -s_w, s_f)


def fake_labels(s_f):
    """G trained with the labels of D's step: 0 for a fake."""
    return softplus(s_f).mean()


# ---- wrong pairs ------------------------------------------------------------------------------


def check_wrong_pairs_are_wrong(data, batches, steps=8):
    """What D gets as the wrong embedding is of a sentence of another class, and untrue.

    Embeddings of `numbered` tell their sentence, so nothing but the embedding is believed.
    """
    for step in range(steps):
        batch = batches[step]
        for picture, (owner, number) in zip(batch.pictures.tolist(),
                                            batch.wrong_embedding.long().tolist(),
                                            strict=True):  # fmt: skip
            assert owner != picture, f"a sentence of picture {picture} itself"
            assert data.classes[owner].item() != data.classes[picture].item(), "shares its class"
            has = zip(NAMES, data.attributes[picture].tolist(), strict=True)
            has = {(name, ATTRIBUTES[name][value]) for name, value in has}
            sentence = data.captions[owner][number]
            assert not set(parse(sentence).items()) <= has, f"{sentence!r} is true of it"


def numbered(data):
    """Embeddings [N, k, 2] that are (picture, number of the sentence)."""
    n, k = len(data.images), data.sentences_each
    return torch.cartesian_prod(torch.arange(n), torch.arange(k)).view(n, k, 2).float()


class NoWrongPair(Batches):
    def __getitem__(self, step):
        batch = super().__getitem__(step)
        return replace(batch, wrong_embedding=batch.embedding)


class Neighbour(Batches):
    """The next row's sentence, without a look at its class."""

    def __getitem__(self, step):
        batch = super().__getitem__(step)
        return replace(batch, wrong_embedding=batch.embedding.roll(1, 0))


class AnotherObject(Batches):
    """Compares classes with `is not`: each `classes[i]` is a new tensor, so all are "different"."""

    def __getitem__(self, step):
        batch = super().__getitem__(step)
        classes, generator = self.data.classes, torch.Generator().manual_seed(step)
        owners = batch.pictures.clone()
        for row, picture in enumerate(batch.pictures.tolist()):
            while True:
                drawn = torch.randint(len(classes), (), generator=generator)
                if classes[drawn] is not classes[picture]:
                    break
            owners[row] = drawn
        return replace(batch, wrong_embedding=self.embeddings[owners, 0])


class AnotherClass(Batches):
    """Compares classes by value, and not what the sentence says: "a red flower" is often true."""

    def __getitem__(self, step):
        batch = super().__getitem__(step)
        classes, owners = self.data.classes, batch.pictures.clone()
        generator = torch.Generator().manual_seed(step)
        for row, picture in enumerate(batch.pictures.tolist()):
            others = (classes != classes[picture]).nonzero().flatten()
            owners[row] = others[torch.randint(len(others), (), generator=generator)]
        return replace(batch, wrong_embedding=self.embeddings[owners, 0])


@pytest.mark.parametrize(("kind", "failure"), [
    (Batches, None),
    (NoWrongPair, "itself"),
    (Neighbour, "shares its class|is true of it"),
    (AnotherObject, "itself|shares its class|is true of it"),
    (AnotherClass, "is true of it"),
])  # fmt: skip
def test_wrong_pairs(kind, failure):
    data = load_blooms(120, 8)
    with expect(failure):
        check_wrong_pairs_are_wrong(data, kind(data, numbered(data), "train", 48, seed=0))


def check_d_learns_to_read(step):
    """Against fakes that are known without reading (a G that stands still draws grey), D learns to
    tell the right sentence from a wrong one all the same: over four seeds by 3.3 to 4.3; without
    wrong pairs by 0.6 at most."""
    players = train(step, 60, make_players(lr_G=0.0))
    batch, D = one_colour_each()[1000], players.D.eval()
    with torch.no_grad():
        s_r, s_w = D(batch.images, batch.embedding), D(batch.images, batch.wrong_embedding)
    gap = (s_r - s_w).mean().item()
    assert gap > 2, f"the text is ignored: s_r is {gap:.2f} above s_w"


@pytest.mark.parametrize(("step", "failure"), [
    (a_step(), None),
    (a_step(loss_of_D=no_wrong_pair), "the text is ignored"),
    (a_step(loss_of_D=wrong_taken_for_right), "the text is ignored"),
])  # fmt: skip
def test_a_step_without_wrong_pairs_ignores_the_text(step, failure):
    with expect(failure):
        check_d_learns_to_read(step)


# ---- the direction of the labels --------------------------------------------------------------


def check_g_learns_to_fool(step):
    """Against a D that stands still, G's steps raise the score of its fakes."""
    players, batch = make_players(lr_D=0.0), one_colour_each()[1000]
    z = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))

    def score():
        with torch.no_grad():
            return players.D(players.G(z, batch.embedding), batch.embedding).mean().item()

    before = score()
    train(step, 12, players)
    assert score() > before, f"s_f went from {before:.3f} to {score():.3f}: G learns to be detected"


@pytest.mark.parametrize(("step", "failure"), [
    (a_step(), None),
    (a_step(loss_of_G=fake_labels), "learns to be detected"),
])  # fmt: skip
def test_label_direction(step, failure):
    with expect(failure):
        check_g_learns_to_fool(step)


# ---- detach -----------------------------------------------------------------------------------


class Watched(Players):
    """Players that note which of G's weights have a gradient right after D's update."""

    leaked = None

    def update_D(self, loss):  # noqa: N802
        super().update_D(loss)
        self.leaked = [name for name, p in self.G.named_parameters() if p.grad is not None]


def check_d_step_sends_nothing_into_g(step):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        players = train(step, 1, make_players(kind=Watched))
    assert players.leaked == [], f"D's loss sent gradients into {players.leaked[:2]}"
    assert not [w for w in caught if "detach" in str(w.message)]


@pytest.mark.parametrize(("step", "failure"), [
    (a_step(), None),
    (a_step(detach=False), r"gradients into \['compress.0.weight'"),
])  # fmt: skip
def test_detach(step, failure):
    with expect(failure):
        check_d_step_sends_nothing_into_g(step)


def test_a_forgotten_detach_is_named():
    """The package says so itself, too."""
    with pytest.warns(UserWarning, match=r"fake\.detach\(\)"):
        train(a_step(detach=False), 1)


# ---- the balance of the loss ------------------------------------------------------------------


def check_loss_is_balanced(loss):
    """At 0 the real pair pulls as hard as the two kinds of negative together: −½, ¼, ¼."""
    at_zero = [torch.zeros(6, requires_grad=True) for _ in range(3)]
    gradients = torch.autograd.grad(loss(*at_zero), at_zero, allow_unused=True)
    pulls = [0.0 if g is None else round(g.sum().item(), 6) for g in gradients]
    assert pulls == [-0.5, 0.25, 0.25], f"unbalanced: {pulls}"


@pytest.mark.parametrize(("loss", "failure"), [
    (matching_aware_loss, None),
    (one_each, "unbalanced: .-0.5, 0.5, 0.5"),
    (wgan_one_each, "unbalanced: .-1.0, 1.0, 1.0"),
    (only_fakes_halved, "unbalanced: .-0.5, 0.5, 0.25"),
    (no_wrong_pair, "unbalanced: .-0.5, 0.0, 0.5"),
    (wrong_taken_for_right, "unbalanced: .-0.5, -0.25, 0.25"),
])  # fmt: skip
def test_loss_balance(loss, failure):
    with expect(failure):
        check_loss_is_balanced(loss)


def check_step_is_balanced(step):
    """A D that scores everything 0 has the loss log 2 + ½ (log 2 + log 2)."""
    players = make_players(lr_D=0.0)
    for p in players.D.joint[-1].parameters():
        torch.nn.init.zeros_(p)
    found = step(players, one_colour_each()[0])["loss_D"].item()
    assert found == pytest.approx(2 * np.log(2), abs=1e-6), f"loss_D is {found:.3f}, unbalanced"


@pytest.mark.parametrize(("step", "failure"), [
    (a_step(), None),
    (a_step(loss_of_D=one_each), "2.079, unbalanced"),
    (a_step(loss_of_D=wgan_one_each), "0.000, unbalanced"),
])  # fmt: skip
def test_the_step_is_balanced(step, failure):
    with expect(failure):
        check_step_is_balanced(step)


# ---- averaged weights -------------------------------------------------------------------------


def sample(players):
    """A snapshot as it should be: of the average, which is in eval mode already."""
    return players.G_avg(torch.ones(2, 4), torch.eye(4)[:2])


def sample_through_g(players):
    """Loads the averaged weights into G to sample, and leaves them there."""
    players.G.load_state_dict(players.G_avg.module.state_dict())
    return players.G.eval()(torch.ones(2, 4), torch.eye(4)[:2])


def save_through_g(path, players, *rest, save=training.checkpoints.save):
    """Loads the averaged weights into G to save them, and leaves them there."""
    players.G.load_state_dict(players.G_avg.module.state_dict())
    save(path, players, *rest)


def check_saving_and_sampling_change_nothing(folder, snapshot):
    """A run that saves and samples at every other step ends at the same weights as one that never
    does; and its last checkpoint holds both, G's own and their average."""
    quiet = train(a_step(), 6)
    busy = train(a_step(), 6, run_dir=folder, checkpoint_every=2, snapshot=snapshot)
    loaded = make_players()
    training.checkpoints.load(folder / training.CHECKPOINT, loaded)
    for part in ("G", "D", "G_avg"):
        expected = getattr(quiet, part).state_dict()
        for players in (busy, loaded):
            for name, value in getattr(players, part).state_dict().items():
                assert torch.equal(value, expected[name]), f"{part}'s {name} is another run's"
    own, averaged = quiet.G.trunk[0].weight, quiet.G_avg.module.trunk[0].weight
    assert not torch.equal(own, averaged), "nothing was averaged: this check would see nothing"


@pytest.mark.parametrize(("save", "snapshot", "failure"), [
    (None, None, None),
    (None, sample, None),
    (save_through_g, None, "G's .* is another run's"),
    (None, sample_through_g, "G's .* is another run's"),
])  # fmt: skip
def test_averaged_weights_stay_beside(tmp_path, monkeypatch, save, snapshot, failure):
    if save is not None:
        monkeypatch.setattr(training.checkpoints, "save", save)
    with expect(failure):
        check_saving_and_sampling_change_nothing(tmp_path, snapshot)


# ---- eval mode at sampling --------------------------------------------------------------------


def check_samples_do_not_depend_on_their_batch(sampler):
    """One sentence alone gives the picture that it gives among others; nothing drifts by it."""
    players = train(a_step(), 5)
    z, embedding = torch.randn(8, 4, generator=torch.Generator().manual_seed(1)), torch.eye(4)
    embedding = embedding.repeat(2, 1)
    before = {name: value.clone() for name, value in players.G.state_dict().items()}
    with torch.no_grad():
        among, alone = sampler(players, z, embedding)[:1], sampler(players, z[:1], embedding[:1])
    apart = (among - alone).abs().max().item()
    assert apart < 1e-5, f"a sample depends on its batch: {apart:.3f} apart"
    for name, value in players.G.state_dict().items():
        assert torch.equal(value, before[name]), f"sampling changed G's {name}"


def from_the_average(players, z, embedding):
    return players.G_avg(z, embedding)


def from_g_in_eval(players, z, embedding):
    return players.G.eval()(z, embedding)


def without_eval(players, z, embedding):
    return players.G(z, embedding)


def average_in_train(players, z, embedding):
    return players.G_avg.train()(z, embedding)


@pytest.mark.parametrize(("sampler", "failure"), [
    (from_the_average, None),
    (from_g_in_eval, None),
    (without_eval, "depends on its batch"),
    (average_in_train, "depends on its batch"),
])  # fmt: skip
def test_eval_mode_at_sampling(sampler, failure):
    with expect(failure):
        check_samples_do_not_depend_on_their_batch(sampler)
