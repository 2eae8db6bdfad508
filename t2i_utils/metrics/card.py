"""The report card: the same rows for every generator, with floor, parrot and ceiling beside."""

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import nan

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from tqdm.auto import tqdm

from t2i_utils.data.blooms import ATTRIBUTES, CLASS_ATTRIBUTES, NAMES
from t2i_utils.data.captioned import to_unit
from t2i_utils.data.grammar import DETAILS
from t2i_utils.lesson import seed_for
from t2i_utils.metrics.attributes import load_attribute_classifier, load_second_classifier
from t2i_utils.metrics.distances import (
    frechet_of_moments,
    kernel_mmd,
    nearest,
    precision_and_recall,
)
from t2i_utils.metrics.exams import Draw, Encode, Exam, encoded
from t2i_utils.metrics.matching import finds_its_sentence
from t2i_utils.metrics.pixels import COLOURS, colour_of_centre
from t2i_utils.models import noise_dim

CHUNK = 1024  # pictures at a time: memory does not grow with their number
SLOW = CHUNK  # pictures that θ and the second classifier look at
BLOCK = 256  # pictures of a KID
GROUPS = 16  # of the jackknife, at most; half as many at least
LEAST = 8  # pictures of a group
PARTS = 8  # of precision and recall, for their error
EIGHT = 8  # pictures of one sentence, for diversity
SENTENCES_OF_EIGHT = 64
CHANNELS_LAST = torch.channels_last  # faster for convolutions, on a CPU too
ALL_THREE = "all three"
BESIDE = ("blind", "parrot", "ceiling")
Measure = tuple[float, float]  # a value and its standard error
Pictures = Callable[[Int64[Tensor, " m"], int], Tensor]


@dataclass(frozen=True)
class Judges:
    """The networks that look, on one device; `name` says which features distances are taken in."""

    classifier: nn.Module
    second: nn.Module | None
    theta: nn.Module | None
    features: Callable[[Float[Tensor, "b 3 s s"]], Float[Tensor, "b d"]]
    name: str
    device: torch.device

    @torch.no_grad()
    def look(self, by: Callable, images: Float[Tensor, "n 3 s s"]) -> Tensor:
        """What one of the networks says of pictures, on the CPU."""
        parts = (part.to(self.device, memory_format=CHANNELS_LAST) for part in images.split(64))
        return torch.cat([by(part).float().cpu() for part in parts])

    def attributes(
        self, images: Float[Tensor, "n 3 s s"], features: Float[Tensor, "n d"]
    ) -> Int64[Tensor, "n a"]:
        """What the classifier reads; from its own features where it is those that are given."""
        if self.features == self.classifier.features:
            return self.classifier.read_features(features.to(self.device)).cpu()
        return self.look(self.classifier.read, images).long()


def judges(
    side: int = 64, theta: nn.Module | None = None, device: torch.device | str = "cpu",
    features: nn.Module | None = None,
) -> Judges:
    """The shipped classifiers, for pictures of that side, and θ (`load_picture_encoder`), if given.

    Distances are taken in the classifier's features: the Fréchet Blooms distance, never FID. With
    `features`, a module that maps pictures to them and has a `name`, in another network's:
    `InceptionFeatures()` makes them FID and KID as papers have them.
    """
    device = torch.device(device)
    faster = {"device": device, "memory_format": CHANNELS_LAST}
    classifier = load_attribute_classifier(128 if side >= 128 else 64).to(**faster)
    second = load_second_classifier().to(**faster)
    theta = theta if theta is None else theta.to(**faster)
    if features is None:
        name = f"the attribute classifier of {classifier.side} px"
        return Judges(classifier, second, theta, classifier.features, name, device)
    return Judges(classifier, second, theta, features.to(device), features.name, device)


@dataclass(frozen=True, repr=False)
class Card:
    """Rows of measures, a column each for generator, blind floor, parrot and ceiling; its face."""

    face: str
    columns: Mapping[str, Mapping[str, Measure]]

    def numbers(self, column: str) -> dict[str, float]:
        """A column's values by row, as `Lesson.record` takes them, without what is not known."""
        return {row: value for row, (value, _) in self.columns[column].items() if value == value}

    def _cells(self) -> dict[str, list[str]]:
        """Row → a cell for each column."""
        rows = next(iter(self.columns.values()))
        return {row: [_cell(*own[row]) for own in self.columns.values()] for row in rows}

    def __str__(self) -> str:
        table = self._cells()
        label = max(map(len, table))
        columns = zip(self.columns, *table.values(), strict=True)
        widths = [2 + max(map(len, column)) for column in columns]
        lines = [
            f"{row:{label}}" + "".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))
            for row, cells in {"": list(self.columns), **table}.items()
        ]
        return "\n".join([*lines, "", self.face])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in self.columns)
        lines = "".join(
            f'<tr><th scope="row" style="text-align: left">{html.escape(row)}</th>'
            + "".join(f"<td>{c.replace(' ± ', '<br>± ')}</td>" for c in cells) + "</tr>"
            for row, cells in self._cells().items()
        )  # fmt: skip
        return (f'<table style="font-size: 80%"><caption>{html.escape(self.face)}</caption>'
                f"<thead><tr><td></td>{head}</tr></thead><tbody>{lines}</tbody></table>")


def _cell(value: float, error: float) -> str:
    if value != value:
        return "–"
    digits = 3 if abs(value) < 2 else 1
    return f"{value:.{digits}f}" + (f" ± {error:.{digits}f}" if error == error else "")


def report_card(draw: Draw | Mapping[str, Draw], exam: Exam, judges: Judges) -> Card:
    """Ask one generator, or several by name, all of the exam, and measure every row.

    A generator is anything that answers sentences and a seed with pictures in [−1, 1]. Floor,
    parrot and ceiling are measured once an exam and network. Values carry their standard error
    over the sentences drawn: binomial, over blocks (KID), over parts (precision, recall) or by the
    jackknife (Fréchet; too large by a half where the distance is hardly more than its bias).
    Raises ValueError where a generator's pictures are not one a sentence or of another range, and
    for one that is named blind, parrot or ceiling.
    """
    draws = draw if isinstance(draw, Mapping) else {"generator": draw}
    if taken := draws.keys() & set(BESIDE):
        raise ValueError(f"found generators named {sorted(taken)}; expected other names: these "
                         "columns stand beside")  # fmt: skip
    who = {name: _asked(one, name, exam) for name, one in draws.items()}
    if judges not in exam.columns:
        who |= {"blind": exam.blind, "parrot": exam.parroted, "ceiling": exam.ceiling}
    columns = measure(who, exam, judges)
    beside = {name: columns[name] for name in BESIDE if name in columns}
    beside = exam.columns.setdefault(judges, beside)
    face = (f"{exam.face}; Fréchet distance and KID by {judges.name}, {len(exam):,} pictures "
            f"against {len(exam):,} other real ones; precision, recall, R-precision and the "
            f"second opinion are of the first {min(SLOW, len(exam)):,}")  # fmt: skip
    return Card(face, {name: columns[name] for name in draws} | beside)


def _asked(draw: Draw, name: str, exam: Exam) -> Pictures:
    """A generator as a function of rows of the exam, its answers checked."""

    def pictures(rows: Tensor, seed: int) -> Tensor:
        images = draw([exam.sentences[row] for row in rows.tolist()], seed)
        if images.dim() != 4 or images.shape != (len(rows), 3, *2 * images.shape[-1:]):
            raise ValueError(f"{name}: pictures of shape {tuple(images.shape)} for {len(rows)} "
                             f"sentences; expected ({len(rows)}, 3, side, side)")  # fmt: skip
        low, high = images.aminmax()
        if not (low >= -1.01 and high <= 1.01):
            raise ValueError(f"{name}: pictures from {low:.3g} to {high:.3g}; expected [−1, 1]")
        return images

    return pictures


def drawer(
    G: nn.Module, encode: Encode, device: torch.device | str = "cpu", chunk: int = 32
) -> Draw:
    """A generator G(noise, φ) as a `Draw`: in evaluation mode, few at a time, by the seed."""

    @torch.no_grad()
    def draw(sentences: list[str], seed: int) -> Tensor:
        training = G.training
        generator = torch.Generator().manual_seed(seed)
        z = torch.randn(len(sentences), noise_dim(G), generator=generator)
        pairs = zip(z.split(chunk), encoded(encode, sentences).split(chunk), strict=True)
        G.eval()
        try:
            return torch.cat([G(a.to(device), b.to(device)).float().cpu() for a, b in pairs])
        finally:
            G.train(training)

    return draw


def measure(
    who: Mapping[str, Pictures], exam: Exam, judges: Judges
) -> dict[str, dict[str, Measure]]:
    """A column of rows for each who answers, in chunks of sentences: memory stays as it is."""
    size = max(LEAST, min(BLOCK, len(exam) // GROUPS))
    columns = {name: (Shares(), Apart(size), []) for name in who}
    train = judges.look(judges.features, to_unit(exam.memory))
    chunks = torch.arange(len(exam)).split(CHUNK)
    bar = tqdm(total=len(chunks) * len(who), desc="report card", unit="look")
    for rows in chunks:
        real = judges.look(judges.features, exam.reference(rows))
        held = nearest(real, train)
        seed = seed_for(exam.seed, "card", int(rows[0]))
        slow = int(rows[0]) < SLOW  # whether the slower judges look, too
        match = slow and judges.theta is not None
        phi = encoded(exam.encode, [exam.sentences[i] for i in rows.tolist()]) if match else None
        for name, pictures in who.items():
            shares, apart, found = columns[name]
            images = pictures(rows, seed)
            features = judges.look(judges.features, images)
            apart.add(real, features, held, nearest(features, train))
            if exam.known:
                by_classifiers(shares, images, features, exam, rows, judges, slow)
            else:
                by_pixels(shares, images, exam, rows)
            if match:
                found.append(finds(images, phi, exam, rows, judges))
            bar.update()
    bar.close()
    return {name: _rows(*columns[name], pictures, exam, judges) for name, pictures in who.items()}


def _rows(shares, apart, found, pictures, exam, judges) -> dict[str, Measure]:
    measures = shares.rows() | apart.rows()
    if found:
        measures["R-precision by θ"] = share(torch.cat(found))
    return measures | {"diversity": diversity(pictures, exam, judges)}


def share(held: Bool[Tensor, " n"]) -> Measure:
    """A share and its binomial standard error; nan of nothing."""
    n = held.numel()
    p = held.double().mean().item() if n else nan
    return p, (p * (1 - p) / n) ** 0.5 if n else nan


# ---- does it obey? ------------------------------------------------------------------------------


class Shares:
    """Counts of right answers by row; a row may be the difference of two shares."""

    def __init__(self):
        self.right: dict[tuple[str, int], list[int]] = {}

    def add(self, row: str, held: Tensor, less: bool = False) -> None:
        """Count a chunk: whether each held. `less`: of the share that is subtracted."""
        count = self.right.setdefault((row, -1 if less else 1), [0, 0])
        count[0] += int(held.sum())
        count[1] += held.numel()

    def rows(self) -> dict[str, Measure]:
        measures: dict[str, Measure] = {}
        for (row, sign), (right, n) in self.right.items():
            p = right / n if n else nan
            error = p * (1 - p) / n if n else nan
            value, squares = measures.get(row, (0.0, 0.0))
            measures[row] = value + sign * p, squares + error
        return {row: (value, squares**0.5) for row, (value, squares) in measures.items()}


def by_classifiers(
    shares: Shares, images: Tensor, features: Tensor, exam: Exam, rows: Tensor, judges: Judges,
    slow: bool,
) -> None:
    """Attributes one by one, jointly, by the second classifier, and for shuffled sentences."""
    asked = exam.asked[rows]
    seen = judges.attributes(images, features)
    right, said = seen == asked, asked >= 0
    for i, name in enumerate(NAMES):
        if name in DETAILS:  # drawn when named, less drawn when not
            shares.add(f"{name}, named − not", seen[said[:, i], i] == 1)
            shares.add(f"{name}, named − not", seen[~said[:, i], i] == 1, less=True)
        else:
            shares.add(name, right[said[:, i], i])
    columns = [NAMES.index(name) for name in CLASS_ATTRIBUTES]
    whole = said[:, columns].all(1)
    three = right[:, columns].all(1)
    shares.add(ALL_THREE, three[whole])
    other = torch.tensor([exam.grammars[row] != "training" for row in rows.tolist()])
    shares.add(f"{ALL_THREE}, held-out grammar", three[whole & other])
    if slow and judges.second is not None:
        again = judges.look(judges.second.read, images).long()
        shares.add(f"{ALL_THREE}, second opinion", (again == asked)[:, columns].all(1)[whole])
    judged = [i for i, name in enumerate(NAMES) if name not in DETAILS]
    shuffled = asked.roll(1, 0)
    shares.add("sensitivity", right[:, judged][said[:, judged]])
    shares.add("sensitivity", (seen == shuffled)[:, judged][
        (shuffled >= 0)[:, judged]], less=True)  # fmt: skip


def by_pixels(shares: Shares, images: Tensor, exam: Exam, rows: Tensor) -> None:
    """Photographs: whether the middle of the picture has the colour that the sentence names."""
    places = {ATTRIBUTES["petal_colour"].index(c): i for i, c in enumerate(COLOURS)}
    asked = exam.asked[rows][:, 0].tolist()
    asked = torch.tensor([places.get(value, -1) for value in asked])
    seen = torch.tensor([COLOURS.index(c) if c != "none" else -2 for c in colour_of_centre(images)])
    said = asked >= 0
    shares.add("colour of the middle", (seen == asked)[said])
    row, mine, given = "sensitivity", seen[said], asked[said]
    shares.add(row, mine == given)
    shares.add(row, mine == given.roll(1), less=True)


def finds(
    images: Tensor, phi: Float[Tensor, "n t"], exam: Exam, rows: Tensor, judges: Judges
) -> Bool[Tensor, " n"]:
    """Which pictures θ matches with their own sentence, against 99 rivals, or as many as are."""
    rivals = exam.rivals(rows)
    generator = torch.Generator().manual_seed(seed_for(exam.seed, "rivals", int(rows[0])))
    among = min(99, int(rivals.sum(1).min()))
    return finds_its_sentence(judges.look(judges.theta, images), phi, rivals, generator, among)


def diversity(pictures: Pictures, exam: Exam, judges: Judges) -> Measure:
    """What eight pictures of one sentence differ in.

    On Blooms: of each attribute that the sentence leaves open, the number of different values
    among the eight, less one, over what eight could show; 0 where z is ignored. On photographs:
    the mean distance of features within eight, over that between sentences.
    """
    sentences = min(SENTENCES_OF_EIGHT, max(4, len(exam) // 16))
    rows = torch.arange(len(exam))[:sentences].repeat_interleave(EIGHT)
    images = pictures(rows, seed_for(exam.seed, "eights"))
    features = judges.look(judges.features, images)
    if not exam.known:
        features = features.unflatten(0, (-1, EIGHT))
        within = torch.stack([torch.pdist(own).mean() for own in features])
        ratios = within / torch.pdist(features[:, 0]).mean()  # over that between sentences
        return ratios.mean().item(), (ratios.std() / len(ratios) ** 0.5).item()
    seen = judges.attributes(images, features).view(-1, EIGHT, len(NAMES))
    different = sum((seen == value).any(1).double() for value in range(7))  # [sentences, A]
    could = torch.tensor([min(EIGHT, len(ATTRIBUTES[name])) - 1.0 for name in NAMES])
    open_ = exam.asked[rows[::EIGHT]] < 0
    open_[:, [NAMES.index(name) for name in DETAILS]] = False
    spread = ((different - 1) / could)[open_]
    return spread.mean().item(), (spread.std() / len(spread) ** 0.5).item()


# ---- does it look like them? --------------------------------------------------------------------


class Apart:
    """Distances and copying, from sums: Fréchet (jackknife), KID (blocks), nearest, covered."""

    def __init__(self, size: int = BLOCK):
        self.size = size  # of a group, before groups are joined
        self.groups: list[tuple] = []
        self.kernel: list[Tensor] = []
        self.near: list[Tensor] = []
        self.held: list[Tensor] = []
        self.covered: dict[str, Measure] = {}

    def add(self, real: Tensor, fake: Tensor, held: Tensor, near: Tensor) -> None:
        """A chunk of features, and the distances to the nearest of training of both."""
        for r, f in zip(real.split(BLOCK), fake.split(BLOCK), strict=True):
            if len(r) == BLOCK or not self.kernel:
                self.kernel.append(kernel_mmd(r, f))
        parts = zip(real.split(self.size), fake.split(self.size), strict=True)
        self.groups += [(Sums.of(r), Sums.of(f)) for r, f in parts]
        while len(self.groups) > GROUPS:  # join neighbours: memory stays as it is
            pairs = zip(self.groups[::2], self.groups[1::2], strict=False)
            rest = self.groups[len(self.groups) // 2 * 2 :]
            self.groups = [(a + c, b + d) for (a, b), (c, d) in pairs] + rest
        self.near.append(near)
        self.held.append(held)
        self.covered = self.covered or _covered(real, fake)

    def rows(self) -> dict[str, Measure]:
        real, fake = (sum((g[i] for g in self.groups[1:]), self.groups[0][i]) for i in (0, 1))
        whole = frechet_of_moments(*real.moments(), *fake.moments())
        kernel = torch.stack(self.kernel)
        spread = kernel.std().item() if len(kernel) > 1 else nan
        least = torch.cat(self.held).quantile(0.01)
        return {"Fréchet distance": (whole, self._jackknife(real, fake, whole)),
                "KID": (kernel.mean().item(), spread / len(kernel) ** 0.5), **self.covered,
                "copying": share(torch.cat(self.near) < least)}

    def _jackknife(self, real: "Sums", fake: "Sums", whole: float) -> float:
        """Standard error from leaving out one group at a time, of unequal sizes (Busing 1999)."""
        if len(self.groups) < 2:
            return nan
        left = torch.tensor([frechet_of_moments(*(real - r).moments(), *(fake - f).moments())
                             for r, f in self.groups])
        h = torch.tensor([fake.n / f.n for _, f in self.groups])
        pseudo = h * whole - (h - 1) * left  # what the group by itself adds, its bias taken off
        middle = (pseudo / h).sum()
        return ((pseudo - middle).square() / (h - 1)).mean().sqrt().item()


def _covered(real: Tensor, fake: Tensor) -> dict[str, Measure]:
    """Precision and recall; their error from parts, for both sets and their radii are a draw."""
    if len(real) <= 3:
        return dict.fromkeys(("precision", "recall"), (nan, nan))
    parts = zip(real.chunk(PARTS), fake.chunk(PARTS), strict=True)
    each = torch.tensor([precision_and_recall(r, f) for r, f in parts if len(r) > 3])
    error = each.std(0) / len(each) ** 0.5 if len(each) > 1 else torch.full((2,), nan)
    whole = precision_and_recall(real, fake)
    return dict(zip(("precision", "recall"), zip(whole, error.tolist(), strict=True), strict=True))


@dataclass(frozen=True)
class Sums:
    """Number, sum and sum of outer products of features: what moments are made of."""

    n: int
    total: Float[Tensor, " d"]
    outer: Float[Tensor, "d d"]

    @classmethod
    def of(cls, features: Float[Tensor, "n d"]) -> "Sums":
        x = features.double()
        return cls(len(x), x.sum(0), x.T @ x)

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.n + other.n, self.total + other.total, self.outer + other.outer)

    def __sub__(self, other: "Sums") -> "Sums":
        return Sums(self.n - other.n, self.total - other.total, self.outer - other.outer)

    def moments(self) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
        mean = self.total / self.n
        return mean, (self.outer - self.n * mean[:, None] * mean) / (self.n - 1)
