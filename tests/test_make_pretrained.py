"""What trains the shipped weights: a run that was stopped goes on as if it had not been."""

import random

import make_pretrained
import pytest
import torch
from make_pretrained import EMPTY, garbled, train
from torch import nn

from t2i_utils.data import grammar
from t2i_utils.data.blooms import draw_attributes, write_sentences


def a_run(stop=None, folder=None):
    """Eight steps of a small network, or those up to an interruption at `stop`."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))

    def loss_at(step):
        if step == stop:
            raise KeyboardInterrupt
        return net(torch.randn(5, 3)).square().mean()

    try:
        train({"net": net}, loss_at, 8, 1e-2, folder)
    except KeyboardInterrupt:
        return None
    return net.state_dict()


def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path, capsys):
    whole = a_run()
    assert a_run(stop=5, folder=tmp_path) is None
    resumed = a_run(folder=tmp_path)
    assert "going on from step 5 of 8" in capsys.readouterr().out
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = a_run(folder=tmp_path)
    again = a_run(stop=0, folder=tmp_path)  # would be interrupted if it took a step
    assert again is not None and all(torch.equal(first[name], again[name]) for name in first)


def test_garbled_sentences_keep_what_names_something():
    attributes, _ = draw_attributes(100, torch.Generator().manual_seed(0))
    sentences, _ = write_sentences(attributes, seed=0)
    rng, changed = random.Random(0), 0
    for sentence in (s for own in sentences for s in own):
        words, new = grammar.words_of(sentence), grammar.words_of(garbled(sentence, rng))
        telling = [sorted(w for w in some if w not in EMPTY) for some in (words, new)]
        assert telling[0] == telling[1]
        changed += words != new
    assert changed > 950  # of a thousand


def test_empty_words_are_words_of_training_sentences_and_name_nothing():
    assert set(EMPTY) - {"rows"} <= grammar.training_words()  # "row" is one of them
    for word in set(EMPTY):
        assert grammar.parse(f"a {word} flower") == {}, word


@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_flowers_of_a_split_are_of_its_combinations(split):
    drawn = make_pretrained.flowers_of(200, 5, split)
    combinations = [tuple(c) for c in make_pretrained.blooms.all_classes()]
    unseen = {combinations[c] for c in make_pretrained.blooms.unseen_classes()}
    values = list(make_pretrained.ATTRIBUTES.values())
    found = [tuple(values[i][row[i]] for i in (0, 1, 2)) in unseen for row in drawn.tolist()]
    assert len(drawn) == 200
    assert {"train": not any(found), "test": all(found), "all": 0 < sum(found) < 200}[split]
