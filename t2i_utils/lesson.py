"""Around a lesson: profile, seeds, device, claims, records and studies, hints, hosted notebooks.

This room imports torch (and filelock, which comes with it), numpy and the standard library only: a
hosted notebook imports it before anything else of the project is installed.
"""

import contextlib
import hashlib
import html
import importlib
import json
import math
import operator
import os
import random
import re
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import SupportsIndex, TypeVar

import numpy as np
import torch

from t2i_utils import files

PROFILES = ("smoke", "laptop", "gpu")
CLAIM_MIME = "application/vnd.t2i.claim+json"
RECORD_MIME = "application/vnd.t2i.record+json"
STUDY_FORMAT = "t2i study 1"
ROOT = Path(__file__).resolve().parents[1]  # the checkout, in an editable installation

T = TypeVar("T")
Plain = int | float | list[int | float] | dict[str, int | float]  # what a record holds


# --- seeds ---------------------------------------------------------------------------------------


def seed_for(seed: SupportsIndex, *names: str | SupportsIndex) -> int:
    """One 63-bit seed from a root seed and a path of names, the same on every machine.

    `seed_for(0, "step", 3)` and `seed_for(0, "step", 4)` are unrelated, so parts of a run that
    draw from different paths never share random numbers.
    """
    path = [name if isinstance(name, str) else operator.index(name) for name in names]
    digest = hashlib.sha256(json.dumps([operator.index(seed), *path]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


# --- the device ----------------------------------------------------------------------------------


def _small_computation(device: torch.device) -> list[torch.Tensor]:
    """A matrix product and a convolution, forward and backward, on `device`; results on the CPU."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 8, 8, generator=generator).to(device).requires_grad_()
    kernel = torch.randn(4, 3, 3, 3, generator=generator).to(device).requires_grad_()
    y = torch.nn.functional.conv2d(x, kernel).flatten(1)
    loss = (y @ y.T).square().mean().sqrt()
    loss.backward()
    return [t.detach().cpu() for t in (loss, x.grad, kernel.grad)]  # .cpu() waits for the device


def working_device() -> torch.device:
    """The CUDA device if it really computes, else the CPU.

    A driver may claim a device that fails at its first kernel, so the claim is put to the test: a
    matrix product and a convolution, forward and backward, whose results must agree with the
    CPU's. A claimed device that fails is named in a warning.
    """
    cpu = torch.device("cpu")
    if not torch.cuda.is_available():
        return cpu
    try:
        found = _small_computation(torch.device("cuda"))
        for got, expected in zip(found, _small_computation(cpu), strict=True):
            # TF32 keeps ten bits of mantissa; a broken device is off by far more than that.
            torch.testing.assert_close(got, expected, rtol=2e-2, atol=2e-2)
    except Exception as error:  # whatever a broken driver raises
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        warnings.warn("the driver claims a CUDA device, but a small computation on it failed, so "
                      f"the CPU is used ({reason[:300]})", stacklevel=2)
        return cpu
    return torch.device("cuda")


# --- a lesson ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lesson:
    """What a notebook asks for: its profile, device, random numbers, claims and records."""

    profile: str
    device: torch.device
    seed: int
    # name of a record → the execution count of the cell that made it
    _recorded: dict[str, int | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def pick(self, value: T | None, *, smoke: T, laptop: T, gpu: T) -> T:
        """`value` unless it is None, else the profile's."""
        if value is not None:
            return value
        return {"smoke": smoke, "laptop": laptop, "gpu": gpu}[self.profile]

    def generator(self, *names: str | SupportsIndex) -> torch.Generator:
        """A CPU generator with a seed of its own, derived from the lesson's seed and `names`."""
        return torch.Generator().manual_seed(seed_for(self.seed, *names))

    def claim(self, text: str, held: object, found: str = "", *, trained: bool = True) -> None:
        """Say whether a claim of the notebook held; `found` is what was measured.

        `held` is anything that Python takes for true or false: a bool, numpy's, a tensor's. Judged
        in the profiles `laptop` and `gpu`: a handful of `smoke` steps proves nothing. With
        `trained=False`, for what rests on no training of this run and is as true at `smoke`'s sizes
        (a count, a closed form, shipped weights), judged there, too. Does not raise, so that a
        reader sees the rest: `make run` counts the claims of the executed notebook, `make test`
        fails the cell, and both end non-zero.
        """
        verdict = None if trained and self.profile == "smoke" else bool(held)
        words, colour = {
            True: ("✓ claim held", "#158086"),
            False: ("✗ claim did not hold", "#ae0e35"),
            None: ("· not judged in smoke", "#5f6368"),
        }[verdict]
        line = f"{words}: {text}" + (f" ({found})" if found else "")
        _display({"text/plain": line,
                  "text/html": f'<div style="color: {colour}">{html.escape(line)}</div>',
                  CLAIM_MIME: {"text": text, "held": verdict, "found": found}})

    def record(self, name: str, value: object) -> None:
        """Keep what was measured by name in the notebook's outputs, for `make study` to collect.

        `value` is a number, a list of numbers, or a dict of names and numbers; numpy's and torch's
        will do; what is empty is not recorded. The cell carries the tag `study` (see
        tools/study.py), and so do those that define what it needs. Works in every profile. Raises
        TypeError for any other value, ValueError for one that is not finite, and for a name that a
        cell records twice. A cell may be run again: it records anew. Two cells with one name are
        found by `make study` and a test.
        """
        plain = _plain(name, value)
        if plain in ([], {}):  # a data set of one's own may have nothing of the kind
            print(f"nothing to record: {name}")
            return
        turn = getattr(_shell(), "execution_count", None)
        if name in self._recorded and self._recorded[name] == turn:
            raise ValueError(f"record {name!r}: recorded twice; expected a name of its own for "
                             "each value")
        self._recorded[name] = turn
        line = f"recorded: {name} {_in_short(plain)}"
        _display(
            {
                "text/plain": line,
                "text/html": '<div style="color: #5f6368; font-size: 85%">'
                f"{html.escape(line)}</div>",
                # With what the package had loaded: code that may have had a hand in the value.
                RECORD_MIME: {"name": name, "value": plain, "modules": _loaded()},
            }
        )


def _plain(name: str, value: object) -> Plain:
    """A value to record as JSON has it, or the refusal that `Lesson.record` promises."""
    value = _native(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"record {name!r}: found the key {key!r}; expected names (str)")
        return {key: _number(f"{name!r}, {key!r}", one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_number(f"{name!r}, place {i}", one) for i, one in enumerate(value)]
    return _number(repr(name), value)


def _number(place: str, value: object) -> int | float:
    value = _native(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"record {place}: found {type(value).__name__} {value!r:.60}; expected a "
                        "number, a list of numbers or a dict of names and numbers")
    if not math.isfinite(value):
        raise ValueError(f"record {place}: found {value}; expected a finite number")
    return value


def _native(value: object) -> object:
    """Python's own number or list in place of numpy's or torch's."""
    for convert in ("tolist", "item"):
        if hasattr(value, convert):
            return getattr(value, convert)()
    return value


def _in_short(plain: Plain) -> str:
    """A recorded value in a few words, for the reader's eye."""
    if isinstance(plain, dict):
        some = [f"{key} {_in_short(one)}" for key, one in list(plain.items())[:3]]
        return "(" + ", ".join(some) + (f", … {len(plain)} values)" if len(plain) > 3 else ")")
    if isinstance(plain, list):
        return f"({len(plain)} numbers, {_in_short(plain[0])} … {_in_short(plain[-1])})"
    return f"{plain:,}" if isinstance(plain, int) else f"{plain:.4g}"


def _loaded() -> list[str]:
    return sorted(name for name in sys.modules if name.split(".")[0] == "t2i_utils")


def _shell() -> object | None:
    """The shell of the notebook that runs this; None outside a notebook."""
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def _display(bundle: Mapping[str, object]) -> None:
    """Display a bundle of representations in a notebook, print the plain one elsewhere."""
    if _shell() is None:
        print(bundle["text/plain"])
    else:
        from IPython.display import display

        display(dict(bundle), raw=True)


def start(profile: str = "auto", seed: int = 0) -> Lesson:
    """Begin a lesson: settle the profile and the device, seed torch, numpy and random.

    `profile` is one of `smoke`, `laptop`, `gpu`, or `auto`: the environment variable T2I_PROFILE
    where set, else `gpu` where a CUDA device works, else `laptop`. Anything else: ValueError.
    """
    asked, origin = profile, "profile"
    if profile == "auto" and os.environ.get("T2I_PROFILE", "auto") not in ("", "auto"):
        asked, origin = os.environ["T2I_PROFILE"], "T2I_PROFILE"
    if asked not in (*PROFILES, "auto"):
        raise ValueError(f"{origin} is {asked!r}; expected one of {', '.join(PROFILES)}, or auto")
    device = working_device()
    if asked == "auto":
        asked = "gpu" if device.type == "cuda" else "laptop"
    if asked == "gpu" and device.type != "cuda":
        warnings.warn(
            "profile gpu without a working CUDA device: its sizes take hours on a CPU", stacklevel=2
        )
    torch.manual_seed(seed)
    np.random.seed(seed_for(seed, "numpy") % 2**32)
    random.seed(seed_for(seed, "random"))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    print(f"profile {asked} · device {name} · torch {torch.__version__} · "
          f"{torch.get_num_threads()} threads")  # fmt: skip
    return Lesson(asked, device, seed)


class Hint(AssertionError):
    """What is wrong with an answer. IPython shows it alone: a traceback's lines tell too much."""

    def _render_traceback_(self) -> list[str]:
        return [f"Not yet: {self}"]


@contextlib.contextmanager
def hints() -> Iterator[None]:
    """Around the check of an exercise: its asserts raise `Hint`."""
    try:
        yield
    except AssertionError as error:
        raise Hint(*error.args) from None


# --- studies -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Study:
    """What a notebook recorded in several runs: other seeds, other arms, longer training.

    `runs` holds for each run its `parameters`, `seconds`, `records` (name → value) and `claims`.
    """

    runs: list[dict]
    profile: str = ""
    device: str = ""

    def __repr__(self) -> str:  # the generated one writes out all the records
        return f"Study({len(self.runs)} runs, profile {self.profile!r}, device {self.device!r})"

    def values(self, name: str, /, **parameters: object) -> list:
        """What the runs recorded by that name; of those runs only that had these parameters.

        `values("accuracy", steps=3000)`: one value a run, in the order of the plan. A parameter
        that a run left to the profile is None. Empty where no run fits. ValueError for a name that
        no run recorded, or a parameter that no run has.
        """
        if self.runs:
            _known("record", {name}, [run["records"] for run in self.runs])
            _known("parameter", set(parameters), [run["parameters"] for run in self.runs])
        return [run["records"][name] for run in self.runs if name in run["records"] and all(
            run["parameters"].get(key) == value for key, value in parameters.items())]


def _known(what: str, names: set[str], rows: list[dict]) -> None:
    there = {name for row in rows for name in row}
    for name in sorted(names - there):
        raise ValueError(f"the study has no {what} {name!r}; expected one of "
                         f"{', '.join(sorted(there))}")


def study(number: str | int) -> Study:
    """The stored study of a notebook, `study("04")`: data/studies/04.json of the checkout.

    Without the file it says so and returns an empty study, whose `values` are all empty: whoever
    lacks it, or writes the notebook, still sees a figure with the dot of the own run. (A notebook
    of the series whose study is missing fails a test.) ValueError for a file of another format.
    """
    path = ROOT / "data" / "studies" / f"{int(number):02}.json"
    if not path.is_file():
        print(
            f"no stored study {path.stem}: only this run is shown "
            f"(make study ONLY={path.stem} measures the others)"
        )
        return Study([])
    stored = json.loads(path.read_text(encoding="utf-8"))
    if stored.get("format") != STUDY_FORMAT:
        raise ValueError(f"{path.name}: found format {stored.get('format')!r}, expected "
                         f"{STUDY_FORMAT!r}")
    return Study(stored["runs"], stored["profile"], stored["device"])


# --- folders -------------------------------------------------------------------------------------


def cache_dir(name: str) -> Path:
    """The folder `name` of the cache, created: under T2I_CACHE if set, else under ~/.cache/t2i.

    Raises OSError that names the folder and says what would help, where it cannot be made.
    """
    place = _cache_place()
    try:
        folder = files.expanded(place) / name
    except OSError as error:  # no home folder
        raise OSError(error.errno, f"{error.strerror}; {cache_advice()}", place) from error
    with files.explained(folder, advice=cache_advice()):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def cache_advice() -> str:
    """What helps where the cache cannot be written: for the errors of those who write into it."""
    return f"the environment variable T2I_CACHE chooses another folder (now {_cache_place()})"


def _cache_place() -> str:
    return os.environ.get("T2I_CACHE", "").strip() or "~/.cache/t2i"


def pretrained(name: str) -> Path:
    """The path of a file of weights that the project ships: a checkout's data/pretrained/.

    An installation has them within the package. FileNotFoundError, with the way to get it, where
    the file is in neither.
    """
    places = ROOT / "data" / "pretrained", Path(__file__).parent / "pretrained"
    path = next((p / name for p in places if (p / name).is_file()), None)
    if path is None:
        raise FileNotFoundError(f"no shipped weights {name!r} at {places[0] / name}: they are part "
                                f"of the project's checkout (git clone {home_url()}, then pip "
                                "install -e . in it; in a checkout, git checkout -- "
                                "data/pretrained brings them back)")
    return path


# --- the publishing home, and hosted notebooks ---------------------------------------------------


def home_url() -> str:
    """The address of the project's repository, from [project.urls] of pyproject.toml."""
    project = ROOT / "pyproject.toml"
    if project.is_file():
        return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
    # Installed as a plain package: the same line, as the installer kept it.
    urls = (url.split(", ", 1) for url in metadata.metadata("t2i_utils").get_all("Project-URL"))
    return dict(urls)["Repository"]


def home() -> str:
    """The publishing home as `owner/name`."""
    match = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?", home_url())
    if match is None:
        raise ValueError(f"Repository in pyproject.toml is {home_url()!r}; expected "
                         "https://github.com/owner/name")
    return match[1]


def badges(notebook_name: str, folder: str = "notebooks") -> str:
    """The badge cell of a notebook (`07_gan_cls` or `07_gan_cls.ipynb`), as markdown."""
    name = notebook_name.removesuffix(".ipynb")
    page = f"{home()}/blob/main/{folder}/{name}.ipynb"
    return (
        "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
        f"(https://colab.research.google.com/github/{page})\n"
        "[![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)]"
        f"(https://kaggle.com/kernels/welcome?src=https://github.com/{page})"
    )


_SETUP = """\
# Set-up. Where the project is installed this only imports; Colab and Kaggle fetch it first.
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

kaggle = "KAGGLE_KERNEL_RUN_TYPE" in os.environ
if kaggle or "COLAB_RELEASE_TAG" in os.environ:
    if importlib.util.find_spec("t2i_utils") is None:
        attached = sorted(Path("/kaggle/input").glob("**/t2i_utils/lesson.py")) if kaggle else []
        root = attached[0].parents[1] if attached else Path("{name}").resolve()
        if not root.is_dir():
            home = "{url}"
            subprocess.run(["git", "clone", "--depth=1", home, str(root)], check=True)
        sys.path.insert(0, str(root))
    from t2i_utils.lesson import install_requirements

    install_requirements()  # what is lacking; never touches the torch that is there
from t2i_utils import lesson"""


def setup_cell() -> str:
    """The exact source of every notebook's set-up cell."""
    return _SETUP.format(name=home().split("/")[1], url=f"https://github.com/{home()}")


def install_requirements() -> None:
    """Install what a hosted machine lacks of the project's requirements, and change nothing else.

    torch, torchvision and numpy stay as they are: they match the machine's driver and may be in
    use already. With a folder `wheels` beside the checkout (see `make kaggle`) no network is
    needed. Does nothing where it went through before. RuntimeError with pip's own words where it
    fails.
    """
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    project = ROOT / "pyproject.toml"  # a plain package, which has none, came with what it needs
    if str(ROOT) in paths or not project.is_file():
        return
    wanted = tomllib.loads(project.read_text(encoding="utf-8"))
    kept = [f"{name}=={version}" for name, version in _installed("torch", "torchvision", "numpy")]
    command = [sys.executable, "-m", "pip", "install", "--quiet"]
    wheels = ROOT.parent / "wheels"
    if wheels.is_dir():
        command += ["--no-index", "--find-links", str(wheels)]
    command += [*kept, *wanted["project"]["dependencies"]]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError("pip could not install what the project needs (on Kaggle without "
                           "internet, attach the data set that `make kaggle` "
                           f"builds):\n{result.stderr.strip()}")
    importlib.invalidate_caches()  # this process looks again for what was not there
    # Processes that a notebook starts find the package as the notebook does.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), *paths]))


def _installed(*names: str) -> list[tuple[str, str]]:
    """Names and versions of those of the packages that are installed."""
    found = []
    for name in names:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    return found
