"""The networks of the series: plain `nn.Module`s with shapes in the margin."""

from torch import nn


def noise_dim(G: nn.Module) -> int:
    """How many independent normal numbers a picture of G takes: z, and ε where G samples ĉ."""
    return G.noise_dim if hasattr(G, "noise_dim") else G.z_dim
