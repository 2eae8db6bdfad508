"""The text encoder: no character is lost in silence, and a sentence's φ(t) is its own.

And its picture's side: θ(v) of any size, and compatibilities that a change of spread keeps.
"""

import sys
import warnings
from types import SimpleNamespace

import make_pretrained
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from t2i_utils.checkpoints import CheckpointError, read_card, save_weights
from t2i_utils.data.blooms import draw_attributes, draw_style, load_blooms, render, write_sentences
from t2i_utils.data.captioned import to_unit
from t2i_utils.data.grammar import training_words
from t2i_utils.models.char_cnn_rnn import (
    ALPHABET,
    LENGTH,
    NOTHING,
    CharCNNRNN,
    PictureEncoder,
    load_picture_encoder,
    load_text_encoder,
    one_hot,
    save_picture_encoder,
    save_text_encoder,
    spread_out,
    theta_file,
    to_characters,
    warn_of_new_words,
)


def small_encoder():
    torch.manual_seed(0)
    return CharCNNRNN(embed_dim=6, channels=(8, 9, 10), rnn=7)


@pytest.fixture(autouse=True)
def no_warning_goes_unnoticed():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# ---- characters -------------------------------------------------------------------------------


def test_each_character_is_one_hot_and_the_later_hyphen_wins():
    assert len(ALPHABET) == 70 and len(set(ALPHABET)) == 69
    columns = one_hot(to_characters([ALPHABET]))[0]  # [70, 201]
    assert columns.shape == (70, LENGTH)
    for place, character in enumerate(ALPHABET):
        assert columns[:, place].nonzero().flatten().tolist() == [ALPHABET.rindex(character)]
    assert columns[ALPHABET.index("-")].sum() == 0 < columns[ALPHABET.rindex("-")].sum()
    assert columns[:, 70:].abs().sum() == 0, "past the end there is nothing"


def test_capitals_are_read():
    assert torch.equal(to_characters(["A Red FLOWER"]), to_characters(["a red flower"]))


def test_dropped_characters_are_named():
    with pytest.warns(UserWarning, match=r"dropped .*\['é', 'ö'\]"):
        places = to_characters(["a röd flower", "réd"])
    assert torch.equal(places, to_characters(["a rd flower", "rd"]))


def test_what_is_too_long_is_cut_with_a_warning():
    text = "a flower with red petals " * 9
    assert len(text) > LENGTH
    with pytest.warns(UserWarning, match=r"cut to 201 characters: 2 sentence\(s\), first 'a"):
        places = to_characters([text, "a flower", text])
    assert torch.equal(places, to_characters([text[:LENGTH], "a flower", text[:LENGTH]]))
    assert (places[0] != NOTHING).all() and places.shape == (3, 201)


def test_dropped_characters_take_no_room():
    with pytest.warns(UserWarning) as caught:
        places = to_characters(["é" * 50 + "a" * LENGTH])
    assert (places == 0).all()
    assert len(caught) == 1 and "dropped" in str(caught[0].message)


@pytest.mark.parametrize("bad", ["", "   ", "\n"])
def test_an_empty_sentence_is_named(bad):
    with pytest.raises(ValueError, match=f"sentence 2 is {bad!r}".replace("\\", r"\\")):
        to_characters(["a flower", "a bloom", bad])


@pytest.mark.parametrize("bad", ["花", "花 花", "ééé"])
def test_a_sentence_of_unknown_characters_is_named(bad):
    with warnings.catch_warnings(), pytest.raises(ValueError, match=f"sentence 1 is '{bad}'"):
        warnings.simplefilter("ignore")
        to_characters(["a flower", bad])


# ---- the network ------------------------------------------------------------------------------


def test_the_papers_shapes():
    """201 characters → 198 → 66 → 63 → 21 → 18 steps, and 1024 numbers."""
    encoder, seen = CharCNNRNN(), []
    for layer in encoder.convolutions:
        layer.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[1:])))
    assert encoder(to_characters(["a red flower", "a blue one"])).shape == (2, 1024)
    assert seen == [(384, 198), (384, 198), (384, 66), (512, 63), (512, 63), (512, 21),
                    (512, 18), (512, 18)]  # fmt: skip


def test_the_embedding_is_the_average_over_time():
    encoder, places = small_encoder(), to_characters(["a red flower"])
    states, _ = encoder.rnn(encoder.convolutions(one_hot(places)).transpose(1, 2))
    assert states.shape == (1, 18, 7)
    torch.testing.assert_close(encoder(places), encoder.project(sum(states[0]) / 18)[None])


@pytest.mark.parametrize("training", [True, False])
def test_encode_evaluates_and_keeps_the_mode(training):
    encoder = small_encoder()
    encoder.project = nn.Sequential(nn.Dropout(0.5), encoder.project)
    encoder.train(training)
    first, again = (encoder.encode(["a red flower"]) for _ in range(2))
    assert torch.equal(first, again) and not first.requires_grad
    assert {m.training for m in encoder.modules()} == {training}


def test_an_error_keeps_the_mode_too():
    encoder = small_encoder().train()
    with pytest.raises(ValueError, match="sentence 0"):
        encoder.encode([""])
    assert {m.training for m in encoder.modules()} == {True}


@pytest.mark.parametrize("training", [True, False])
def test_an_error_while_encoding_keeps_the_mode(training):
    encoder = small_encoder().train(training)

    def breaks(*_):
        raise KeyboardInterrupt

    encoder.project.register_forward_pre_hook(breaks)
    with pytest.raises(KeyboardInterrupt):
        encoder.encode(["a red flower"])
    assert {m.training for m in encoder.modules()} == {training}


def test_an_embedding_does_not_depend_on_its_batch():
    encoder = small_encoder()
    for weight in encoder.parameters():
        weight.data.mul_(4)  # small networks hardly tell sentences apart as they start
    sentences = [f"{i} {'x' * (i % 150)} flower" for i in range(300)]  # more than one chunk
    together = encoder.encode(sentences)
    assert together.shape == (300, 6)
    for i in (0, 149, 255, 256, 299):
        alone = encoder.encode([sentences[i]])[0]
        torch.testing.assert_close(together[i], alone, rtol=1e-4, atol=1e-5)
        others = torch.cat([together[:i], together[i + 1 :]])
        assert (others - alone).abs().amax(1).median() > 1e-2


# ---- the picture's side -----------------------------------------------------------------------


def small_picture_encoder(embed_dim=6, side=128):
    torch.manual_seed(1)
    return PictureEncoder(embed_dim, width=2, side=side).eval()


@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_pictures_of_any_size_become_directions(size):
    theta = small_picture_encoder()(torch.randn(3, 3, size, size))
    assert theta.shape == (3, 6)
    torch.testing.assert_close(theta.norm(dim=1), torch.ones(3))  # until its metric is changed


def test_a_picture_is_looked_at_at_its_side():
    """Smaller ones are enlarged, larger ones shrunk; at 128 nothing is done to it."""
    encoder, images = small_picture_encoder(), torch.rand(2, 3, 128, 128) * 2 - 1

    def by_hand(images):
        return F.normalize(encoder.project(encoder.trunk(images)), dim=1)

    torch.testing.assert_close(encoder(images), by_hand(images))
    for size in (64, 256):
        other = torch.rand(2, 3, size, size) * 2 - 1
        brought = F.interpolate(other, (128, 128), mode="bilinear", antialias=True)
        torch.testing.assert_close(encoder(other), by_hand(brought))
    assert small_picture_encoder(side=32)(torch.zeros(1, 3, 64, 64)).shape == (1, 6)


def test_the_metric_comes_last():
    """What the fold relies on: θ is the direction times the metric, as layers have it."""
    encoder, images = small_picture_encoder(), torch.randn(4, 3, 128, 128)
    direction, change = encoder(images), torch.randn(6, 6)
    encoder.metric.weight.data.copy_(change)
    torch.testing.assert_close(encoder(images), direction @ change.T)


# ---- spread 1 in every direction --------------------------------------------------------------


def skewed(n=4000, dtype=torch.float64):
    """φ in eight dimensions with spreads from 0.01 to 10, far from 0, along slanted directions."""
    generator = torch.Generator().manual_seed(0)
    slant = torch.linalg.qr(torch.randn(8, 8, generator=generator, dtype=torch.float64))[0]
    spreads = torch.logspace(-2, 1, 8, dtype=torch.float64)
    drawn = torch.randn(n, 8, generator=generator, dtype=torch.float64)
    return ((drawn * spreads) @ slant.T + torch.arange(8) - 3).to(dtype)


def covariance(rows):
    rows = rows.double() - rows.double().mean(0)
    return rows.T @ rows / len(rows)


def test_spread_out_makes_the_covariance_one():
    phi = skewed()
    mean, A, _ = spread_out(phi, least=1e-12)
    spread = (phi - mean) @ A
    assert spread.mean(0).abs().max() < 1e-8
    torch.testing.assert_close(covariance(spread), torch.eye(8).double(), atol=1e-4, rtol=0)


def test_quiet_directions_keep_to_less():
    """Variance v becomes v / (v + floor), the floor a hundredth of the mean variance."""
    phi = skewed()
    variance, directions = torch.linalg.eigh(covariance(phi))
    mean, A, _ = spread_out(phi)
    found = directions.T @ covariance((phi - mean) @ A) @ directions
    expected = variance / (variance + 0.01 * variance.mean())
    assert expected[0] < 0.01 and expected[-1] > 0.99
    torch.testing.assert_close(found, expected.diag(), atol=1e-9, rtol=0)


@pytest.mark.parametrize(("dtype", "apart"), [(torch.float64, 1e-10), (torch.float32, 2e-4)])
def test_compatibilities_survive_the_change_of_spread(dtype, apart):
    phi = skewed(dtype=dtype)
    theta = torch.randn(50, 8, generator=torch.Generator().manual_seed(1), dtype=dtype)
    mean, A, back = spread_out(phi)
    assert {x.dtype for x in (mean, A, back)} == {dtype}
    assert (mean.shape, A.shape, back.shape) == ((8,), (8, 8), (8, 8))
    torch.testing.assert_close(A @ back, torch.eye(8, dtype=dtype), atol=apart, rtol=0)
    torch.testing.assert_close(A, A.T, atol=apart, rtol=0)
    before, after = theta @ (phi - mean).T, (theta @ back) @ ((phi - mean) @ A).T
    torch.testing.assert_close(before, after, atol=apart * 10, rtol=0)


def test_spread_out_of_single_precision_is_that_of_double():
    """Sums run in double: a mean far from 0 costs float32 nothing."""
    phi = skewed(dtype=torch.float32)
    for single, double in zip(spread_out(phi), spread_out(phi.double()), strict=True):
        torch.testing.assert_close(single.double(), double, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_dead_direction_is_not_blown_up(dtype):
    """φ of rank 3 in eight dimensions: five variances are 0, or a rounding below."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(500, 3, generator=generator), torch.randn(3, 8, generator=generator)
    phi = (a @ b).to(dtype)
    mean, A, back = spread_out(phi)
    spread = (phi - mean) @ A
    assert spread.isfinite().all() and back.isfinite().all()
    variance = torch.linalg.eigvalsh(covariance(spread))
    assert variance[:5].abs().max() < 1e-8 and variance[5:].min() > 0.8
    # what has never been seen there is lifted tenfold at most against the mean spread
    most = torch.linalg.matrix_norm(A.double(), 2)
    assert most <= 10.01 / covariance(phi).diagonal().mean().sqrt()


def test_the_fold_keeps_every_compatibility_but_for_the_mean():
    """`standardise`: φ comes out with mean 0 and spread 1, and θ(v)ᵀφ(t) loses θ(v)ᵀμ alone."""
    phi, theta = small_encoder(), small_picture_encoder()
    sentences = [text for own in load_blooms(60, 8).captions for text in own]
    images = torch.randn(7, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    before, v = phi.encode(sentences), theta(images)
    mean, A, _ = spread_out(before)
    make_pretrained.standardise(phi, theta, sentences)
    after = phi.encode(sentences)
    torch.testing.assert_close(after, (before - mean) @ A, atol=1e-3, rtol=1e-3)
    assert after.mean(0).abs().max() < 1e-3 and 0.5 < after.std(0).min() < after.std(0).max() < 1.01
    assert (v @ before.T).std() > 1e-4, "there is something to be kept"
    kept, found = v @ (before - mean).T, theta(images) @ after.T
    assert (found - kept).abs().max() < 1e-3 * kept.std()


# ---- the shipped weights ----------------------------------------------------------------------


def test_the_shipped_encoder_tells_flowers_apart():
    encoder = load_text_encoder()
    assert not encoder.training and not any(p.requires_grad for p in encoder.parameters())
    red, crimson, blue = nn.functional.normalize(encoder.encode([
        "this flower has red petals and a yellow centre",
        "a bloom with crimson petals and a golden middle",
        "this flower has blue petals and a brown centre",
    ]))  # fmt: skip
    assert red @ crimson > 0.7 > red @ blue  # other words, same flower; same words, other flower


def test_the_shipped_embeddings_are_centred_and_of_spread_one():
    """In the directions that carry something; the others keep to less, none has much more."""
    encoder, data = load_text_encoder(), load_blooms(500, 8, seed=77)
    phi = encoder.encode([sentence for texts in data.captions for sentence in texts[:3]])
    assert phi.shape == (1500, encoder.embed_dim)
    assert phi.mean(0).abs().max() < 0.15
    variance = torch.linalg.eigvalsh(covariance(phi))
    assert variance[-1] < 2 and variance[-16] > 0.8


def test_missing_weights_are_named():
    with pytest.raises(FileNotFoundError, match="no_such_encoder.safetensors"):
        load_text_encoder("no_such_encoder.safetensors")


# ---- first weights ----------------------------------------------------------------------------


def test_the_first_weights_keep_the_signal():
    """The mean square after each ReLU stays near 1; PyTorch's default loses it."""
    sentences = [own[0] for own in load_blooms(200, 8).captions]
    h = one_hot(to_characters(sentences))[:, :, :60]  # where all of them have letters
    torch.manual_seed(0)
    for layer in CharCNNRNN(embed_dim=8, channels=(64, 64, 64), rnn=8).convolutions:
        h = layer(h)
        if isinstance(layer, nn.ReLU):
            assert 0.5 < h.square().mean() < 8


def test_sentences_start_apart():
    phi = small_encoder().encode(["a red flower against the sky", "four narrow petals on stone"])
    quiet = small_encoder()
    for layer in quiet.convolutions:
        if isinstance(layer, nn.Conv1d):
            layer.reset_parameters()
    near = quiet.encode(["a red flower against the sky", "four narrow petals on stone"])
    assert (phi[0] - phi[1]).norm() > 3 * (near[0] - near[1]).norm()


# ---- encoders by name -------------------------------------------------------------------------

CAPTIONS = [["a red flower", "the petals are red"], ["a heart-shaped flower", "a flower"]]


def test_a_kept_encoder_comes_back_with_the_words_it_has_read(tmp_path):
    encoder, path = small_encoder(), tmp_path / "mine.safetensors"
    save_text_encoder(path, encoder, CAPTIONS, {"trained_on": "two pictures"})
    loaded = load_text_encoder(str(path))
    assert torch.equal(loaded.encode(["a red flower"]), encoder.encode(["a red flower"]))
    assert loaded.words == {"a", "red", "flower", "the", "petals", "are", "heart-shaped"}
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    assert read_card(path)["trained_on"] == "two pictures"


def test_the_shipped_encoder_knows_the_words_of_blooms_and_no_other():
    assert load_text_encoder().words == training_words()


def test_a_missing_file_and_weights_of_something_else_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no_such\.safetensors"):
        load_text_encoder(str(tmp_path / "no_such.safetensors"))
    save_weights(tmp_path / "other.safetensors", nn.Linear(2, 2), {"widths": "{}"})
    with pytest.raises(CheckpointError, match=r"other\.safetensors.*no widths and words"):
        load_text_encoder(str(tmp_path / "other.safetensors"))


def test_theta_comes_back_from_beside_its_text_encoder(tmp_path):
    encoder, path = small_picture_encoder(side=32), tmp_path / "mine.safetensors"
    encoder.metric.weight.data.normal_()
    assert theta_file(path) == theta_file(str(path)) == tmp_path / "mine.theta.safetensors"
    save_picture_encoder(theta_file(path), encoder, {"trained_on": "two pictures"})
    loaded = load_picture_encoder(str(path))
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded(images), encoder(images)) and loaded.side == 32
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    assert read_card(theta_file(path))["trained_on"] == "two pictures"


def test_a_missing_theta_and_weights_of_something_else_are_named(tmp_path):
    path = tmp_path / "mine.safetensors"
    save_text_encoder(path, small_encoder(), CAPTIONS, {})
    with pytest.raises(FileNotFoundError, match=r"mine\.theta\.safetensors"):
        load_picture_encoder(str(path))
    save_weights(theta_file(path), nn.Linear(2, 2), {"about": "no widths"})
    with pytest.raises(CheckpointError, match=r"mine\.theta\.safetensors.*no widths in its card"):
        load_picture_encoder(str(path))
    card = {"widths": '{"embed_dim": 6, "width": 2, "side": 32}'}  # those of another network
    save_weights(theta_file(path), nn.Linear(2, 2), card)
    with pytest.raises(CheckpointError, match=r"mine\.theta\.safetensors"):
        load_picture_encoder(str(path))


def test_the_shipped_theta_and_phi_are_of_one_training():
    """A picture fits its own sentence better than the next picture's, mostly; at 64 pixels too."""
    phi, theta = load_text_encoder(), load_picture_encoder()
    assert not theta.training and not any(p.requires_grad for p in theta.parameters())
    g = torch.Generator().manual_seed(987_654_321)
    flowers, _ = draw_attributes(40, g)
    images = to_unit(render(flowers, draw_style(40, g), 64))
    sentences = [max(own, key=len) for own in write_sentences(flowers, 1)[0]]
    fits = theta(images) @ phi.encode(sentences).T
    assert (fits.argmax(1) == torch.arange(40)).float().mean() > 0.8  # one in forty by chance


def test_a_name_without_sentence_transformers_says_what_is_expected(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ValueError, match="encoder 'all-MiniLM'.*shipped.*safetensors.*installed"):
        load_text_encoder("all-MiniLM")


def test_an_installed_sentence_encoder_has_the_same_face(monkeypatch):
    class Model:
        def __init__(self, name):
            self.name, self.device = name, None

        def to(self, device):
            self.device = device

        def encode(self, sentences, convert_to_tensor):
            assert convert_to_tensor
            return torch.ones(len(sentences), 3)

    monkeypatch.setitem(sys.modules, "sentence_transformers",
                        SimpleNamespace(SentenceTransformer=Model))  # fmt: skip
    encoder = load_text_encoder("some/model").to("cpu")
    assert encoder.model.name == "some/model" and encoder.model.device == "cpu"
    assert encoder.encode(["a", "b"]).shape == (2, 3)
    assert warn_of_new_words(encoder, CAPTIONS) == 0.0  # its words are not known: no warning


def test_new_words_are_counted_and_named_once_they_are_many():
    encoder = small_encoder()
    encoder.words = frozenset({"a", "red", "flower", "the", "petals", "are"})
    assert warn_of_new_words(encoder, CAPTIONS[:1]) == 0.0
    with pytest.warns(UserWarning, match=r"8% of the words.*on 6 words: heart-shaped"):
        assert warn_of_new_words(encoder, CAPTIONS) == pytest.approx(1 / 12)
    assert warn_of_new_words(encoder, CAPTIONS, most=0.1) == pytest.approx(1 / 12)  # no warning
