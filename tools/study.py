"""Run a notebook with other seeds and settings, and store what its cells recorded.

`study.py --only 04` takes `--profile gpu`, `--seeds 0,1` and `-p name value`. The plan of a
notebook's study stands in PLANS; `data/studies/04.json` is written as soon as all its runs are
there, and a page reads it by `lesson.study("04")`.

A notebook tags `study` the code cells that train and measure, and those that define what these
need. Their sources and the parameters cell make the study's hash: prose, figures and exercises may
change, and the study stays. Where one of these cells is edited, a test asks for the study anew.

The package can change what is measured, too. A study therefore names the versions, and the modules
that were loaded when a value was recorded, each with a hash; `make study` says which were edited
since. No test enforces these: most edits of a module (a docstring, a function beside) move no
number, and hours of training should not be lost to them. One that moves a number far is seen after
the next `make refresh`: the page's own dot leaves the stored spread, or a claim no longer holds.

A run that has ended is kept in build/studies/04/ and not run again, so that a study of hours can be
made in parts; nor are runs that data/studies/04.json holds. To measure anew, delete both.
"""

import argparse
import ast
import hashlib
import json
import re
import sys
from pathlib import Path

import nbformat
import processes
import yaml

import series
from series import ROOT, Outcome, Refusal
from t2i_utils import files
from t2i_utils.lesson import CLAIM_MIME, RECORD_MIME, STUDY_FORMAT

NOTEBOOKS = ROOT / "notebooks"
STUDIES = ROOT / "data" / "studies"
BUILD = ROOT / "build" / "studies"

# A run is the parameters that it changes. A claim's threshold is set after seeds 0, 1 and 2, and
# before 11, 12 and 13 are looked at.
SIX_SEEDS = [{"seed": seed} for seed in (0, 1, 2, 11, 12, 13)]

# Arms that the page itself leaves out: in 02 the other recipes, then all of them for four times the
# steps; and the first one for 4 and 16 times.
RECIPES = [run | {"further": True} for run in SIX_SEEDS]
PATIENCE_02 = [
    {"seed": 0, "steps": 6000, "ablation_steps": 2000, "further": True},
    {"seed": 0, "steps": 24000},
]
# In 06 two ways of telling D, louder; in 07 both losses as published, and other shares of wrong
# pairs (three seeds). PATIENCE: 4 and 16 times the steps.
LOUDER = [run | {"louder": True} for run in SIX_SEEDS]
FURTHER_ARMS = [
    run | {"published": True, "wrong_shares": "0.25 0.75 0.9" if run["seed"] < 3 else ""}
    for run in SIX_SEEDS
]
PATIENCE = [{"seed": 0, "steps": 4400, "published": True}, {"seed": 0, "steps": 17600}]
# 09: the dial of λ, noise without a cloud, few sentences; and four times the steps.
DIAL = [
    run | {"further": "0 0.001 0.1 1 fixed wider few" if run["seed"] < 3 else "fixed few"}
    for run in SIX_SEEDS
]
LONGER = [{"seed": 0, "steps": 4400, "further": "0"}]
# 10: both mixtures of body and cloud, a body without residual blocks, a D that is told G's μ; on
# three seeds what takes these apart. Then 4 and 16 times the steps.
MIXTURES = [
    run | {"further": "cloud nearest plain plain-cloud borrowed"
           + " start enlarging gentle 07 squeezed frozen untrained" * (run["seed"] < 3)}
    for run in SIX_SEEDS
]  # fmt: skip
PATIENCE_10 = [{"seed": 0, "steps1": 4000}, {"seed": 0, "steps1": 16000}]
# 11: the paper's cells, near misses, one stage or the first one alone in as many seconds, on three;
# then 4 and 16 times the steps of both stages.
ALL_OF_11 = "near long one narrow still-twice still-once"
STAGES = [run | {"further": ALL_OF_11 if run["seed"] < 3 else "one long"} for run in SIX_SEEDS]
PATIENCE_11 = [
    {"seed": 0, "steps1": 1000 * n, "steps2": 900 * n, "further": further}
    for n, further in ((4, "near long one narrow"), (16, "long"))
]
PLANS = {
    "00": SIX_SEEDS,
    "01": SIX_SEEDS,
    "02": RECIPES + PATIENCE_02,
    "03": SIX_SEEDS,
    "04": SIX_SEEDS,
    "05": SIX_SEEDS,
    "06": LOUDER,
    "07": FURTHER_ARMS + PATIENCE,
    "09": DIAL + LONGER,
    "10": MIXTURES + PATIENCE_10,
    "11": STAGES + PATIENCE_11,
}


# --- what a study is of --------------------------------------------------------------------------


def study_hash(notebook: nbformat.NotebookNode) -> str:
    """SHA-256 over the code of the parameters cell and of the cells tagged `study`, in order.

    Line by line without empty ones: a long cell may be divided in two, and the study stays.
    """
    lines = [
        line
        for cell in notebook.cells
        if cell.cell_type == "code" and {"parameters", "study"} & set(cell.metadata.get("tags", []))
        for line in cell.source.splitlines()
        if line.strip()
    ]
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()


def package_code(package: Path = ROOT / "t2i_utils") -> dict[str, str]:
    """The package's modules but those that only draw, each with the start of its SHA-256."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        if not {"figures", "widgets"} & set(parts):
            name = ".".join(part for part in parts if part != "__init__")
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return found


def bundles(notebook: nbformat.NotebookNode, mime: str) -> list[tuple[int, dict]]:
    """What an executed notebook's cells showed as that MIME type, with their execution counts."""
    return [
        (cell.execution_count, output.data[mime])
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if mime in output.get("data", {})
    ]


def records(notebook: nbformat.NotebookNode) -> dict[str, object]:
    """Names and values that an executed notebook recorded; ValueError for a name in two cells."""
    values, places = {}, {}
    for count, bundle in bundles(notebook, RECORD_MIME):
        name = bundle["name"]
        if name in values:
            raise ValueError(f"In [{count}] records {name!r}, as In [{places[name]}] did before")
        values[name], places[name] = bundle["value"], count
    return values


# --- the plan ------------------------------------------------------------------------------------


def settings(notebook: nbformat.NotebookNode, changes: dict[str, object]) -> dict[str, object]:
    """All parameters of a run, as a study keeps them.

    Without the profile, which the whole study shares, and without folders (`data_dir`), which say
    where things lie on one machine and not what is measured.
    """
    everything = {**series.parameters(notebook), **changes}
    return {k: v for k, v in everything.items() if k != "profile" and not k.endswith("_dir")}


def key(parameters: dict[str, object]) -> str:
    """The same for the same parameters, before and after they were a file."""
    return json.dumps(parameters, sort_keys=True)


def planned(
    notebook: nbformat.NotebookNode, name: str, given: dict[str, object] | None = None
) -> dict[str, dict[str, object]]:
    """The runs of a notebook's study: for the key of each run's settings what it changes.

    `given` is changed in every run. Refusal where the notebook has no plan, no cell tagged `study`,
    or no parameter of a name that is to change.
    """
    if name[:2] not in PLANS:
        raise Refusal(f"{name}: no plan in tools/study.py; PLANS has {', '.join(PLANS)}")
    if not series.tagged(notebook, "study"):
        raise Refusal(f"{name}: no cell is tagged `study`, so nothing says what is measured")
    runs = [{**changes, **(given or {})} for changes in PLANS[name[:2]]]
    there = [parameter for parameter in series.parameters(notebook) if parameter != "profile"]
    for parameter in dict.fromkeys(parameter for changes in runs for parameter in changes):
        if parameter not in there:
            raise Refusal(
                f"{name}: a study cannot change {parameter!r}; there are {', '.join(there)} "
                "(PROFILE= chooses the profile)"
            )
    return {key(settings(notebook, changes)): changes for changes in runs}


def of_seeds(runs: dict[str, dict], seeds: str) -> dict[str, dict]:
    """Those of the runs whose seed is named: `0,11`; all of them for an empty word."""
    wanted = {word.strip() for word in seeds.split(",") if word.strip()}
    if seeds and not wanted:
        raise Refusal(f"SEEDS={seeds}: names no seed")
    seed_of = {name: str(json.loads(name).get("seed")) for name in runs}
    lacking = wanted - set(seed_of.values())
    if lacking:
        there = ", ".join(dict.fromkeys(seed_of.values()))
        raise Refusal(f"SEEDS={','.join(sorted(lacking))}: not in the plan; there are {there}")
    return {name: run for name, run in runs.items() if not wanted or seed_of[name] in wanted}


def in_words(changes: dict[str, object]) -> str:
    shown = (f"{name} {value}" for name, value in changes.items() if not name.endswith("_dir"))
    return ", ".join(shown) or "as it stands"


# --- the runs ------------------------------------------------------------------------------------


def write(path: Path, study: dict) -> None:
    """Write a study whole or not at all."""
    data = f"{json.dumps(study, indent=1, sort_keys=True, ensure_ascii=False)}\n".encode()
    with files.whole(path, len(data)) as draft:
        draft.write_bytes(data)


def finished(number: str, digest: str, profile: str) -> dict[str, dict]:
    """The runs of this code that are there, by their key, each as a study of one run."""
    there = {}
    for path in [STUDIES / f"{number}.json", *sorted((BUILD / number).glob("*.json"))]:
        if not path.is_file():
            continue
        study = json.loads(path.read_text(encoding="utf-8"))
        marks = (study.get("format"), study.get("study_hash"), study.get("profile"))
        if marks == (STUDY_FORMAT, digest, profile):
            for run in study["runs"]:
                there[key(run["parameters"])] = {**study, "runs": [run]}
    return there


def run_once(path: Path, changes: dict, profile: str, digest: str) -> tuple[Outcome, dict | None]:
    """Execute the notebook with these parameters and keep what it recorded in build/studies/.

    Returns what became of it, and the study of this one run: None where it failed to run.
    """
    parameters, code = settings(series.read(path), changes), package_code()
    mark = hashlib.sha256(json.dumps([digest, profile, key(parameters)]).encode()).hexdigest()[:8]
    name = re.sub(r"[^\w.]+", "-", in_words(changes))[:60]
    target = BUILD / path.stem[:2] / f"{profile}-{name}-{mark}.ipynb"
    options = ["-y", yaml.safe_dump(changes)]  # unlike -p, YAML keeps a value's type
    outcome = series.execute(path, target, profile, options)
    outcome.name, executed = in_words(changes), outcome.notebook
    if outcome.error:
        return outcome, None
    try:
        recorded = records(executed)
    except ValueError as error:
        outcome.error = str(error)
    else:
        if not recorded:
            outcome.error = "the notebook recorded nothing: lesson.start(…).record(name, value)"
        elif study_hash(executed) != digest:
            outcome.error = "the notebook was edited while its study ran"
    if outcome.error:
        return outcome, None
    loaded = {name for _, bundle in bundles(executed, RECORD_MIME) for name in bundle["modules"]}
    run = {
        "parameters": parameters,
        "seconds": round(outcome.seconds, 1),
        "records": recorded,
        "claims": [bundle for _, bundle in bundles(executed, CLAIM_MIME)],
    }
    study = {
        "format": STUDY_FORMAT,
        "notebook": path.stem,
        "study_hash": digest,
        "profile": profile,
        **series.machine(),
        "modules": {name: code[name] for name in sorted(loaded & code.keys())},
        "runs": [run],
    }
    with series.as_a_row(outcome):
        write(target.with_suffix(".json"), study)
    return outcome, study


def merged(studies: list[dict]) -> dict:
    """One study of the runs of several. Where they were made differently, it names both ways."""

    def both(values):
        return " and ".join(sorted({part for value in values for part in value.split(" and ")}))

    def by_name(field):
        names = sorted({name for study in studies for name in study[field]})
        return {name: both(s[field][name] for s in studies if name in s[field]) for name in names}

    return {
        **studies[0],
        "device": both(study["device"] for study in studies),
        "versions": by_name("versions"),
        "modules": by_name("modules"),
        "runs": [run for study in studies for run in study["runs"]],
    }


# --- a study -------------------------------------------------------------------------------------


def make(path: Path, profile: str, given: dict[str, object], seeds: str) -> int:
    """Make the runs that are asked for and not yet there, one after the other; 1 if one failed.

    Stores the study once all runs of its plan are there. What `-p` changes, and `smoke`, is tried:
    its runs are kept in build/studies/ and shown, but are not the study.
    """
    notebook, number = series.read(path), path.stem[:2]
    plan, runs = planned(notebook, path.stem), planned(notebook, path.stem, given)
    asked, digest = of_seeds(runs, seeds), study_hash(notebook)
    there = finished(number, digest, profile)
    kept, outcomes = there.keys() & asked.keys(), {}
    for name, changes in asked.items():
        if name in there:
            outcomes[name] = kept_outcome(there[name], changes)
            continue
        print(f"{path.stem}, {in_words(changes)} ...", flush=True)
        outcomes[name], study = run_once(path, changes, profile, digest)
        if study:
            there[name] = study
    there = finished(number, digest, profile) | there  # another `make study` may have made some
    print(f"\n{table(outcomes, there, kept)}")
    edited = edited_since([there[name] for name in kept])
    if edited:
        print(
            f"edited since the kept runs: {', '.join(edited)}; to measure anew, delete "
            f"build/studies/{number}/ and data/studies/{number}.json"
        )
    waiting = [in_words(changes) for name, changes in runs.items() if name not in there]
    if profile == "smoke" or runs.keys() != plan.keys():
        print(f"{path.stem}: tried, not stored: a study is its plan, in laptop or gpu")
    elif waiting:
        print(f"{path.stem}: not stored, still to run: {'; '.join(waiting)}")
    else:
        outcomes["all"] = Outcome(f"{len(runs)} runs", 0.0, 0.0, [], "")
        with series.as_a_row(outcomes["all"]):
            write(STUDIES / f"{number}.json", merged([there[name] for name in runs]))
        kept_in = f"stored in data/studies/{number}.json"
        print(f"{path.stem}: {len(runs)} runs {outcomes['all'].error or kept_in}")
    return int(any(outcome.error for outcome in outcomes.values()))


def kept_outcome(study: dict, changes: dict) -> Outcome:
    (run,) = study["runs"]
    verdicts = [claim["held"] for claim in run["claims"]]
    return Outcome(in_words(changes), run["seconds"], 0.0, verdicts, "")


def edited_since(studies: list[dict]) -> list[str]:
    """The package's modules whose code is no longer that of these studies."""
    code = package_code()
    pairs = {pair for study in studies for pair in study["modules"].items()}
    return sorted({name for name, digest in pairs if digest != code.get(name)})


def table(outcomes: dict[str, Outcome], there: dict[str, dict], kept: set[str]) -> str:
    """The closing table: run, seconds, claims held; and below it the claims that did not hold."""
    width = max(len("run"), *(len(outcome.name) for outcome in outcomes.values()))
    lines, missed = [f"{'run':<{width}}  seconds  claims held"], []
    for name, one in outcomes.items():
        note = " (kept)" if name in kept else ""
        lines.append(f"{one.name:<{width}}  {one.seconds:>7.1f}  {one.words}{note}")
        claims = there[name]["runs"][0]["claims"] if name in there else []
        for claim in claims:
            if claim["held"] is False:
                missed.append(f"{one.name}: did not hold: {claim['text']} ({claim['found']})")
        if one.log:
            missed.append(f"{one.name}: papermill's log is {one.log}")
    return "\n".join(lines + missed)


# --- the command line ----------------------------------------------------------------------------


def literal(word: str) -> object:
    """A value as the parameters cell would hold it: 3, 1e-3, None, or else the word itself."""
    try:
        return ast.literal_eval(word)
    except (ValueError, SyntaxError):
        return word


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", default="", help="numbers or names, separated by commas")
    parser.add_argument("--profile", default="")
    parser.add_argument("--seeds", default="", help="only these of the plan, separated by commas")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    asked = parser.parse_args(arguments)
    if asked.profile not in ("", "smoke", "laptop", "gpu"):
        parser.error(f"PROFILE={asked.profile}: expected laptop or gpu, or smoke for a try")
    given = {name: literal(value) for name, value in asked.p}
    try:
        if not asked.only:
            raise Refusal("a study runs a notebook several times: say which one, ONLY=04")
        paths = series.notebooks(asked.only, NOTEBOOKS)
        for path in paths:  # what cannot be run is refused before the first hour, not after it
            of_seeds(planned(series.read(path), path.stem, given), asked.seeds)
        series.writable(BUILD)
        return max([make(path, asked.profile or "laptop", given, asked.seeds) for path in paths])
    except Refusal as refusal:
        print(f"study: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    processes.stoppable()
    sys.exit(main())
