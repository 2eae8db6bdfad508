"""What an encoder keeps of a sentence: linear readers of φ(t)."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from t2i_utils.data import blooms
from t2i_utils.data.blooms import NAMES
from t2i_utils.data.captioned import CaptionedImages
from t2i_utils.data.grammar import DETAILS  # sentences name them only where they are
from t2i_utils.lesson import seed_for


def probe(
    encode: Callable[[list[str]], Float[Tensor, "n t"]],
    data: CaptionedImages,
    grammars: Sequence[str] = ("training",),
    trained: int = 8000,
    judged: int = 2000,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """How much of what a sentence names a linear reader finds in φ(t): grammar → attribute → share.

    The reader learns from `trained` sentences of the split "train" and is judged on `judged`
    sentences of "test", unseen combinations, written in each of the grammars of Blooms: the share
    of right answers among sentences that name the attribute. For the details that are named only
    where they are, it tells named from silent: balanced accuracy, chance ½. On photographs, whose
    one grammar is "training", what sentences name is read by `blooms.parse`, and an attribute that
    fewer than 100 name is left out. `encode` is the encoder's (Alain and Bengio 2016).
    Raises ValueError where another grammar is asked of photographs.
    """
    if data.attributes is None and set(grammars) != {"training"}:
        raise ValueError(f"{data.name}: grammars {list(grammars)}; expected 'training': people "
                         "wrote these sentences")  # fmt: skip

    def embedded(split: str, number: int, grammar: str) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed_for(seed, "probe", split))
        rows = data.splits[split]
        rows = rows[torch.randint(len(rows), (number,), generator=generator)]
        sentences, named = _sentences(data, rows, grammar, seed, generator)
        parts = [sentences[i : i + 512] for i in range(0, number, 512)]
        return torch.cat([encode(part).float().cpu() for part in parts]), named

    phi, named = embedded("train", trained, "training")
    readers = {}
    for i, name in enumerate(NAMES):
        told = named[:, i] >= 0
        if name in DETAILS and data.named is not None:
            readers[name] = linear_reader(phi, told.long(), balanced=True)
        elif name not in DETAILS and told.sum() >= 100:
            readers[name] = linear_reader(phi[told], named[told, i])
    shares = {}
    for grammar in grammars:
        phi, named = embedded("test", judged, grammar)
        shares[grammar] = {name: _share_right(name, reader(phi), named[:, NAMES.index(name)])
                           for name, reader in readers.items()}  # fmt: skip
    return shares


def _share_right(name: str, answers: Tensor, named: Tensor) -> float:
    """Of sentences that name an attribute; of details the mean of named and of silent ones."""
    asked = named >= 0
    if name not in DETAILS:
        return (answers == named)[asked].float().mean().item()
    right = answers.bool() == asked
    return (right[asked].float().mean() + right[~asked].float().mean()).item() / 2


def _sentences(data, rows, grammar, seed, generator) -> tuple[list[str], Tensor]:
    """One sentence for each of `rows`, and what it names [n, A]."""
    numbers = torch.randint(data.sentences_each, rows.shape, generator=generator)
    if grammar != "training":
        written, named = blooms.write_sentences(data.attributes[rows], seed, grammar)
        places = torch.arange(len(rows))
        return [own[k] for own, k in zip(written, numbers.tolist(), strict=True)], named[
            places, numbers]  # fmt: skip
    sentences = [data.captions[p][k] for p, k in zip(rows.tolist(), numbers.tolist(), strict=True)]
    if data.named is not None:
        return sentences, data.named[rows, numbers]
    return sentences, torch.tensor([blooms.to_row(blooms.parse(s)) for s in sentences])


def linear_reader(
    features: Float[Tensor, "n d"],
    answers: Int64[Tensor, " n"],
    balanced: bool = False,
    decay: float = 1e-4,
) -> Callable[[Float[Tensor, "m d"]], Int64[Tensor, " m"]]:
    """Multinomial logistic regression: the function from features to the likeliest answer.

    Features are shifted to mean 0 and scaled by one number, as a layer that hears them would find
    them: what stands in a quiet direction costs large weights, and `decay`·|W|² is paid for them.
    `balanced` weighs every answer alike, however rare.
    """
    mean = features.double().mean(0)
    scale = (features - mean).std().clamp(min=1e-12)
    x, classes = (features - mean) / scale, int(answers.max()) + 1
    weight = torch.zeros(classes, x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    counts = torch.bincount(answers, minlength=classes).double()
    worth = len(answers) / counts.clamp(min=1) / classes if balanced else None
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(x @ weight.T + bias, answers, worth) + decay * weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    w, b = weight.detach(), bias.detach()
    return lambda y: ((y - mean) / scale @ w.T + b).argmax(1)
