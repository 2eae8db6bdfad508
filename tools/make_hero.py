"""Draw `docs/hero.png` with the shipped weights: `python tools/make_hero.py`."""

from pathlib import Path

import torch

from t2i_utils import figures
from t2i_utils.models.beyond_stackgan import load_generator
from t2i_utils.models.char_cnn_rnn import load_text_encoder

SENTENCES = [
    "a large red flower with round petals among green leaves",
    "this flower has white petals and a brown centre against a blue sky",
    "a big blue flower with a white centre on brown soil",
    "a large flower with pointed orange petals in front of a grey stone",
    "a large yellow flower with a green centre under a blue sky",
    "eight purple petals on a large flower with a yellow centre, on brown soil",
    "a big pink bloom with a white centre in the grass",
    "a large white flower with a yellow centre against grey rocks",
]


@torch.no_grad()
def main() -> None:
    """Eight sentences, the first picture drawn for each."""
    z = torch.randn(len(SENTENCES), 100, generator=torch.Generator().manual_seed(0))
    images = load_generator()(z, load_text_encoder().encode(SENTENCES))
    path = Path(__file__).parent.parent / "docs" / "hero.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(figures.png(figures.grid(images, SENTENCES, columns=4)))
    print(path)


if __name__ == "__main__":
    main()
