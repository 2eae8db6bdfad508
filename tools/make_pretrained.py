"""Train the small networks that `data/pretrained/` ships: `python tools/make_pretrained.py NAME`.

On a CPU `text_encoder` and `classifier` take a quarter of an hour each, `generator` half an hour;
a folder behind `generator` keeps its checkpoints, so that it can be resumed.
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
from t2i_utils.data.captioned import Batches, to_unit
from t2i_utils.metrics import AttributeClassifier, attribute_accuracy, load_attribute_classifier
from t2i_utils.models.char_cnn_rnn import CharCNNRNN, load_text_encoder, to_characters
from t2i_utils.models.gan_cls import Discriminator, Generator
from t2i_utils.objectives import generator_loss, joint_embedding_loss, matching_aware_loss
from t2i_utils.training import Players, fit, frozen

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


def text_encoder(steps=2400, batch=48):
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
            took = f"{time.time() - started:.0f} s"
            print(f"{step + 1} loss {loss.item():.3f} seen {seen:.3f} unseen {unseen:.3f} {took}")
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
        images = F.interpolate(shrunk(images), (64, 64), mode="bilinear")
    strength = torch.rand(len(images), 1, 1, 1, generator=generator) * 0.15
    return (images + strength * torch.randn(images.shape, generator=generator)).clamp(-1, 1)


def shrunk(images):
    return F.interpolate(images, (32, 32), mode="bilinear", antialias=True)


def shares_right(model, images, attributes):
    """Share of pictures whose attribute the classifier reads rightly, for each attribute."""
    right = (model.eval().read(images) == attributes).float().mean(0).tolist()
    model.train()
    return {name: round(share, 3) for name, share in zip(NAMES, right, strict=True)}


def classifier(steps=1800, batch=96):
    """The measuring device: trained on every class, unseen ones too, on flowers of its own seed."""
    torch.manual_seed(0)
    data, generator = load_blooms(20000, 64, seed=1), torch.Generator().manual_seed(0)
    held_out = torch.arange(20000) % 20 == 0
    model = AttributeClassifier().to(memory_format=torch.channels_last)
    train, test = torch.nonzero(~held_out).flatten(), torch.nonzero(held_out).flatten()
    test_images = to_unit(data.images[test.numpy()])
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    for step in range(steps):
        rows = train[torch.randint(len(train), (batch,), generator=generator)]
        images = roughen(to_unit(data.images[rows.numpy()]), generator)
        if step % 2:
            images = images.transpose(-1, -2)
        answers, truth = model(images), data.attributes[rows]
        loss = sum(F.cross_entropy(answers[k], truth[:, i]) for i, k in enumerate(NAMES))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step(), schedule.step()
        if step % 250 == 249 or step == steps - 1:
            scores = {
                "64 px": shares_right(model, test_images, data.attributes[test]),
                "32 px": shares_right(model, shrunk(test_images), data.attributes[test]),
            }
            print(f"{step + 1} loss {loss.item():.3f} {scores}")
    card = {
        "trained_on": "Blooms: 19,000 flowers of all classes at 64 px, of a seed of their own",
        "recipe": f"{steps} steps of {batch}, AdamW, one cycle; pictures blurred and noised",
        "measured": json.dumps(scores),
        "t2i_utils": t2i_utils.__version__,
    }
    save_weights(HERE / "attribute_classifier_blooms.safetensors", model, card)


def gan_cls_step(players, batch):
    """The step that notebook 07 teaches, and a term that keeps G listening to its noise.

    With GAN-CLS's loss alone G soon answers a sentence with one picture, whatever z is. Here two
    draws for one sentence are pushed apart (mode seeking, Mao et al. 2019, equation 3).
    """
    G, D = players.G, players.D
    z, other_z = torch.randn(2, len(batch.images), G.z_dim)
    fake = G(z, batch.embedding)
    features = D.trunk(batch.images)
    s_r = D.score(features, batch.embedding)
    s_w = D.score(features, batch.wrong_embedding)
    s_f = D(fake.detach(), batch.embedding)
    loss_D = matching_aware_loss(s_r, s_w, s_f)
    players.update_D(loss_D)
    with frozen(D):
        apart = (G(other_z, batch.embedding) - fake).abs().mean((1, 2, 3))
        loss_G = generator_loss(D(fake, batch.embedding)) + (0.05 / (apart + 0.01)).mean()
        players.update_G(loss_G)
    scores = {"s_r": s_r.mean(), "s_w": s_w.mean(), "s_f": s_f.mean()}
    return {"loss_D": loss_D, "loss_G": loss_G, **scores, "apart": apart.mean()}


def generator(steps=2600, batch=32, run_dir=None):
    """GAN-CLS as notebook 07 has it, at 64 pixels and for longer; notebook 00 draws with it."""
    torch.manual_seed(0)
    data, encoder = load_blooms(6000, 64), load_text_encoder()
    embeddings = data.encode(encoder.encode)
    widths = {"z_dim": 100, "embed_dim": 256, "text_dim": 128, "width": 32, "image_size": 64}
    G = Generator(**widths)
    D = Discriminator(**{k: v for k, v in widths.items() if k != "z_dim"})
    opt_G, opt_D = (torch.optim.Adam(p.parameters(), 4e-4, (0.5, 0.999)) for p in (G, D))
    fall = [torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.1, steps) for o in (opt_G, opt_D)]
    players = Players(G, D, opt_G, opt_D, schedulers=fall, ema_decay=0.995)
    batches = Batches(data, embeddings, "train", batch, seed=0)
    fit(players, batches, gan_cls_step, steps=steps, run_dir=run_dir, checkpoint_every=250)
    rows = data.splits["test"]
    numbers = torch.randint(10, (len(rows),), generator=torch.Generator().manual_seed(0))
    z = torch.randn(len(rows), 100, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        drawn = players.G_avg.eval()(z, embeddings[rows, numbers].float())
    measured = attribute_accuracy(load_attribute_classifier(), drawn, data.named[rows, numbers])
    print(measured)
    card = {
        "widths": json.dumps(widths),
        "trained_on": "Blooms: the training classes of 6,000 flowers at 64 px",
        "recipe": f"GAN-CLS and mode seeking, {steps} steps of {batch}, Adam 4e-4 falling to 4e-5",
        "measured": json.dumps({k: round(v, 3) for k, v in measured.items()}),
        "t2i_utils": t2i_utils.__version__,
    }
    save_weights(HERE / "gan_cls_blooms.safetensors", players.G_avg.module, card)


if __name__ == "__main__":
    makers = {"text_encoder": text_encoder, "classifier": classifier, "generator": generator}
    if len(sys.argv) < 2 or sys.argv[1] not in makers:
        sys.exit(f"found {sys.argv[1:]}; expected one of {', '.join(makers)}")
    makers[sys.argv[1]](**({"run_dir": sys.argv[2]} if len(sys.argv) > 2 else {}))
