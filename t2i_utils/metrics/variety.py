"""Variety of the right kind: what differs between pictures of one sentence, and whether it may."""

from collections.abc import Sequence

from jaxtyping import Int64
from torch import Tensor

from t2i_utils.data.blooms import NAMES

# Some sentences name these, others leave them open, and both can be read off rough pictures. The
# number of petals and of layers cannot: noise on the pixels changes them in half of the cases.
OPEN_OR_NOT = ("background", "size")


def other_values(
    seen: Int64[Tensor, "n a"],
    again: Int64[Tensor, "_ _"],
    asked: Int64[Tensor, "_ _"],
    names: Sequence[str] = OPEN_OR_NOT,
) -> dict[str, float]:
    """How often two pictures of a sentence show different values of an attribute.

    `seen` and `again` are what was read off two pictures of each sentence, as places in
    `ATTRIBUTES`; `asked` is what the sentence names, −1 where it is silent. Returns "background,
    open", the share among sentences that leave it open, where variety is right; "background, said",
    the share among those that name it, where it is a fault; and so for each of `names`. A share of
    nothing is left out. Raises ValueError where the three differ in shape.
    """
    if not seen.shape == again.shape == asked.shape:
        shapes = ", ".join(str(tuple(part.shape)) for part in (seen, again, asked))
        raise ValueError(f"seen, again and asked have shapes {shapes}; expected one shape")
    changed, said, shares = seen != again, asked >= 0, {}
    for name in names:
        column = NAMES.index(name)
        here, told = changed[:, column], said[:, column]
        for what, rows in (("open", ~told), ("said", told)):
            if rows.any():
                shares[f"{name}, {what}"] = here[rows].float().mean().item()
    return shares
