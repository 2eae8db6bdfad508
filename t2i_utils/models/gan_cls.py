"""GAN-CLS: a DCGAN whose two players both read the sentence (Reed et al. 2016, section 4)."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from t2i_utils import checkpoints
from t2i_utils.checkpoints import load_network
from t2i_utils.lesson import pretrained
from t2i_utils.models.dcgan import discriminator_trunk, generator_trunk, init_weights


class Generator(nn.Module):
    """G(z, φ(t)): noise and a compressed sentence, side by side, become a picture."""

    def __init__(self, z_dim=100, embed_dim=1024, text_dim=128, width=64, image_size=64):
        super().__init__()
        self.z_dim = z_dim
        self.compress = nn.Sequential(nn.Linear(embed_dim, text_dim), nn.LeakyReLU(0.2))
        self.trunk = generator_trunk(z_dim + text_dim, width, image_size)
        self.apply(init_weights)

    def forward(
        self, z: Float[Tensor, "b z"], embedding: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b 3 s s"]:
        joined = torch.cat([z, self.compress(embedding)], 1)  # [B, 100 + 128]
        return self.trunk(joined[:, :, None, None])  # [B, 3, S, S] in [−1, 1]


class Discriminator(nn.Module):
    """D(x, φ(t)): one logit for "this picture is real and this sentence is about it"."""

    def __init__(self, embed_dim=1024, text_dim=128, width=64, image_size=64):
        super().__init__()
        features = width * image_size // 8  # channels of the trunk's 4 × 4 map
        self.trunk = discriminator_trunk(width, image_size)
        self.compress = nn.Sequential(nn.Linear(embed_dim, text_dim), nn.LeakyReLU(0.2))
        self.joint = nn.Sequential(
            nn.Conv2d(features + text_dim, features, 1, bias=False),
            nn.BatchNorm2d(features),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(features, 1, 4),  # 4×4 → one score
        )
        self.apply(init_weights)

    def score(
        self, features: Float[Tensor, "b c 4 4"], embedding: Float[Tensor, "b t"]
    ) -> Float[Tensor, " b"]:
        """Logits of picture features with sentences; one look at a picture serves any sentence."""
        text = self.compress(embedding)[:, :, None, None].expand(-1, -1, 4, 4)  # on every place
        return self.joint(torch.cat([features, text], 1)).flatten()

    def forward(
        self, images: Float[Tensor, "b 3 s s"], embedding: Float[Tensor, "b t"]
    ) -> Float[Tensor, " b"]:
        return self.score(self.trunk(images), embedding)


def three_scores(
    D: Discriminator,
    images: Float[Tensor, "b 3 s s"],
    fake: Float[Tensor, "b 3 s s"],
    embedding: Float[Tensor, "b t"],
    wrong_embedding: Float[Tensor, "b t"],
) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"], Float[Tensor, " b"]]:
    """s_r, s_w, s_f: real with its sentence, real with a wrong one, fake with its sentence.

    All are judged in one batch, so that batch norm cannot tell a kind by its company; each picture
    is looked at once. Batches of real and fake pictures are of one size.
    """
    real, drawn = D.trunk(torch.cat([images, fake])).split(len(images))  # one look at each
    looks = torch.cat([real, real, drawn])
    texts = torch.cat([embedding, wrong_embedding, embedding])
    return D.score(looks, texts).split(len(images))


def load_generator(name: str = "gan_cls_blooms.safetensors") -> Generator:
    """A shipped generator of GAN-CLS as published; on the CPU, frozen and in evaluation mode.

    "gan_cls_early_blooms.safetensors" is the same after a tenth of the steps. Raises
    FileNotFoundError where the file is missing.
    """
    return load_network(pretrained(name), Generator)


def average_of_run(run_dir: str | Path) -> dict[str, Tensor]:
    """The weights of the averaged generator of a run that `fit` kept in `run_dir`, by their names.

    Raises as `checkpoints.load` does.
    """
    kept = checkpoints.read(Path(run_dir) / checkpoints.CHECKPOINT).networks["G_avg"]
    return {k.removeprefix("module."): v for k, v in kept.items() if k.startswith("module.")}


def generator_of_run(run_dir: str | Path) -> Generator:
    """The averaged generator of a run of notebook 07 that `fit` kept in `run_dir`.

    On the CPU, frozen and in evaluation mode; its widths are read off its tensors. Raises as
    `checkpoints.load` does.
    """
    state = average_of_run(run_dir)
    maps = {int(k.split(".")[1]): v for k, v in state.items() if k[:6] == "trunk." and v.dim() == 4}
    maps = [maps[layer] for layer in sorted(maps)]
    text_dim, embed_dim = state["compress.0.weight"].shape
    image_size = 4 * 2 ** (len(maps) - 1)  # 1×1 → 4×4, then doubled by each
    generator = Generator(len(maps[0]) - text_dim, embed_dim, text_dim, len(maps[-1]), image_size)
    generator.load_state_dict(state)
    return generator.eval().requires_grad_(False)
