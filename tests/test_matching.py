"""R-precision: no rival that may be right, no luck from ties, and chance where there is none."""

import pytest
import torch

from t2i_utils.metrics import contradicts, finds_its_sentence


def drawing(seed=0):
    return torch.Generator().manual_seed(seed)


def everyone_else(n):
    return ~torch.eye(n, dtype=torch.bool)


# ---- contradictions ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        ([0, 1, 2], [0, 1, 2], False),  # the same
        ([0, 1, 2], [0, 1, 3], True),  # one value is another
        ([0, -1, 2], [0, 1, 2], False),  # the one is silent, so both may be true
        ([0, -1, -1], [-1, 1, 2], False),  # of different things
        ([-1, -1, -1], [0, 1, 2], False),
        ([0, -1, 2], [1, 1, -1], True),  # place 0 is a value, silence is −1
    ],
)
def test_contradictions_by_hand(one, other, contradict):
    one, other = torch.tensor(one), torch.tensor(other)
    assert contradicts(one, other).item() == contradicts(other, one).item() == contradict


def test_who_obeys_a_sentence_is_never_true_of_one_that_contradicts_it():
    """And of one that does not, some picture is: by all pictures there are of three attributes."""
    pictures = torch.cartesian_prod(*[torch.arange(3)] * 3)
    sentences = torch.cartesian_prod(*[torch.arange(-1, 3)] * 3)
    true = ((pictures == sentences[:, None]) | (sentences[:, None] < 0)).all(-1)  # [64, 27]
    together = (true[:, None] & true[None]).any(-1)
    assert torch.equal(contradicts(sentences[:, None], sentences[None]), ~together)


# ---- finding ----------------------------------------------------------------------------------


def test_a_perfect_generator_is_always_found():
    phi = torch.eye(40)
    assert finds_its_sentence(phi, phi, everyone_else(40), drawing(), 20).all()


@pytest.mark.parametrize("classes", [3, 8])
def test_who_does_not_read_is_right_once_in_as_many_as_there_are_classes(classes):
    """Every picture stands once with every sentence; only its own class is no tie and no loss."""
    shown, asked = torch.cartesian_prod(torch.arange(classes), torch.arange(classes)).T
    one_hot = torch.eye(classes)
    rivals = asked[:, None] != asked[None]
    found = finds_its_sentence(one_hot[shown], one_hot[asked], rivals, drawing(), 5)
    assert torch.equal(found, shown == asked)
    assert found.float().mean().item() == pytest.approx(1 / classes)


@pytest.mark.parametrize("among", [1, 9, 99])
def test_chance_is_one_in_as_many_as_there_are_to_choose_from(among):
    n = 2000
    theta, phi = (torch.randn(n, 64, generator=drawing(seed)) for seed in (1, 2))
    share = finds_its_sentence(theta, phi, everyone_else(n), drawing(), among).float().mean().item()
    chance = 1 / (among + 1)
    assert abs(share - chance) < 3.5 * (chance * (1 - chance) / n) ** 0.5


def test_a_tie_is_a_miss():
    same = torch.ones(30, 4)
    assert not finds_its_sentence(same, same, everyone_else(30), drawing(), 1).any()
    phi = torch.eye(30)
    phi[1] = phi[0]  # two say the same: neither picture tells its sentence from the other
    found = finds_its_sentence(phi, phi, everyone_else(30), drawing(), 29)
    assert found.tolist() == [False, False] + [True] * 28


def test_a_rival_that_is_not_allowed_is_never_drawn():
    """All of the others fit better, the allowed ones worse: one of the former drawn is a miss."""
    n, allowed = 60, 7
    rivals = torch.zeros(n, n, dtype=torch.bool)
    for i in range(n):
        rivals[i, torch.arange(i + 1, i + 1 + allowed) % n] = True
    fits = torch.where(rivals, -1.0, 1.0)
    fits.fill_diagonal_(0)
    theta, phi = fits, torch.eye(n)  # θᵀφ is `fits`
    for among in (1, 4, allowed):
        assert finds_its_sentence(theta, phi, rivals, drawing(among), among).all()
    other_way = finds_its_sentence(-theta, phi, rivals, drawing(), 1)
    assert not other_way.any(), "the allowed ones are"


def test_rivals_are_drawn_evenly_and_none_of_them_twice():
    """Of ten that are allowed one fits better: among three it is with chance 3/10, among ten 1."""
    n = 2000
    rivals = torch.zeros(n, n, dtype=torch.bool)
    rivals[:, :10] = True
    for better in (0, 4, 9):
        phi = torch.ones(n, 1)
        phi[:10], phi[better] = -1, 2
        own = [finds_its_sentence(torch.ones(n, 1), phi, rivals, drawing(better), k)[10:]
               for k in (3, 10)]  # fmt: skip
        assert abs(own[0].float().mean().item() - 0.7) < 3.5 * (0.3 * 0.7 / n) ** 0.5
        assert not own[1].any()


def test_the_generator_alone_decides():
    theta, phi = (torch.randn(200, 4, generator=drawing(seed)) for seed in (1, 2))
    first, again, other = (
        finds_its_sentence(theta, phi, everyone_else(200), drawing(seed), 3) for seed in (5, 5, 6)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_too_few_rivals_are_counted():
    rivals = everyone_else(8)
    rivals[3, :6] = False
    phi = torch.eye(8)
    with pytest.raises(ValueError, match="a picture has 2 rivals; expected at least 99"):
        finds_its_sentence(phi, phi, rivals, drawing())
    assert finds_its_sentence(phi, phi, rivals, drawing(), 2).all()
