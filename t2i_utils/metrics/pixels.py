"""What pixels tell without a network: colour words, and the power of a lattice."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

COLOURS = ("red", "yellow", "purple", "white", "pink", "blue", "orange")


def colour_words(rgb: Float[Tensor, "*p 3"]) -> Int64[Tensor, "*p"]:
    """The colour word of each pixel as a place in `COLOURS`; −1 for green, brown, grey and dark.

    `rgb` is in [0, 1]. Borders of hue (degrees), saturation and value were set by eye.
    """
    top, bottom = rgb.amax(-1), rgb.amin(-1)
    chroma = (top - bottom).clamp(min=1e-6)
    saturation = chroma / top.clamp(min=1e-6)
    r, g, b = rgb.unbind(-1)
    green_or_blue = torch.where(top == g, (b - r) / chroma + 2, (r - g) / chroma + 4)
    hue = 60 * torch.where(top == r, (g - b) / chroma % 6, green_or_blue)
    word = torch.full(hue.shape, -1)
    pale = (saturation < 0.5) & (top > 0.55)

    def paint(where: Tensor, name: str) -> None:
        word[where] = COLOURS.index(name)

    paint((hue >= 345) | (hue < 14), "red")
    paint((hue >= 14) & (hue < 40), "orange")
    paint((hue >= 40) & (hue < 68), "yellow")
    paint((hue >= 200) & (hue < 252), "blue")
    paint((hue >= 252) & (hue < 312), "purple")
    paint((hue >= 312) & (hue < 345), "pink")
    paint(((hue >= 330) | (hue < 20)) & pale, "pink")
    word[(top < 0.25) | (saturation < 0.2)] = -1
    word[(hue >= 14) & (hue < 45) & (top < 0.5)] = -1  # brown
    paint((saturation < 0.2) & (top > 0.6), "white")
    return word


def colour_of_centre(images: Float[Tensor, "b 3 s s"]) -> list[str]:
    """The commonest colour word in the middle third of each picture; "none" where there is none."""
    side = images.shape[-1]
    cut = slice(side // 3, side - side // 3)
    words = colour_words((images[..., cut, cut].movedim(1, -1) + 1) / 2).flatten(1)
    votes = torch.stack([(words == i).sum(1) for i in range(len(COLOURS))], 1)
    most, which = votes.max(1)
    return [COLOURS[i] if n else "none" for n, i in zip(most.tolist(), which, strict=True)]


def nyquist_power(images: Float[Tensor, "b c s s"]) -> float:
    """Share of the pictures' power that lies on the lines of the highest frequency, in x or in y.

    A lattice of every other pixel, as transposed convolutions leave it, shows there (Odena et al.
    2016). Means are taken off first; of constant pictures the share is nan. Raises ValueError
    where the side is odd: then there are no such lines.
    """
    if images.shape[-1] % 2 or images.shape[-2] % 2:
        raise ValueError(f"pictures have shape {tuple(images.shape)}; expected even sides")
    pictures = images.double() - images.double().mean((-2, -1), keepdim=True)
    power = torch.fft.fft2(pictures).abs().square().mean((0, 1))
    half = power.shape[-1] // 2
    lines = power[half].sum() + power[:, half].sum() - power[half, half]
    return (lines / power.sum()).item()
