"""The text encoder: no character is lost in silence, and a sentence's φ(t) is its own."""

import warnings

import pytest
import torch
from torch import nn

from t2i_utils.data.blooms import load_blooms
from t2i_utils.models.char_cnn_rnn import (
    ALPHABET,
    LENGTH,
    NOTHING,
    CharCNNRNN,
    load_text_encoder,
    one_hot,
    to_characters,
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
    encoder, data = load_text_encoder(), load_blooms(60, 8, seed=77)
    phi = encoder.encode([sentence for texts in data.captions for sentence in texts])
    assert phi.shape == (600, encoder.embed_dim)
    assert phi.mean().abs() < 0.1 and 0.8 < phi.std() < 1.2


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
