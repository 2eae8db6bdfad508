"""StackGAN's two stages (Zhang et al. 2017, sections 3.3 and 3.4), at any width and size.

Where the paper is silent (widths, residual blocks) the authors' TensorFlow code decides:
hanzhanggit/StackGAN, stageI/model.py and stageII/model.py, the "default" networks. Three things are
not theirs: no bias before batch norm, which would take it away again; a plain linear layer to μ and
log σ², as the paper has it (the code puts a leaky ReLU over both, and reads the second as log σ); a
leaky ReLU before the last strided convolution of Stage-I's D, which the code leaves out there only.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from t2i_utils.checkpoints import CheckpointError, load_network
from t2i_utils.lesson import pretrained
from t2i_utils.models import gan_cls
from t2i_utils.models.augmentation import (
    AugmentedGenerator,
    ConditioningAugmentation,
    reparameterise,
)
from t2i_utils.models.dcgan import discriminator_trunk, doublings, init_weights

LEAK = 0.2  # slope of D's leaky ReLUs


def convolution(channels: int, out: int, kernel: int = 3) -> list[nn.Module]:
    """A convolution that keeps the side, or with kernel 4 halves it, and batch norm."""
    stride = 2 if kernel == 4 else 1
    return [
        nn.Conv2d(channels, out, kernel, stride, (kernel - 1) // 2, bias=False),
        nn.BatchNorm2d(out),
    ]


def doubled(channels: int, out: int) -> list[nn.Module]:
    """Nearest up-sampling to twice the side, a 3 × 3 convolution and batch norm."""
    return [nn.Upsample(scale_factor=2), *convolution(channels, out)]


class Residual(nn.Module):
    """activation(x + body(x)); the body ends in batch norm."""

    def __init__(self, *body: nn.Module, slope: float = 0.0):
        super().__init__()
        self.body = nn.Sequential(*body)
        self.activation = nn.LeakyReLU(slope) if slope else nn.ReLU()

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return self.activation(x + self.body(x))


def bottleneck(channels: int, narrow: int, slope: float = 0.0) -> Residual:
    """A residual block of a 1 × 1 and two 3 × 3 convolutions, narrow inside."""
    act = nn.LeakyReLU(slope) if slope else nn.ReLU()
    first, second = convolution(channels, narrow, 1), convolution(narrow, narrow)
    return Residual(*first, act, *second, act, *convolution(narrow, channels), slope=slope)


class Start(nn.Module):
    """A linear layer and batch norm: a code [B, in_dim] becomes a 4 × 4 map."""

    def __init__(self, in_dim: int, channels: int):
        super().__init__()
        self.linear = nn.Linear(in_dim, channels * 4 * 4, bias=False)
        self.norm = nn.BatchNorm1d(channels * 4 * 4)

    def forward(self, code: Float[Tensor, "b n 1 1"]) -> Float[Tensor, "b c 4 4"]:
        return self.norm(self.linear(code.flatten(1))).unflatten(1, (-1, 4, 4))


def upsampling_trunk(in_dim: int, width: int, image_size: int) -> nn.Sequential:
    """Stage-I's body: a code [B, in_dim, 1, 1] becomes a picture [B, 3, S, S] in [−1, 1].

    `width` is the number of channels before the picture, as in `dcgan.generator_trunk`. There are
    residual blocks at 4 × 4 and at 8 × 8.
    """
    n = doublings(image_size)
    channels = [width * 2**i for i in reversed(range(n))]
    layers = [Start(in_dim, channels[0]), bottleneck(channels[0], channels[0] // 4)]
    for i, (wide, narrow) in enumerate(zip(channels, channels[1:], strict=False)):
        after = bottleneck(narrow, narrow // 4) if i == 0 else nn.ReLU()
        layers += [*doubled(wide, narrow), after]
    last = [nn.Upsample(scale_factor=2), nn.Conv2d(width, 3, 3, 1, 1), nn.Tanh()]
    return nn.Sequential(*layers, *last)


class Stage1Generator(AugmentedGenerator):
    """G₀(z, ε, φ(t)): a sketch [B, 3, S, S] in [−1, 1], from noise and a sampled sentence."""

    def __init__(self, z_dim=100, embed_dim=1024, c_dim=128, width=128, image_size=64):
        super().__init__(z_dim, embed_dim, c_dim, width, image_size, upsampling_trunk)


def judging_trunk(width: int, image_size: int) -> nn.Sequential:
    """Either stage's D: a picture becomes features [B, C, 4, 4]; C = width · min(S, 64) / 8.

    Strided convolutions to 4 × 4; what they have beyond 8 · width channels is narrowed, by halves;
    a residual block.
    """
    layers = [*discriminator_trunk(width, image_size)][:-1]  # the residual block has the last ReLU
    channels = width * image_size // 8
    while channels > 8 * width:
        layers += [nn.LeakyReLU(LEAK), *convolution(channels, channels // 2, 1)]
        channels //= 2
    return nn.Sequential(*layers, bottleneck(channels, channels // 4, LEAK))


class Discriminator(gan_cls.Discriminator):
    """D(x, φ(t)) of either stage, matching-aware: `text_dim` is N_d, its 4 × 4 map M_d."""

    def __init__(self, embed_dim=1024, text_dim=128, width=64, image_size=64):
        super().__init__(embed_dim, text_dim, width, min(image_size, 64))
        self.trunk = judging_trunk(width, image_size)
        self.apply(init_weights)


def sketch_reader(width: int) -> nn.Sequential:
    """Stage-II's way down: a sketch [B, 3, s, s] becomes a map [B, 4 · width, s/4, s/4]."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, 1, 1), nn.ReLU(), *convolution(width, 2 * width, 4), nn.ReLU(),
        *convolution(2 * width, 4 * width, 4), nn.ReLU())


def refinement(channels: int, blocks: int) -> nn.Sequential:
    """Residual blocks of two 3 × 3 convolutions, as wide inside as outside."""
    bodies = (
        [*convolution(channels, channels), nn.ReLU(), *convolution(channels, channels)]
        for _ in range(blocks)
    )
    return nn.Sequential(*(Residual(*body) for body in bodies))


def enlargement(channels: int, doublings: int) -> nn.Sequential:
    """Stage-II's way up: each doubling halves the channels; then three, and tanh."""
    widths = [channels // 2**i for i in range(doublings + 1)]
    pairs = zip(widths, widths[1:], strict=False)
    steps = [nn.Sequential(*doubled(wide, narrow), nn.ReLU()) for wide, narrow in pairs]
    return nn.Sequential(*steps, nn.Conv2d(widths[-1], 3, 3, 1, 1), nn.Tanh())


class Stage2Generator(nn.Module):
    """G(x₀, ε, φ(t)): a sketch and its sentence, read again, become a larger picture.

    The sketch [B, 3, s, s] is brought down to s/4 × s/4 (M_g: 16 of 64), joined with a ĉ of its
    own, refined by `blocks` residual blocks, and brought up to [B, 3, S, S] in [−1, 1]. There is
    no z: what a sentence leaves open the sketch has decided. `recomputing.save_memory` trains it in
    less memory.

    Raises ValueError where S is not 2 or 4 times s.
    """

    def __init__(
        self, embed_dim=1024, c_dim=128, width=128, sketch_size=64, image_size=256, blocks=4
    ):
        super().__init__()
        ups = doublings(image_size) - doublings(sketch_size) + 2
        if not 3 <= ups <= 4:
            raise ValueError(f"image_size is {image_size} from sketches of {sketch_size}; expected "
                             "2 or 4 times their side")
        self.noise_dim, wide = c_dim, 4 * width
        self.augment = ConditioningAugmentation(embed_dim, c_dim)
        self.down = sketch_reader(width)
        self.join = nn.Sequential(*convolution(wide + c_dim, wide), nn.ReLU())
        self.refine = refinement(wide, blocks)
        self.up = enlargement(wide, ups)
        self.apply(init_weights)

    def forward(
        self,
        sketch: Float[Tensor, "b 3 r r"],
        eps: Float[Tensor, "b c"],
        embedding: Float[Tensor, "b t"],
    ) -> Float[Tensor, "b 3 s s"]:
        c_hat = reparameterise(*self.augment(embedding), eps)
        seen = self.down(sketch)
        said = c_hat[:, :, None, None].expand(-1, -1, *seen.shape[2:])  # on every place
        return self.up(self.refine(self.join(torch.cat([seen, said], 1))))


class StackGAN(nn.Module):
    """G(noise, φ(t)) of both stages: sentence → sketch → picture; only Stage-II is trained.

    `noise` holds Stage-I's z and ε₀ and then Stage-II's ε. Stage-I stays in evaluation mode,
    whatever mode this is put in, and gets no gradients: neither weights nor the statistics of its
    batch norms move.
    """

    def __init__(self, stage1: AugmentedGenerator, stage2: Stage2Generator):
        super().__init__()
        self.stage1, self.stage2 = stage1.eval().requires_grad_(False), stage2
        self.split = (stage1.noise_dim, stage2.noise_dim)
        self.noise_dim = sum(self.split)

    def train(self, mode: bool = True) -> "StackGAN":
        super().train(mode)
        self.stage1.eval()  # train() goes through all parts; this one is finished
        return self

    def augment(self, embedding: Float[Tensor, "b t"]) -> tuple[Tensor, Tensor]:
        """Stage-II's μ and log σ²: what its KL term is about."""
        return self.stage2.augment(embedding)

    def sketch(
        self, noise: Float[Tensor, "b n"], embedding: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b 3 r r"]:
        """Stage-I's picture, of the first part of the noise."""
        with torch.no_grad():
            return self.stage1(noise[:, : self.split[0]], embedding)

    def forward(
        self, noise: Float[Tensor, "b n"], embedding: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b 3 s s"]:
        eps = noise[:, self.split[0] :]
        return self.stage2(self.sketch(noise, embedding), eps, embedding)


def load_stage1(name: str = "stage1_blooms.safetensors") -> Stage1Generator:
    """The shipped Stage-I: Blooms at 64 × 64; on the CPU, frozen and in evaluation mode.

    Raises FileNotFoundError where the file is missing.
    """
    return load_network(pretrained(name), Stage1Generator)


def load_stackgan(
    stage1: str = "stage1_blooms.safetensors", stage2: str = "stage2_blooms.safetensors"
) -> StackGAN:
    """Both shipped stages: Blooms at 128 × 128; on the CPU, frozen and in evaluation mode.

    Raises FileNotFoundError where a file is missing.
    """
    first, second = load_stage1(stage1), load_network(pretrained(stage2), Stage2Generator)
    return StackGAN(first, second).eval()


def stage1_of_run(run_dir: str | Path) -> Stage1Generator:
    """The averaged Stage-I of a run of notebook 10 or 11 that `fit` kept in `run_dir`.

    On the CPU, frozen and in evaluation mode; its widths are read off its tensors. Raises as
    `checkpoints.load` does, CheckpointError where the run's generator is no Stage-I.
    """
    state = gan_cls.average_of_run(run_dir)
    try:
        codes, embed_dim = state["augment.linear.weight"].shape
        numbers, in_dim = state["trunk.0.linear.weight"].shape
        trunk = {k.split(".")[1]: v for k, v in state.items() if k[:5] == "trunk" and v.dim() == 4}
        width = trunk[max(trunk, key=int)].shape[1]  # of the last convolution, to three channels
        c_dim = codes // 2
        image_size = 8 * numbers // 16 // width
        generator = Stage1Generator(in_dim - c_dim, embed_dim, c_dim, width, image_size)
        generator.load_state_dict(state)
    except (KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{run_dir}: found a generator with {', '.join([*state][:3])}, …; "
                              "expected a Stage1Generator, as notebook 10 keeps one in its folder "
                              "`stage1`") from error
    return generator.eval().requires_grad_(False)
