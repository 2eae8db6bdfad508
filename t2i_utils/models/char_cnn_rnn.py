"""The text encoder: characters → convolutions → recurrence → embedding (Reed et al. 2016, CVPR)."""

import json
import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from t2i_utils.checkpoints import CheckpointError, load_network, read_card, save_weights
from t2i_utils.data.grammar import words_of
from t2i_utils.lesson import pretrained
from t2i_utils.models.dcgan import discriminator_trunk

# The published alphabet holds "-" twice; the later place wins, so the earlier one is never used.
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{} "
LENGTH = 201  # characters that the encoder reads
PLACE = {character: i for i, character in enumerate(ALPHABET)}
NOTHING = len(ALPHABET)  # marks a place past the end of the sentence: an all-zero column


def to_characters(sentences: list[str]) -> Int64[Tensor, "n 201"]:
    """Places in the alphabet of each sentence's first 201 characters; 70 marks "nothing here".

    Sentences are lower-cased. Characters outside the alphabet are dropped and sentences over 201
    characters are cut, each with a warning that names them. Raises ValueError for an empty one.
    """
    places = torch.full((len(sentences), LENGTH), NOTHING)
    dropped, cut = set(), []
    for row, sentence in enumerate(sentences):
        if not isinstance(sentence, str) or not sentence.strip():
            raise ValueError(f"sentence {row} is {sentence!r}; expected a text with words in it")
        lowered = sentence.lower()
        known = [PLACE[c] for c in lowered if c in PLACE]
        if len(known) < len(lowered):
            dropped |= set(lowered) - set(PLACE)
        if not any(place != PLACE[" "] for place in known):
            raise ValueError(f"sentence {row} is {sentence!r}; expected English letters or signs")
        if len(known) > LENGTH:
            cut.append(sentence)
        known = torch.tensor(known[:LENGTH])
        places[row, : len(known)] = known
    if dropped:
        warnings.warn(f"dropped characters outside the alphabet: {sorted(dropped)}", stacklevel=2)
    if cut:
        words = f"cut to {LENGTH} characters: {len(cut)} sentence(s), first {cut[0][:60]!r}…"
        warnings.warn(words, stacklevel=2)
    return places


def one_hot(places: Int64[Tensor, "n length"]) -> Float[Tensor, "n 70 length"]:
    """One channel for each character of the alphabet, all of them zero past the sentence's end."""
    return F.one_hot(places, NOTHING + 1)[..., :NOTHING].transpose(1, 2).float()


def keep_the_signal(convolutions: nn.Sequential) -> None:
    """He initialisation: weights N(0, 2 / what a unit reads that is not zero), no bias.

    Of the first one's 70 channels one is lit. PyTorch's default is blind to that, and so quiet
    that all sentences start with nearly the same φ (He et al. 2015, equation 10).
    """
    layers = [layer for layer in convolutions if isinstance(layer, nn.Conv1d)]
    for layer in layers:
        lit = 1 if layer is layers[0] else layer.in_channels
        nn.init.normal_(layer.weight, std=math.sqrt(2 / (lit * layer.kernel_size[0])))
        nn.init.zeros_(layer.bias)


class CharCNNRNN(nn.Module):
    """Char-CNN-RNN: three convolutions over one-hot characters, a GRU, a linear map to φ(t).

    The defaults are the paper's widths; `channels` are those of the three convolutions.
    """

    def __init__(
        self,
        embed_dim: int = 1024,
        channels: Sequence[int] = (384, 512, 512),
        rnn: int = 512,
    ):
        super().__init__()
        self.embed_dim = embed_dim
        first, second, third = channels
        self.convolutions = nn.Sequential(
            nn.Conv1d(len(ALPHABET), first, 4), nn.ReLU(),  # [B, 70, 201] → [B, 384, 198]
            nn.MaxPool1d(3),                                # → 66 steps
            nn.Conv1d(first, second, 4), nn.ReLU(),         # → [B, 512, 63]
            nn.MaxPool1d(3),                                # → 21 steps
            nn.Conv1d(second, third, 4), nn.ReLU(),         # → [B, 512, 18]
        )  # fmt: skip
        keep_the_signal(self.convolutions)
        self.rnn = nn.GRU(third, rnn, batch_first=True)
        self.project = nn.Linear(rnn, embed_dim)

    def forward(self, places: Int64[Tensor, "b 201"]) -> Float[Tensor, "b t"]:
        """Embed sentences given as places in the alphabet (see `to_characters`)."""
        steps = self.convolutions(one_hot(places)).transpose(1, 2)  # [B, 18, 512]
        states, _ = self.rnn(steps)
        return self.project(states.mean(1))  # the average over time, then [B, T]

    @torch.no_grad()
    def encode(self, sentences: list[str]) -> Float[Tensor, "n t"]:
        """φ(t) of each sentence, in evaluation mode. Warnings and errors: see `to_characters`."""
        places, training = to_characters(sentences), self.training
        device = next(self.parameters()).device
        self.eval()
        try:
            return torch.cat([self(part.to(device)) for part in places.split(256)])
        finally:
            self.train(training)


class PictureEncoder(nn.Module):
    """θ(x): the picture's side of the joint embedding, strided convolutions and a linear map.

    Smaller pictures are enlarged to `side`, at which the finest details can be seen. θ(x)ᵀφ(t) is
    the compatibility: the largest of a row or a column is what fits best.
    """

    def __init__(self, embed_dim: int = 256, width: int = 24, side: int = 128):
        super().__init__()
        self.side = side
        self.trunk = nn.Sequential(discriminator_trunk(width, side), nn.Flatten())  # 4 × 4 map
        self.project = nn.Linear(width * side // 8 * 4 * 4, embed_dim)
        self.metric = nn.Linear(embed_dim, embed_dim, bias=False)  # undoes φ's change of spread
        nn.init.eye_(self.metric.weight)

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b t"]:
        if images.shape[-1] != self.side:
            images = F.interpolate(images, (self.side, self.side), mode="bilinear", antialias=True)
        return self.metric(F.normalize(self.project(self.trunk(images)), dim=1))


@torch.no_grad()
def spread_out(
    phi: Float[Tensor, "n t"], least: float = 0.01
) -> tuple[Float[Tensor, " t"], Float[Tensor, "t t"], Float[Tensor, "t t"]]:
    """What brings φ to mean 0 and every direction that carries something to spread 1.

    Returns the mean φ̄ [T], a matrix A and its inverse, so that rows (φ − φ̄)·A have a covariance of
    1 along φ's principal directions; directions with less than `least` of the mean variance keep
    to less. For any θ, (θ A⁻¹)·((φ − φ̄) A) = θ·(φ − φ̄), A being symmetric: whitening by the
    principal axes and back (Kessy et al. 2018, "ZCA").
    """
    mean = phi.double().mean(0)
    variance, directions = torch.linalg.eigh((phi.double() - mean).T.cov(correction=0))
    variance = variance.clamp(min=0)
    scale = (variance + least * variance.mean().clamp(min=1e-12)).rsqrt()
    spread = (directions * scale) @ directions.T
    back = (directions / scale) @ directions.T
    return mean.to(phi.dtype), spread.to(phi.dtype), back.to(phi.dtype)


class SentenceEncoder:
    """An installed sentence encoder behind the same `encode`; its weights may be a download."""

    def __init__(self, name: str):
        from sentence_transformers import SentenceTransformer  # not among the requirements

        self.model = SentenceTransformer(name)

    def to(self, device) -> "SentenceEncoder":
        """Move it to a device, in place; returns itself, as a network does."""
        self.model.to(device)
        return self

    def encode(self, sentences: list[str]) -> Float[Tensor, "n t"]:
        """φ(t) of each sentence."""
        return self.model.encode(sentences, convert_to_tensor=True)


def load_text_encoder(name: str = "shipped") -> CharCNNRNN | SentenceEncoder:
    """A frozen text encoder: "shipped", a file that notebook 04 kept, or an installed one by name.

    A char-CNN-RNN comes with its weights, on the CPU, in evaluation mode, its widths and its
    `words`, those it was trained on, read from the file's card. Any other name is taken for one of
    sentence-transformers. Raises FileNotFoundError where a file is missing, CheckpointError where
    it is no encoder, ValueError where sentence-transformers is not installed.
    """
    if name == "shipped" or str(name).endswith(".safetensors"):
        path = pretrained("char_cnn_rnn_blooms.safetensors") if name == "shipped" else Path(name)
        card = read_card(path)
        if not {"widths", "words"} <= card.keys():
            raise CheckpointError(f"{path}: found no widths and words in its card, expected those "
                                  "of a text encoder, as notebook 04 keeps one")  # fmt: skip
        encoder = load_network(path, CharCNNRNN)
        encoder.words = frozenset(json.loads(card["words"]))
        return encoder
    try:
        return SentenceEncoder(name)
    except ModuleNotFoundError as error:
        raise ValueError(f"encoder {name!r}: expected shipped, a file that ends in .safetensors, "
                         "or the name of an encoder of sentence-transformers, which is not "
                         f"installed ({error})") from error


def save_text_encoder(
    path: str | Path, encoder: CharCNNRNN, captions: list[list[str]], card: Mapping[str, str]
) -> None:
    """Keep a text encoder in a file that `load_text_encoder` reads, with the words it has seen."""
    layers = [layer for layer in encoder.convolutions if isinstance(layer, nn.Conv1d)]
    widths = {"embed_dim": encoder.embed_dim, "channels": [layer.out_channels for layer in layers],
              "rnn": encoder.rnn.hidden_size}  # fmt: skip
    words = sorted({word for own in captions for text in own for word in words_of(text)})
    about = {"widths": json.dumps(widths), "words": json.dumps(words)}
    save_weights(path, encoder, dict(card) | about)


def theta_file(path: str | Path) -> Path:
    """Where the picture's side of a kept text encoder stands: `my_encoder.theta.safetensors`."""
    return Path(path).with_suffix(".theta.safetensors")


def save_picture_encoder(
    path: str | Path, encoder: PictureEncoder, card: Mapping[str, str]
) -> None:
    """Keep θ in a file that `load_picture_encoder` reads."""
    widths = {"embed_dim": encoder.project.out_features, "side": encoder.side,
              "width": encoder.trunk[0][0].out_channels}  # fmt: skip
    save_weights(path, encoder, dict(card) | {"widths": json.dumps(widths)})


def load_picture_encoder(name: str = "shipped") -> PictureEncoder:
    """θ of the same training as `load_text_encoder(name)`: on the CPU, frozen, evaluation mode.

    `name` is "shipped", or the file of the text encoder that notebook 04 kept; θ stands beside it
    (`theta_file`). Raises FileNotFoundError where it does not, CheckpointError where it is none.
    """
    shipped = name == "shipped"
    path = pretrained("picture_encoder_blooms.safetensors") if shipped else theta_file(name)
    return load_network(path, PictureEncoder)


def warn_of_new_words(
    encoder: CharCNNRNN | SentenceEncoder, captions: list[list[str]], most: float = 0.05
) -> float:
    """The share of the captions' words that the encoder was not trained on; 0 where not known.

    Over `most` it warns, with the commonest of them: what it never read, it has to guess.
    """
    known = getattr(encoder, "words", None)
    if known is None:
        return 0.0
    counts = Counter(word for own in captions for text in own for word in words_of(text))
    new = Counter({word: n for word, n in counts.items() if word not in known})
    share = new.total() / max(1, counts.total())
    if share > most:
        commonest = ", ".join(word for word, _ in new.most_common(8))
        warnings.warn(f"{share:.0%} of the words of these captions are new to the text encoder, "
                      f"which was trained on {len(known):,} words: {commonest}, …", stacklevel=2)
    return share
