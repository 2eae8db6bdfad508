"""A stand-in for a GPU that is not there: torch's device "meta", and a watch over what meets on it.

On "meta" tensors have shapes and no numbers: whatever waits for one (`.item()`, `float(x)`,
`if x`) raises. That it is not the CPU is another matter: some operations, a convolution among them,
take a tensor of each device without a word, where a GPU would refuse.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

MOVES = (Tensor.to, Tensor.copy_)  # what is there to take a tensor from one device to another


class OneDevice(TorchFunctionMode):
    """Inside, an operation on tensors of two devices raises RuntimeError, as it would on a GPU.

    A CPU tensor of one number may meet any other: it is passed on as a number.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func not in MOVES:
            met = {t.device.type for t in tensors_in([args, kwargs]) if t.dim() or not t.is_cpu}
            if len(met) > 1:
                raise RuntimeError(f"{func.__name__}: tensors on {sorted(met)}, expected on one")
        return func(*args, **kwargs)


def tensors_in(x: Any) -> Iterator[Tensor]:
    """The tensors in a tensor, or in lists, tuples and dicts of them."""
    if isinstance(x, Tensor):
        yield x
    elif isinstance(x, list | tuple | dict):
        for part in x.values() if isinstance(x, dict) else x:
            yield from tensors_in(part)


def on_meta(network: torch.nn.Module) -> dict[Tensor, Tensor]:
    """Move a network to "meta", in place: which new weight stands for which old one."""
    before = list(network.parameters())
    return dict(zip(before, network.to("meta").parameters(), strict=True))
