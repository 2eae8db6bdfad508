"""Answers of learners that a check once got wrong: it took them, or it refused what is right."""

WRONG = {
    ("00_text_to_image", 1): [
        (
            r"""
def between(phi_a, phi_b, steps):
    points = [phi_a, phi_b]
    while len(points) < steps:
        finer = [points[0]]
        for left, right in zip(points, points[1:]):
            finer += [(left + right) / 2, right]
        points = finer
    return torch.stack(points[:steps])
""",
            "the last row must be phi",
        ),
        (
            r"""
def between(phi_a, phi_b, steps):
    h = 1 / (steps - 1)
    shares = torch.arange(0, 1 + h, h, device=phi_a.device)[:, None]
    return (1 - shares) * phi_a + shares * phi_b
""",
            "points between",
        ),
        (
            r"""
def between(phi_a, phi_b, steps):
    shares = [round(i / (steps - 1), 2) for i in range(steps)]
    return torch.stack([(1 - share) * phi_a + share * phi_b for share in shares])
""",
            "the points must be evenly spaced",
        ),
        (
            r"""
def between(phi_a, phi_b, steps):
    low, high = torch.minimum(phi_a, phi_b), torch.maximum(phi_a, phi_b)
    shares = torch.linspace(0, 1, steps, device=phi_a.device)[:, None]
    return low + shares * (high - low)
""",
            "both ends are included",
        ),
    ],
    ("00_text_to_image", 2): [
        (
            r"""
def most_obedient(seen, named):
    wanted = named.clamp(min=0)
    return (seen == wanted).sum(1).argmax().item()
""",
            "and return the place of the most",
        ),
        (
            r"""
def most_obedient(seen, named):
    hits = ((seen == named) & (named >= 0)).sum(1)
    return hits.argsort(descending=True)[0].item()
""",
            "of pictures that are equally right the first",
        ),
        (
            r"""
def most_obedient(seen, named):
    seen, named = seen[:, :7], named[:7]
    says = named >= 0
    return (seen[:, says] == named[says]).sum(1).argmax().item()
""",
            "and return the place of the most",
        ),
        (
            r"""
def most_obedient(seen, named):
    best, most = None, 0
    for place, row in enumerate(seen):
        hits = int(((row == named) & (named >= 0)).sum())
        if hits > most:
            best, most = place, hits
    return best
""",
            "where nothing is named all pictures are equa",
        ),
    ],
    ("00_text_to_image", 3): [
        (
            r"""
one_in = {"a red flower": 7, "a small flower": 2, "a small red flower": 14}



def left_open(sentence, still_open=dict(blooms.ATTRIBUTES)):
    for name in blooms.parse(sentence):
        still_open.pop(name, None)
    count = 1
    for values in still_open.values():
        count *= len(values)
    return count
""",
            "how many values are possible",
        ),
    ],
    ("01_minimax_game", 2): [
        (
            r"""
def missing_modes(points, centres, radius, share=0.01):
    angle = torch.atan2(centres[:, 1], centres[:, 0]) % (2 * math.pi)
    centres = centres[angle.argsort()]
    distance, mode = torch.cdist(points, centres).min(1)
    counts = mode[distance < radius].bincount(minlength=len(centres))
    return [i for i, n in enumerate(counts.tolist()) if n < share * len(points)]
""",
            "the modes have",
        ),
    ],
    ("01_minimax_game", 3): [
        (
            r"""
def gan_step(G, D, opt_G, opt_D, x, z):
    s_real, s_fake = D(torch.cat([x, G(z).detach()])).chunk(2)
    loss_D = F.softplus(-s_real).mean() + F.softplus(s_fake).mean()
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = F.softplus(-D(G(z))).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()
""",
            "s gradient begins with",
        ),
    ],
    ("02_dcgan", 1): [
        (
            r"""
def transposed_conv1d(x, kernel, stride, padding):
    return F.conv_transpose1d(x[None, None], kernel[None, None], stride=stride,
                              padding=padding).squeeze()
""",
            "expected",
        ),
    ],
    ("02_dcgan", 3): [
        (
            r"""
ratio_is_nearer_to = 1
share_of_suspects = 0.43



def suspects(fake, train, held_out, q=0.05):
    def away(pictures):
        return torch.cdist(pictures.flatten(1), train.flatten(1)).min(1).values

    usual = away(held_out).sort().values
    threshold = usual[int(q * (len(usual) - 1))]
    return (away(fake) < threshold).float().mean().item()
""",
            "expected",
        ),
        (
            r"""
ratio_is_nearer_to = 1
share_of_suspects = 0.43



def suspects(fake, train, held_out, q=0.05):
    def away(pictures):
        gap = pictures.flatten(1)[:, None] - train.flatten(1)[None]
        return gap.square().sum(2).min(1).values

    return (away(fake) < torch.quantile(away(held_out), q)).float().mean().item()
""",
            "not their squares",
        ),
        (
            r"""
ratio_is_nearer_to = 1
share_of_suspects = 0.43



def suspects(fake, train, held_out, q=0.05):
    def away(pictures):
        return torch.cdist(pictures.flatten(1), train.flatten(1)).min(1).values

    fake = fake.unique(dim=0)
    return (away(fake) < torch.quantile(away(held_out), q)).float().mean().item()
""",
            "expected",
        ),
    ],
    ("03_captions", 2): [
        (
            r"""
def may_mirror(sentences):
    pattern = re.compile(r"\bleft\b|\bright\b(?!\s+(in|above|at|below)\b)|clockwise", re.I)
    return not any(pattern.search(sentence) for sentence in sentences)
""",
            "whatever stands beside it",
        ),
        (
            r"""
def may_mirror(sentences):
    pattern = r"\b(left|right|clockwise|anticlockwise|counterclockwise)\b"
    return not any(re.search(pattern, sentence, re.IGNORECASE) for sentence in sentences)
""",
            "petals curl contraclockwise here",
        ),
    ],
    ("04_text_encoder", 1): [
        (
            r"""
def field_of_view(layers):
    import torch
    from torch import nn

    net = nn.Sequential(*[nn.Conv1d(1, 1, w, s, bias=False).double() for w, s in layers])
    for layer in net:
        nn.init.ones_(layer.weight)
    x = torch.ones(1, 1, 201, dtype=torch.float64, requires_grad=True)
    y = net(x)[0, 0]
    seen = [torch.autograd.grad(y[i], x, retain_graph=True)[0][0, 0].nonzero()[:, 0]
            for i in (0, 1)]
    return len(seen[0]), int(seen[1][0] - seen[0][0])
""",
            "Calculated padded input size per channel",
        ),
    ],
    ("05_measuring", 2): [
        (
            r"""
def copying_share(fake, train, held_out, q=0.01):
    near, yard = (torch.cdist(x, train).amin(1) for x in (fake, held_out))
    return (near <= yard.quantile(q)).float().mean().item()
""",
            "what is just as near does not count",
        ),
        (
            r"""
def copying_share(fake, train, held_out, q=0.01):
    near = torch.cdist(fake, train).amin(1)
    ordered = torch.cdist(held_out, train).amin(1).sort().values
    yard = ordered[int(q * len(ordered)) - 1]
    return (near < yard).float().mean().item()
""",
            "are nearer than the yardstick",
        ),
        (
            r"""
def copying_share(fake, train, held_out, q=0.01):
    middle = train.mean(0)
    for features in (fake, train, held_out):
        features -= middle  # distances are more exact near the origin
    near, yard = (torch.cdist(x, train).amin(1) for x in (fake, held_out))
    return (near < yard.quantile(q)).float().mean().item()
""",
            "the features were changed",
        ),
    ],
    ("05_measuring", 3): [
        (
            r"""
def coin_card():
    return {"all three": 0.525, "sensitivity": 0.525, "Fréchet": 1.0,
            "copying": "as real", "why": "c"}
""",
            "what is right by chance is right as often wh",
        ),
        (
            r"""
def coin_card():
    return {"all three": 0.525, "sensitivity": 0.525 - 0.05, "Fréchet": 1.0,
            "copying": "as real", "why": "c"}
""",
            "from which what is right by chance is taken",
        ),
    ],
    ("07_gan_cls", 2): [
        (
            r"""
def wrong_in_batch(classes, generator):
    lots = torch.rand(len(classes), len(classes), generator=generator)
    lots = lots.masked_fill(classes[:, None] == classes[None, :], -1)
    best, chosen = lots.max(1)
    if (best < 0).any():
        raise ValueError("a picture has no other class in this batch")
    return chosen
""",
            "raise before drawing",
        ),
    ],
    ("07_gan_cls", 3): [
        (
            r"""
def sentence_sensitivity(draw, z1, z2, phi1, phi2):
    with torch.no_grad():
        base = draw(z1, phi1)
        moved, turned = draw(z1, phi2), draw(z2, phi1)
        moved -= base
        turned -= base
        return (moved.abs_().mean() / turned.abs_().mean()).item()
""",
            "pictures that draw gave were changed",
        ),
    ],
    ("09_conditioning_augmentation", 2): [
        (
            r"""
def kl_between(mu, logvar, other_mu, other_logvar):
    logvar = logvar.clamp(-4, 4)
    other_logvar = other_logvar.clamp(-4, 4)
    ratio = (logvar.exp() + (mu - other_mu) ** 2) * torch.exp(-other_logvar)
    return 0.5 * (other_logvar - logvar + ratio - 1).sum(-1)
""",
            "s pieces against yours",
        ),
    ],
    ("09_conditioning_augmentation", 3): [
        (
            r"""
def variations(row, z_dim, keep, number, generator):
    kept = row.expand(number, -1)
    new = torch.randn(number, row.numel(), generator=generator)
    if keep == "z":
        return torch.cat([kept[:, :z_dim], new[:, z_dim:]], dim=1)
    if keep == "ε":
        return torch.cat([new[:, :z_dim], kept[:, z_dim:]], dim=1)
    if keep == "both":
        return kept.clone()
    raise ValueError("keep must be z, ε or both")
""",
            "the result torch",
        ),
    ],
}

RIGHT = {
    ("00_text_to_image", 1): [
        r"""
import numpy as np

def between(phi_a, phi_b, steps):
    a, b = (phi.detach().cpu().double().numpy() for phi in (phi_a, phi_b))
    return torch.from_numpy(np.linspace(a, b, steps, axis=0)).to(phi_a)
""",
        r"""
def between(phi_a, phi_b, steps):
    columns = [torch.linspace(float(start), float(end), steps)
               for start, end in zip(phi_a.tolist(), phi_b.tolist())]
    return torch.stack(columns, dim=1).to(device=phi_a.device, dtype=phi_a.dtype)
""",
    ],
    ("01_minimax_game", 3): [
        r"""
def gan_step(G, D, opt_G, opt_D, x, z):
    fake = G(z)

    def turn_of_D():
        opt_D.zero_grad()
        loss = F.softplus(-D(x)).mean() + F.softplus(D(fake.detach())).mean()
        loss.backward()
        return loss

    def turn_of_G():
        opt_G.zero_grad(set_to_none=False)
        loss = F.softplus(-D(fake)).mean()
        loss.backward()
        return loss

    loss_D = opt_D.step(turn_of_D).item()
    return loss_D, opt_G.step(turn_of_G).item()
""",
    ],
    ("04_text_encoder", 3): [
        r"""
from fractions import Fraction


def predictions():
    return dict(why="c", nothing=Fraction(1, 20), centre=5 * Fraction(4, 20) / 5,
                background=(1 - Fraction(3, 4) ** 20) / 5) | {"all three": 1}
""",
    ],
    ("07_gan_cls", 1): [
        r"""
from fractions import Fraction as Q


def best(p, p_w, q, weight_w=Q(1, 2), weight_f=Q(1, 2)):
    return p / (p + weight_w * p_w + weight_f * q)


def predictions():
    one, nought = Q(1), Q(0)
    return {
        "why": "b",
        "perfect": best(one, nought, one),
        "naive": best(one, nought, one, 0, 1),
        "no half": best(one, nought, one, 1, 1),
        "blind": best(one, nought, Q(1, 5)),
        "half": best(one, nought, Q(1, 2) + Q(1, 2) / 5),
        "a third": best(one, Q(1, 3), one),
        "wrong pair": best(nought, Q(1, 4), nought),
    }
""",
    ],
}
