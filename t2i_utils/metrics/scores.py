"""What a discriminator says of the same pairs by the company in which they are judged."""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from t2i_utils.data.captioned import Batch, Batches
from t2i_utils.models import noise_dim
from t2i_utils.training import Players

# With batch norm in training mode a score depends on what else is in the batch.
WAYS = ("a batch each", "one batch", "evaluation mode")


@torch.no_grad()
def scores(
    D: nn.Module, batch: Batch, fake: Float[Tensor, "b 3 s s"], way: str
) -> list[Float[Tensor, " b"]]:
    """s_r, s_w, s_f of a batch: each kind in a batch of its own, all in one, or in evaluation mode.

    `way` is one of `WAYS`; ValueError for another. A copy of D is asked: its averages stay.
    """
    if way not in WAYS:
        raise ValueError(f"way is {way!r}; expected one of {', '.join(WAYS)}")
    D = copy.deepcopy(D).train(way != "evaluation mode")
    real, right, wrong = batch.images, batch.embedding, batch.wrong_embedding
    kinds = [(real, right), (real, wrong), (fake, right)]
    if way == "a batch each":
        return [D(images, c) for images, c in kinds]
    images, c = (torch.cat(parts) for parts in zip(*kinds, strict=True))
    return list(D(images, c).split(len(fake)))


@torch.no_grad()
def asked_three_ways(
    players: Players, batches: Batches, device: torch.device | str, number: int = 16
) -> dict[str, dict[str, float]]:
    """s_r − s_w, s_r − s_f and the shares of right above wrong and real above fake, by way.

    Over fresh batches; the fakes are G's of the moment, as D sees them while it is trained. A share
    compares two discriminators, of which each has logits of its own size; it takes all pairs.
    """
    G, found = copy.deepcopy(players.G).train(), {way: [] for way in WAYS}
    for i in range(number):
        batch = batches[10_000 + i].to(device)  # batch i exists for any i
        z = torch.randn(len(batch.images), noise_dim(G), generator=torch.Generator().manual_seed(i))
        fake = G(z.to(device), batch.embedding)
        for way in WAYS:
            found[way].append(torch.stack(scores(players.D, batch, fake, way)).cpu())
    by_way = {way: torch.cat(parts, 1) for way, parts in found.items()}  # [3, number · B]
    return {way: {"s_r − s_w": (r - w).mean().item(), "s_r − s_f": (r - f).mean().item(),
                  "right above wrong": (r > w).float().mean().item(),
                  "real above fake": (r[:, None] > f).float().mean().item()}
            for way, (r, w, f) in by_way.items()}  # fmt: skip
