"""Less memory for more work: activations are computed again when their gradients are due.

Activation checkpointing (Chen et al. 2016, section 3): of a part of a network only the input is
kept; the backward pass computes the part once more and has what it needs. Gradients are the same.
Batch norm needs care: its running averages must not count a batch twice.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

PIECE = 4  # pictures at a time where an enlarged map is convolved: it is the largest of all


def recomputed(part: nn.Module, *inputs: Tensor) -> Tensor:
    """part(*inputs), of which only the inputs are kept for the backward pass.

    It is computed again there, in the mode (training or evaluation) in which it was; running
    averages of batch norm are left alone the second time.
    """
    modes = {layer: layer.training for layer in part.modules()}
    return checkpoint(
        part,
        *inputs,
        use_reentrant=False,
        preserve_rng_state=False,  # nothing here is random
        context_fn=lambda: (nullcontext(), _as_it_was(modes)),
    )


@contextmanager
def _as_it_was(modes: dict[nn.Module, bool]) -> Iterator[None]:
    """Inside, layers are in these modes, and what batch norm sees does not count."""
    now = {layer: layer.training for layer in modes}
    norms = {layer: (layer.momentum, layer.num_batches_tracked)
             for layer in modes if isinstance(layer, _BatchNorm)}  # fmt: skip
    try:
        for layer, training in modes.items():
            layer.training = training
        for norm in norms:
            norm.momentum, norm.num_batches_tracked = 0.0, None
        yield
    finally:
        for layer, training in now.items():
            layer.training = training
        for norm, (momentum, batches) in norms.items():
            norm.momentum, norm.num_batches_tracked = momentum, batches


class Recomputed(nn.Sequential):
    """nn.Sequential part by part, each of them `recomputed`.

    A part has two convolutions at most. Doublings are one part, but the last, whose maps are the
    largest: it is one with what follows. Names and numbers stay the same.
    """

    def __init__(self, *layers: nn.Module):
        super().__init__(*(Doubling(*x) if _doubles(x) else x for x in layers))

    def forward(self, x: Tensor) -> Tensor:
        for part in _parts(self):
            x = recomputed(nn.Sequential(*part), x)
        return x


class Doubling(nn.Sequential):
    """Up-sampling, a convolution, and what follows: the enlarged map never lies there as a whole.

    These two look at each picture by itself, so they can be given a few at a time; batch norm, in
    what follows, cannot.
    """

    def forward(self, x: Tensor) -> Tensor:
        up, convolution, *rest = self
        enlarge, rest = nn.Sequential(up, convolution), nn.Sequential(*rest)
        return rest(torch.cat([recomputed(enlarge, piece) for piece in x.split(PIECE)]))


def save_memory(network: nn.Module) -> nn.Module:
    """Make every nn.Sequential that the network has as an attribute a `Recomputed` one.

    About 1.3 times the work. Its weights, their names, its numbers and gradients stay the same.
    """
    for name, body in network.named_children():
        if isinstance(body, nn.Sequential):
            setattr(network, name, Recomputed(*body).train(body.training))
    return network


def _doubles(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Sequential) and isinstance(layer[0], nn.Upsample)


def _parts(layers: Iterable[nn.Module]) -> list[list[nn.Module]]:
    layers = list(layers)
    doublings = [i for i, layer in enumerate(layers) if isinstance(layer, Doubling)]
    parts, convolutions = [], 0
    for i, layer in enumerate(layers):
        more = sum(isinstance(inner, nn.Conv2d) for inner in layer.modules())
        full = more and convolutions + more > 2
        if i in doublings:  # each is in pieces already; the largest maps stand alone
            full = i in (doublings[0], doublings[-1])
        if not parts or full:
            parts.append([])
            convolutions = 0
        parts[-1].append(layer)
        convolutions += more
    return parts
