"""The command line: `python -m t2i_utils train | sample | evaluate | data`.

Exit codes: 2 for a command that cannot be meant, 1 for one that failed, 130 for an interrupt.
"""

import json
import math
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from t2i_utils.data import DATA_SETS
from t2i_utils.profiles import PROFILES, in_words

PROG = "python -m t2i_utils"
SIDE, COUNT = click.IntRange(16, 1024), click.IntRange(1, 10**9)
RATE, BETA = click.FloatRange(0, 1, min_open=True), click.FloatRange(0, 1, max_open=True)
SEED = click.IntRange(0, 2**63 - 1)


class Place(click.Path):
    """A path that is not empty; `absolute` where it has to be found from other folders, too."""

    def __init__(self, absolute: bool = False):
        super().__init__()
        self.absolute = absolute

    def convert(self, value, parameter, context):
        if not str(value).strip():
            self.fail("found an empty path, expected a file or a folder", parameter, context)
        path = super().convert(value, parameter, context)
        return str(Path(path).expanduser().absolute()) if self.absolute else path


def _found_anywhere(name: str) -> str:
    return str(Path(name).absolute()) if Path(name).is_file() else name


def option(name: str, **about) -> Callable:
    """An option under its name, with underscores and with dashes."""
    spelled = dict.fromkeys([f"--{name}", f"--{name.replace('_', '-')}"])
    return click.option(*spelled, name, **{"show_default": True, **about})


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli():
    """Text-to-image GANs: train StackGAN's two stages, draw with them, measure them."""


# ---- train --------------------------------------------------------------------------------------

# The first 17 have the names, the meanings and the defaults of a published trainer's options.
TRAIN = [
    option("image_size1", type=SIDE, default=64, help="Side of Stage-I's pictures: a power of 2."),
    option("image_size2", type=SIDE, default=256,
           help="Side of Stage-II's pictures: 2 or 4 times as many."),
    option("z_dim", type=COUNT, default=100, help="Numbers of the noise z."),
    option("embed_dim", type=COUNT, default=128,
           help="Numbers of the compressed sentence: N_g, of ĉ, and N_d, in D."),
    option("D1_dim", type=COUNT, default=512, help="Channels of Stage-I's D at its 4 × 4 map."),
    option("G2_dim", type=COUNT, default=512,
           help="Channels of Stage-II's G at its 16 × 16 map (a quarter of a sketch's side)."),
    option("data_dir", type=Place(absolute=True), default=None,
           help="Folder of pickled embeddings (train/ and test/), beside --image_dir; or of the "
           "--dataset."),
    option("image_dir", type=Place(absolute=True), default=None, help="Folder that holds jpg/."),
    option("epochs1", type=COUNT, default=100, help="Epochs of Stage-I."),
    option("epochs2", type=COUNT, default=100, help="Epochs of Stage-II, which is trained next."),
    option("batch_size", type=click.IntRange(min=2), default=64,
           help="Pictures of a step, each with a right and a wrong sentence."),
    *(option(f"lr{player}{stage}", type=RATE, default=2e-4,
             help=f"Learning rate of Stage-{'I' * stage}'s {player}.")
      for player in "GD" for stage in (1, 2)),
    option("beta1", type=BETA, default=0.5, help="Adam's β₁, of all players."),
    option("beta2", type=BETA, default=0.999, help="Adam's β₂."),
    option("dataset", type=click.Choice(["embeddings", *DATA_SETS]),
           default="embeddings", help="Blooms needs no folder; embeddings are StackGAN's pickles."),
    option("encoder", default="shipped", callback=lambda _, __, name: _found_anywhere(name),
           help="Of sentences: shipped, a file that notebook 04 kept, or a name for "
           "sentence-transformers."),
    option("profile", type=click.Choice([*PROFILES]), default="gpu",
           help="Sizes, rates and lengths for what is not given. gpu: those shown here. laptop, "
           f"minutes on Blooms: {in_words('laptop')}. smoke, seconds: {in_words('smoke')}."),
    option("pictures", type=COUNT, default=20000, help="How many flowers of Blooms."),
    option("width", type=click.IntRange(min=2), default=128,
           help="Channels of Stage-I's G before the picture; Stage-II's D has half of them."),
    option("steps1", type=COUNT, default=None, help="Steps of Stage-I, in place of epochs."),
    option("steps2", type=COUNT, default=None, help="Steps of Stage-II, in place of epochs."),
    option("kl_weight", type=click.FloatRange(0), default=2 / 128,
           help="λ, the price of the cloud, of a KL summed over its dimensions."),
    option("ema_decay", type=BETA, default=0.999,
           help="Of the averaged G, which draws: nearer to 1 for longer trainings."),
    option("seed", type=SEED, default=0, help="Of everything that is random."),
    option("precision", type=click.Choice(["no", "bf16", "fp16"]), default="no",
           help="no is float32; fp16 is for a GPU."),
]  # fmt: skip


def with_options(options: list[Callable]) -> Callable:
    def decorate(command):
        for one in reversed(options):
            command = one(command)
        return command

    return decorate


@cli.command()
@with_options(TRAIN)
@option("stage", type=click.Choice(["1", "2", "both"]), default="both",
        help="Which stage to train; both: one after the other.")  # fmt: skip
@option("until_epoch", type=COUNT, default=None,
        help="End a part here: epochs count through the stages that are trained. Wants --epochs1 "
        "and --epochs2 where the profile counts steps.")  # fmt: skip
@option("run_dir", type=Place(), default="runs/stackgan",
        help="The run's folder: where it is kept, and goes on from.")  # fmt: skip
@option("checkpoint_every", type=COUNT, default=500, help="Steps between two checkpoints.")
@click.pass_context
def train(context, stage, until_epoch, run_dir, checkpoint_every, profile, **given):
    """Train Stage-I, then Stage-II. The same command goes on with a run that was stopped.

    On folders of pickled embeddings: --data_dir and --image_dir. Without any data: --dataset
    blooms. Several processes: torchrun --nproc-per-node 2 -m t2i_utils train …

    TensorBoard shows a run: tensorboard --logdir RUN_DIR. The names there: s_r, s_w, s_f are D's
    mean logits of real pictures with their sentences, with wrong ones, and of drawn ones; kl is
    the divergence of G's cloud, in nats (notebooks 07 and 09).
    """
    from t2i_utils import trainer

    named = {name for name in given if context.get_parameter_source(name) is not
             click.core.ParameterSource.DEFAULT}  # fmt: skip
    for number in "12":
        if {f"steps{number}", f"epochs{number}"} <= named:
            raise click.UsageError(f"found both --steps{number} and --epochs{number}, expected one")
    try:
        settings = trainer.Settings(**_of_profile(profile, given, named))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    stages = trainer.STAGES if stage == "both" else (int(stage),)
    if until_epoch is not None and any(getattr(settings, f"steps{s}") for s in stages):
        own = "" if any(f"steps{n}" in named for n in "12") else f" (of the profile {profile})"
        raise click.UsageError(f"found --until_epoch beside steps{own}, expected --epochs1 and "
                               "--epochs2 to count")
    trainer.train(settings, run_dir, stages, until_epoch, checkpoint_every=checkpoint_every)
    if trainer.is_first():
        told = "--from test" if settings.dataset == "embeddings" else '"a red flower"'
        click.echo(f"draw with it: {PROG} sample {told} --run_dir {shlex.quote(run_dir)}")


def _of_profile(profile: str, given: dict, named: set[str]) -> dict:
    own = {k: v for k, v in PROFILES[profile].items() if k not in named}
    for number in "12":
        if f"epochs{number}" in named:
            own.pop(f"steps{number}", None)
    return given | own


# ---- sample and evaluate ------------------------------------------------------------------------

RUN = option("run_dir", type=Place(), default=None, help="A run's folder.")


@cli.command()
@click.argument("sentences", nargs=-1)
@RUN
@option("file", type=click.File("rb"), default=None,
        help="A text file of sentences, one a line; - reads what is piped in.")
@click.option("--from", "from_split", type=click.Choice(["test", "train"]), default=None,
              help="Sentences of the run's data set in place of your own.")
@option("number", type=click.IntRange(1, 10_000), default=4,
        help="Pictures of each sentence; with --from, sentences.")
@option("seed", type=SEED, default=0, help="Of the noise: one picture for a sentence.")
@option("out", type=Place(), default="samples.png",
        help="A .png: one grid, a row a sentence (with --from a square). Else a new folder, for a "
        "file each, and a list of the sentences.")
def sample(sentences, file, from_split, run_dir, **given):
    """Draw pictures of SENTENCES, by a run, or by the shipped generator where none is named."""
    from t2i_utils import sampling

    sentences = [*sentences, *_lines_of(file)]
    if bool(sentences) == (from_split is not None):
        raise click.UsageError("expected sentences, a --file of them, or --from test; found "
                               f"{'both' if sentences else 'none'}")
    if from_split and run_dir is None:
        raise click.UsageError("--from: found no --run_dir, expected one: its data set is asked")
    for path in sampling.sample(sentences, run_dir=run_dir, from_split=from_split, **given):
        click.echo(path)


def _lines_of(file) -> list[str]:
    if file is None:
        return []
    try:
        text = file.read().decode("utf-8-sig")  # some editors put a mark before the first letter
    except UnicodeDecodeError as error:
        raise ValueError(f"{file.name}: found {error}, expected text in UTF-8") from error
    if "\0" in text:
        raise ValueError(f"{file.name}: found U+0000, expected text in UTF-8")
    return [line.strip() for line in text.split("\n") if line.strip()]


@cli.command()
@RUN
@option("number", type=click.IntRange(min=64), default=2048, help="Sentences to be asked about.")
@option("seed", type=SEED, default=0, help="Of sentences and noise.")
@click.option("--json", "as_json", is_flag=True,
              help='For machines: {"face": what was measured, "columns": {column: {row: [value, '
              'error]}}}, null where not known.')
def evaluate(run_dir, number, seed, as_json):
    """The report card of a run (notebook 05), with floor, parrot and ceiling beside."""
    from t2i_utils import sampling

    if run_dir is None:
        raise click.UsageError("found no --run_dir, expected the folder of a run")
    card = sampling.evaluate(run_dir, number, seed=seed)
    click.echo(as_text(card) if as_json else card)


def as_text(card) -> str:
    """A card as JSON: {"face": …, "columns": {column: {row: [value, error]}}}; null: not known."""
    columns = {name: {row: [value if math.isfinite(value) else None for value in measure]
                      for row, measure in column.items()} for name, column in card.columns.items()}
    return json.dumps({"face": card.face, "columns": columns}, ensure_ascii=False, indent=1)


# ---- data ---------------------------------------------------------------------------------------


@cli.command("data")
@option("dataset", type=click.Choice(["embeddings", *(x for x in DATA_SETS if x != "blooms")]),
        default="flowers", help="Which layout to look for.")
@option("data_dir", type=Place(), default=None, help="The folder of the data set.")
@option("image_dir", type=Place(), default=None, help="Beside embeddings: it holds jpg/.")
@click.option("--fetch", is_flag=True, help="Download what a program can, and verify it.")
def data_(dataset, data_dir, image_dir, fetch):
    """Say what a folder holds, what it lacks, and how to get it."""
    from t2i_utils.data import inventory

    if data_dir is None:
        raise click.UsageError("found no --data_dir, expected the folder of the data set")
    if (image_dir is None) == (dataset == "embeddings"):
        what = "none" if image_dir is None else image_dir
        raise click.UsageError(f"--image_dir: found {what}, expected a folder beside embeddings "
                               "and none for other data sets")  # fmt: skip
    if fetch and dataset not in inventory.ORIGINALS:
        known = ", ".join(inventory.ORIGINALS)
        raise click.UsageError(f"--fetch: found {dataset}, expected {known}")
    if fetch:
        for path in inventory.fetch(dataset, data_dir):
            click.echo(f"fetched {path}")
    lines, whole = inventory.look(dataset, data_dir, image_dir)
    click.echo("\n".join(lines).encode(errors="backslashreplace"))  # a name may be no UTF-8
    if not whole:
        raise click.exceptions.Exit(1)


# ---- the program --------------------------------------------------------------------------------


@contextmanager
def brief_warnings() -> Iterator[None]:
    """Inside, a warning is one line, and shown once from each place that warns."""
    shown = set()

    def show(message, category, filename, line, *_):
        if (filename, line) not in shown:
            click.echo(f"note: {message}", err=True)
        shown.add((filename, line))

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def main(arguments: list[str] | None = None) -> None:
    """Run a command; ends the process with one of the exit codes above where it fails."""
    try:
        with brief_warnings():
            code = cli.main(arguments, PROG, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        click.echo(str(error.__cause__ or "").strip() or "interrupted", err=True)  # what `fit` says
        code = 130
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        click.echo(f"{PROG}: {error}", err=True)
        code = 1
    if code:
        sys.exit(code)


if __name__ == "__main__":
    main()
