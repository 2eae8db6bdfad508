"""Train the small networks that `data/pretrained/` ships: `python tools/make_pretrained.py NAME`.

`text_encoder` and `classifier` train on Blooms on a CPU in about a quarter of an hour each.
"""

import json
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import t2i_utils
from t2i_utils.checkpoints import save_weights
from t2i_utils.data.blooms import ATTRIBUTES, NAMES, load_blooms
from t2i_utils.data.captioned import to_unit
from t2i_utils.metrics import AttributeClassifier
from t2i_utils.models.char_cnn_rnn import CharCNNRNN, to_characters
from t2i_utils.objectives import joint_embedding_loss

HERE = Path(__file__).parent.parent / "data" / "pretrained"


def picture_encoder(embed_dim: int, width: int = 32) -> nn.Sequential:
    """θ(v): a small CNN that is trained along with the text encoder."""
    layers, channels = [], 3
    for wide in (width, width * 2, width * 4, width * 8):
        layers += [nn.Conv2d(channels, wide, 4, 2, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
        channels = wide
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 4, embed_dim))


def one_of_each_class(data, split, per_batch, generator):
    """A picture of each of `per_batch` different classes: a batch of the joint embedding.

    The first classes share two petal colours. Among rivals of one colour only shape, centre, size
    and the rest tell a sentence's picture; in a batch of all colours these are hardly ever needed.
    """
    indices = data.splits[split]
    members = {
        c: indices[data.classes[indices] == c] for c in data.classes[indices].unique().tolist()
    }
    names = torch.tensor(sorted(members))
    petal_colour = torch.zeros(len(data.class_names), dtype=torch.int64)
    petal_colour[data.classes] = data.attributes[:, 0]
    while True:
        colours = torch.randperm(len(ATTRIBUTES["petal_colour"]), generator=generator)[:2]
        order = names[torch.randperm(len(names), generator=generator)]
        alike = torch.isin(petal_colour[order], colours)
        chosen = torch.cat([order[alike], order[~alike]])[:per_batch].tolist()
        yield torch.stack(
            [members[c][torch.randint(len(members[c]), (), generator=generator)] for c in chosen]
        )


@torch.no_grad()
def retrieval(encoder, theta, data, split, generator, trials=40):
    """Share of sentences that find their own class among one picture of each class of a split."""
    right = []
    encoder.eval(), theta.eval()
    for _, pictures in zip(
        range(trials), one_of_each_class(data, split, 1000, generator), strict=False
    ):
        numbers = torch.randint(10, (len(pictures),), generator=generator)
        sentences = [
            data.captions[p][k] for p, k in zip(pictures.tolist(), numbers.tolist(), strict=True)
        ]
        v = theta(to_unit(torch.from_numpy(data.images[pictures.numpy()])))
        right.append((encoder.encode(sentences) @ v.T).argmax(1) == torch.arange(len(pictures)))
    encoder.train(), theta.train()
    return torch.cat(right).float().mean().item()


def text_encoder(steps=3000, batch=48):
    """The joint embedding on the training classes of Blooms; the unseen ones only measure it."""
    widths = {"embed_dim": 256, "channels": [128, 192, 256], "rnn": 256}
    torch.manual_seed(0)
    data = load_blooms(20000, 32)
    encoder, theta = (
        CharCNNRNN(256, (128, 192, 256), 256),
        picture_encoder(256).to(memory_format=torch.channels_last),
    )
    optimiser = torch.optim.Adam([*encoder.parameters(), *theta.parameters()], lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-3, total_steps=steps)
    generator = torch.Generator().manual_seed(0)
    stream, started = one_of_each_class(data, "train", batch, generator), time.time()
    for step in range(steps):
        pictures = next(stream)
        numbers = torch.randint(10, (len(pictures),), generator=generator).tolist()
        sentences = [data.captions[p][k] for p, k in zip(pictures.tolist(), numbers, strict=True)]
        images = to_unit(torch.from_numpy(data.images[pictures.numpy()]))
        if step % 2:
            images = images.flip(-1)
        loss = joint_embedding_loss(
            theta(images), encoder(to_characters(sentences)), data.classes[pictures]
        )
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*encoder.parameters(), *theta.parameters()], 5.0)
        optimiser.step(), schedule.step()
        if step % 250 == 249:
            seen, unseen = (retrieval(encoder, theta, data, s, torch.Generator().manual_seed(1), 10)
                            for s in ("seen_test", "test"))  # fmt: skip
            print(
                f"{step + 1} loss {loss.item():.3f} seen {seen:.3f} unseen {unseen:.3f} {time.time() - started:.0f}s",
                flush=True,
            )
    unseen = retrieval(encoder, theta, data, "test", torch.Generator().manual_seed(2))
    standardise(encoder, data)
    card = {
        "widths": json.dumps(widths),
        "trained_on": "Blooms: 84 training classes of 20,000 flowers at 32 px",
        "recipe": f"structured joint embedding, {steps} steps of {batch} classes, Adam, one cycle",
        "measured": f"sentence to picture, top-1 of 20 unseen classes: {unseen:.3f} (chance 0.05)",
        "t2i_utils": t2i_utils.__version__,
    }
    save_weights(HERE / "char_cnn_rnn_blooms.safetensors", encoder, card)


@torch.no_grad()
def standardise(encoder, data):
    """Shift and scale φ(t) to mean 0 and spread 1 over training sentences.

    The hinge leaves φ small and off-centre, and the linear layers of G and D, which start with
    weights of 0.02, would hardly hear it. Scaling θ(v) the other way would undo it, so nothing is
    lost: the order of compatibilities of one picture's sentences stays as it was trained.
    """
    pictures = data.splits["train"][:2000].tolist()
    phi = encoder.encode([data.captions[p][k] for p in pictures for k in range(10)])
    spread = (phi - phi.mean(0)).std()
    encoder.project.weight.div_(spread)
    encoder.project.bias.sub_(phi.mean(0)).div_(spread)


def roughen(images, generator):
    """Blur and noise, at random: generated pictures are never as clean as drawn ones."""
    if torch.rand((), generator=generator) < 0.5:
        images = F.interpolate(F.interpolate(images, (32, 32), mode="bilinear", antialias=True), (64, 64),
                               mode="bilinear")  # fmt: skip
    strength = torch.rand(len(images), 1, 1, 1, generator=generator) * 0.15
    return (images + strength * torch.randn(images.shape, generator=generator)).clamp(-1, 1)


def classifier(steps=1800, batch=96):
    """The measuring device: trained on every class, unseen ones too, on flowers of its own seed."""
    torch.manual_seed(0)
    data, generator = load_blooms(20000, 64, seed=1), torch.Generator().manual_seed(0)
    held_out, model, started = (
        torch.arange(20000) % 20 == 0,
        AttributeClassifier().to(memory_format=torch.channels_last),
        time.time(),
    )
    train, test = torch.nonzero(~held_out).flatten(), torch.nonzero(held_out).flatten()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    for step in range(steps):
        rows = train[torch.randint(len(train), (batch,), generator=generator)]
        images = roughen(to_unit(torch.from_numpy(data.images[rows.numpy()])), generator)
        if step % 2:
            images = images.transpose(-1, -2)
        answers = model(images)
        loss = sum(
            F.cross_entropy(answers[k], data.attributes[rows, i]) for i, k in enumerate(NAMES)
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step(), schedule.step()
        if step % 250 == 249 or step == steps - 1:
            model.eval()
            right = (
                model.read(to_unit(torch.from_numpy(data.images[test.numpy()])))
                == data.attributes[test]
            )
            small = F.interpolate(
                to_unit(torch.from_numpy(data.images[test.numpy()])),
                (32, 32),
                mode="bilinear",
                antialias=True,
            )
            right_small = model.read(small) == data.attributes[test]
            model.train()
            scores = {
                k: round(right[:, i].float().mean().item(), 3) for i, k in enumerate(ATTRIBUTES)
            }
            scores_small = {
                k: round(right_small[:, i].float().mean().item(), 3)
                for i, k in enumerate(ATTRIBUTES)
            }
            print(
                f"{step + 1} loss {loss.item():.3f} {scores} {scores_small} {time.time() - started:.0f}s",
                flush=True,
            )
    save_weights(HERE / "attribute_classifier_blooms.safetensors", model, {
        "trained_on": "Blooms, all classes, 19,000 flowers at 64 px of a seed that no notebook uses",
        "recipe": f"{steps} steps of {batch}, AdamW one cycle, pictures blurred and noised at random",
        "measured": json.dumps({"64 px": scores, "32 px": scores_small}), "t2i_utils": t2i_utils.__version__,
    })  # fmt: skip


if __name__ == "__main__":
    makers = {"text_encoder": text_encoder, "classifier": classifier}
    if len(sys.argv) != 2 or sys.argv[1] not in makers:
        sys.exit(f"found {sys.argv[1:]}; expected one of {sorted(makers)}")
    makers[sys.argv[1]]()
