"""`python -m t2i_utils`: options and defaults, exit codes, what each command writes and says."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from t2i_utils import __main__ as program
from t2i_utils import trainer

sys.path.insert(0, str(Path(__file__).parent / "data"))
from stackgan_layout import write_all  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
# reference: the published trainer's options, as its help and defaults are to be found here
OPTIONS = {
    "image_size1": "64", "image_size2": "256", "z_dim": "100", "embed_dim": "128", "D1_dim": "512",
    "G2_dim": "512", "data_dir": None, "image_dir": None, "epochs1": "100", "epochs2": "100",
    "batch_size": "64", "lrG1": "0.0002", "lrG2": "0.0002", "lrD1": "0.0002", "lrD2": "0.0002",
    "beta1": "0.5", "beta2": "0.999",
}  # fmt: skip
SMOKE = ["train", "--dataset", "blooms", "--profile", "smoke"]


def run(*arguments):
    """Run a command; its exit code."""
    try:
        program.main([str(a) for a in arguments])
    except SystemExit as end:
        return end.code
    return 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run on Blooms, and of one on stored embeddings."""
    place = tmp_path_factory.mktemp("runs")
    assert run(*SMOKE, "--run_dir", place / "blooms") == 0
    pickles, images, _ = write_all(place, train=48, test=40)
    assert run("train", "--profile", "smoke", "--data_dir", pickles, "--image_dir", images,
               "--run_dir", place / "embeddings") == 0  # fmt: skip
    return place


# ---- train --------------------------------------------------------------------------------------


def test_every_option_is_there_with_its_default(capsys):
    assert run("train", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    for name, default in OPTIONS.items():
        own = text[text.index(f"--{name}") :]
        own = own[: own.index(" --", len(name) + 20) if " --" in own[len(name) + 20 :] else None]
        assert default is None or f"default: {default}" in own, name
    settings = trainer.Settings(data_dir="a", image_dir="b")
    for name, default in OPTIONS.items():
        assert default is None or float(default) == getattr(settings, name), name


@pytest.fixture
def asked(monkeypatch):
    """What `train` is called with, in place of training."""
    calls = []
    monkeypatch.setattr(trainer, "train", lambda *args, **kwargs: calls.append((args, kwargs)))
    return calls


@pytest.mark.parametrize("spelled", [lambda name: name, lambda name: name.replace("_", "-")])
def test_options_reach_the_settings_with_underscores_and_dashes(asked, spelled):
    given = dict(image_size1=32, image_size2=64, z_dim=7, embed_dim=8, D1_dim=80, G2_dim=48,
                 data_dir="a", image_dir="b", epochs1=3, epochs2=4, batch_size=5, lrG1=0.1,
                 lrG2=0.2, lrD1=0.3, lrD2=0.4, beta1=0.6, beta2=0.7, seed=9, width=6)  # fmt: skip
    arguments = [x for name, value in given.items() for x in (f"--{spelled(name)}", value)]
    assert run("train", *arguments) == 0
    settings = asked[0][0][0]
    given |= {name: str(Path(given[name]).absolute()) for name in ("data_dir", "image_dir")}
    assert {name: getattr(settings, name) for name in given} == given


def test_a_profile_gives_what_is_not_given(asked):
    assert run(*SMOKE, "--width", 12) == 0
    assert run(*SMOKE, "--epochs1", 2) == 0
    assert run("train", "--dataset", "blooms") == 0
    first, second, third = (call[0][0] for call in asked)
    assert (first.width, first.image_size1, first.steps1) == (12, 16, 6)
    assert (second.steps1, second.epochs1, second.steps2) == (None, 2, 6)
    assert (third.width, third.image_size1, third.steps1) == (128, 64, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--imagesize1", 3], "No such option '--imagesize1'"),
        (["train", "--batch_size", "many"], "'many' is not a valid integer range"),
        (["train", "--beta1", 1], "1.0 is not in the range 0<=x<1"),
        (["train", "--lrG1", 0], "0.0 is not in the range 0<x<=1"),
        (["train"], "data_dir: found none, expected the folder of train/ and test/, the pickled "
         "embeddings, or a data set by name: dataset, one of blooms, flowers, birds, folder"),
        (["train", "--data_dir", "x"], "image_dir: found none, expected the folder that holds"),
        (["train", "--dataset", "birds"], "data_dir: found none, expected the folder of birds"),
        ([*SMOKE, "--image_dir", "x"], "x, expected none for blooms"),
        ([*SMOKE, "--lrG1", "nan"], "lrG1: found nan, expected a finite float"),
        ([*SMOKE, "--kl_weight", "inf"], "kl_weight: found inf, expected a finite float"),
        ([*SMOKE, "--width", 2], "width: found 2, expected an even number, 4 or more"),
        ([*SMOKE, "--run_dir", ""], "found an empty path, expected a file or a folder"),
        ([*SMOKE, "--seed", 2**63], "is not in the range"),
        (["sample", "a flower", "--out", ""], "found an empty path"),
        (["sample", "a flower", "--number", 10**11], "is not in the range 1<=x<=10000"),
        (["data", "--dataset", "embeddings", "--data_dir", "x"], "--image_dir: found none"),
        (["data", "--dataset", "folder", "--data_dir", "x", "--fetch"],
         "--fetch: found folder, expected flowers, birds"),
        ([*SMOKE, "--steps1", 3, "--epochs1", 3], "both --steps1 and --epochs1, expected one"),
        ([*SMOKE, "--until_epoch", 3], "beside steps (of the profile smoke), expected --epochs1"),
        ([*SMOKE, "--until_epoch", 3, "--steps1", 2], "--until_epoch beside steps, expected"),
        ([*SMOKE, "--image_size2", 128], "image_size2: found 128, expected 2 or 4 times"),
        ([*SMOKE, "--stage", 3], "'3' is not one of '1', '2', 'both'"),
        (["draw"], "No such command 'draw'"),
        (["sample"], "expected sentences, a --file of them, or --from test; found none"),
        (["sample", "a flower", "--from", "test"], "found both"),
        (["sample", "--from", "test"], "--from: found no --run_dir, expected one"),
        (["evaluate"], "found no --run_dir"),
        (["data"], "found no --data_dir"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_ends_with_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--data_dir", "here", "--image_dir", "here"], "here/train"),
        (["train", "--dataset", "flowers", "--data_dir", "here"], "no such folder; expected there"),
        ([*SMOKE, "--stage", 2], "found 2, and no Stage-I"),
        ([*SMOKE, "--encoder", "mine.safetensors"], "mine.safetensors"),
        (["sample", "a flower", "--run_dir", "here"], "here: found no settings.json, expected"),
        (["evaluate", "--run_dir", "here"], "here: found no settings.json"),
        (["sample", "a flower", "--out", "x.jpg"], "x.jpg, expected a name that ends"),
        (["data", "--dataset", "birds", "--data_dir", "here"], ""),
    ],
)
def test_what_fails_ends_with_1(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 1
    assert message in capsys.readouterr().err
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_width_that_does_not_fit_the_checkpoint_ends_with_1(finished, capsys):
    assert run(*SMOKE, "--run_dir", finished / "blooms", "--width", 16) == 1
    assert "holds another run: width: found 8, expected 16. Use another" in capsys.readouterr().err


def test_the_same_command_goes_on_with_a_run_that_is_done(finished, capsys):
    assert run(*SMOKE, "--run_dir", finished / "blooms") == 0
    assert capsys.readouterr().out.count("complete, nothing to do") == 2
    assert run(*SMOKE, "--run_dir", finished / "blooms", "--steps2", 8) == 0
    assert trainer.steps_done(finished / "blooms", 2) == 8


@pytest.mark.parametrize("number", [signal.SIGINT])
def test_an_interrupt_saves_and_ends_with_130(tmp_path, number):
    process = subprocess.Popen(
        [sys.executable, "-m", "t2i_utils", *SMOKE, "--steps1", "100000", "--run_dir",
         str(tmp_path / "run")], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"})  # fmt: skip
    assert "blooms: reading pictures and sentences" in process.stdout.readline()
    assert "Stage-I: 100,000 steps" in process.stdout.readline()
    for line in process.stderr:
        if "/100000" in line and " 0/" not in line:
            break
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err[-1000:]
    assert "interrupted after step" in err and "saved in" in err
    assert trainer.steps_done(tmp_path / "run", 1) > 0


# ---- sample -------------------------------------------------------------------------------------


def test_samples_of_a_run_are_a_grid_or_files(finished, tmp_path, capsys):
    told = ["a red flower with a yellow centre", "a blue flower"]
    common = ["--run_dir", finished / "blooms", "--number", 3]
    assert run("sample", *told, *common, "--out", tmp_path / "grid.png") == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "grid.png")
    assert Image.open(tmp_path / "grid.png").size == (3 * 34 + 2, 2 * 34 + 2)
    assert run("sample", *told, *common, "--out", tmp_path / "single") == 0
    names = [f"{i:03}_{k:02}.png" for i in range(2) for k in range(3)]
    assert sorted(p.name for p in (tmp_path / "single").iterdir()) == [*names, "sentences.txt"]
    assert Image.open(tmp_path / "single" / names[0]).size == (32, 32)
    assert (tmp_path / "single" / "sentences.txt").read_text().splitlines()[1].endswith(told[1])


def test_samples_depend_on_seed_and_sentence_alone(tmp_path):
    def drawn(name, *more):
        out = tmp_path / f"{name}.png"
        assert run("sample", "--number", 2, *more, "--out", out) == 0
        return out.read_bytes()

    file = tmp_path / "sentences.txt"
    file.write_text("a red flower\n\na blue flower\n")
    told = ["a red flower", "a blue flower"]
    first = drawn("a", *told)
    assert first == drawn("b", *told) == drawn("c", "--file", file)
    assert first != drawn("d", *told, "--seed", 1) and first != drawn("e", *reversed(told))


def test_a_picture_is_the_same_whatever_else_is_drawn(tmp_path):
    """By the shipped generator, which has learned: others may draw the same for any noise."""
    told = ["a white flower with round petals", "a red flower"]
    for name, more in {"two": ["--number", 2, *told], "one": ["--number", 1, told[1]],
                       "three": ["--number", 3, told[1], told[0]]}.items():  # fmt: skip
        assert run("sample", *more, "--out", tmp_path / name) == 0
    read = {place: (tmp_path / place).read_bytes() for place in (
        "two/001_00.png", "two/001_01.png", "one/000_00.png", "three/000_00.png",
        "three/000_01.png", "three/000_02.png", "two/000_00.png", "three/001_00.png")}  # fmt: skip
    assert read["one/000_00.png"] == read["two/001_00.png"] == read["three/000_00.png"]
    assert read["two/001_01.png"] == read["three/000_01.png"] != read["three/000_02.png"]
    assert read["two/000_00.png"] == read["three/001_00.png"]


def test_sentences_of_a_file_as_editors_write_it(tmp_path, capsys):
    file = tmp_path / "marked.txt"
    file.write_bytes(b"\xef\xbb\xbfa red flower\r\n\r\na blue flower\r\n")
    assert run("sample", "--file", file, "--number", 1, "--out", tmp_path / "out") == 0
    listed = (tmp_path / "out" / "sentences.txt").read_text("utf-8").splitlines()
    assert listed == ["000 a red flower", "001 a blue flower"]
    file.write_bytes("a flower with a höhe".encode("latin-1"))
    assert run("sample", "--file", file, "--out", tmp_path / "other") == 1
    assert "marked.txt: found" in (told := capsys.readouterr().err) and "UTF-8" in told


def test_pictures_are_not_put_among_others(tmp_path, capsys):
    (tmp_path / "kept.txt").write_text("mine")
    for out in ("kept.txt", "link"):
        (tmp_path / "link").symlink_to(tmp_path) if out == "link" else None
        assert run("sample", "a red flower", "--out", tmp_path / out) == 1
        assert "found a file or a link" in capsys.readouterr().err
    (tmp_path / "link").unlink()
    assert run("sample", "a red flower", "--out", tmp_path) == 1
    assert "holds something, expected a new one" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_the_shipped_generator_draws_without_a_run(tmp_path):
    assert run("sample", "a red flower", "--out", tmp_path / "one.png", "--number", 1) == 0
    assert Image.open(tmp_path / "one.png").size == (64, 64)


def test_stored_embeddings_have_no_sentences_and_draw_their_own(finished, tmp_path, capsys):
    run_dir, out = finished / "embeddings", tmp_path / "stored"
    assert run("sample", "a red flower", "--run_dir", run_dir, "--out", out) == 1
    assert "a run on stored embeddings, which has no encoder for sentences" in (
        capsys.readouterr().err)  # fmt: skip
    assert not out.exists()
    assert run("sample", "--from", "test", "--run_dir", run_dir, "--out", out, "--number", 5) == 0
    listed = (out / "sentences.txt").read_text().splitlines()
    assert len(listed) == 5 and all(" of image_" in line for line in listed)
    assert all(int(line[-5:]) >= 48 for line in listed)  # of the folder test


def test_sentences_of_a_data_set(finished, tmp_path):
    out = tmp_path / "own"
    assert run("sample", "--from", "train", "--run_dir", finished / "blooms", "--out", out) == 0
    assert len((out / "sentences.txt").read_text().splitlines()) == 4


def test_nothing_is_drawn_where_nothing_can_be_written(finished, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "x.png"
    assert run("sample", "a flower", "--run_dir", finished / "blooms", "--out", out) == 1
    assert "file" in capsys.readouterr().err and (tmp_path / "file").read_text() == ""


@pytest.mark.parametrize(
    ("name", "value"), [("z_dim", "100"), ("z_dim", 1.5), ("embed_dim", None), ("dataset", "foo"),
                        ("width", "8"), ("kl_weight", "a")],
)  # fmt: skip
def test_edited_settings_are_named(finished, tmp_path, capsys, name, value):
    for stage in (1, 2):
        (tmp_path / f"stage{stage}").symlink_to(finished / "blooms" / f"stage{stage}")
    held = json.loads((finished / "blooms" / "settings.json").read_text())
    (tmp_path / "settings.json").write_text(json.dumps(held | {name: value}))
    assert run("sample", "a red flower", "--run_dir", tmp_path, "--out", tmp_path / "a.png") == 1
    told = capsys.readouterr().err
    assert f"settings.json: found other settings than a run has: {name}: found" in told
    (tmp_path / "settings.json").write_text("[]")
    assert run("sample", "a red flower", "--run_dir", tmp_path) == 1
    assert "all: found list, expected names and values" in capsys.readouterr().err


def test_a_run_without_a_checkpoint_has_nothing_to_draw_with(finished, tmp_path, capsys):
    (tmp_path / "settings.json").write_text((finished / "blooms" / "settings.json").read_text())
    assert run("sample", "a red flower", "--run_dir", tmp_path) == 1
    assert f"{tmp_path}: found no checkpoint yet, expected" in capsys.readouterr().err
    (tmp_path / "stage1").symlink_to(finished / "blooms" / "stage1")
    (tmp_path / "stage2").symlink_to(finished / "blooms" / "stage1")
    assert run("sample", "a red flower", "--run_dir", tmp_path) == 1
    assert "found weights of another generator than its settings" in capsys.readouterr().err


# ---- evaluate -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["blooms", "embeddings"])
def test_the_report_card_of_a_run(finished, capsys, kind):
    assert run("evaluate", "--run_dir", finished / kind, "--number", 64, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {"generator", "blind", "parrot", "ceiling"} <= set(found["columns"])
    assert found["columns"]["generator"]["Fréchet distance"][0] > 0
    assert ("petal_colour" in found["columns"]["generator"]) == (kind == "blooms")
    assert run("evaluate", "--run_dir", finished / kind, "--number", 64) == 0
    printed = capsys.readouterr().out
    assert "Fréchet distance" in printed and found["face"] in printed


# ---- data ---------------------------------------------------------------------------------------


def test_data_says_what_is_whole(finished, capsys):
    assert run("data", "--dataset", "embeddings", "--data_dir", finished / "pickles",
               "--image_dir", finished / "images") == 0  # fmt: skip
    told = capsys.readouterr().out
    assert "whole: 88 photos of 6 classes, 10 embeddings of 6 numbers each" in told
    assert "lacks" not in told


def test_a_pickle_that_would_run_code_is_named(tmp_path, capsys):
    pickles, images, _ = write_all(tmp_path)
    path = pickles / "train" / "filenames.pickle"
    path.write_bytes(b"cposix\nsystem\n(S'touch ran'\ntR.")
    given = ["--data_dir", pickles, "--image_dir", images]
    assert run("train", "--profile", "smoke", *given, "--run_dir", tmp_path / "run") == 1
    assert "posix.system" in capsys.readouterr().err
    assert run("data", "--dataset", "embeddings", *given) == 1
    assert "not whole: " in (told := capsys.readouterr().out) and "posix.system" in told


def test_a_photo_of_too_many_pixels_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    pickles, images, _ = write_all(tmp_path)
    given = ["--data_dir", pickles, "--image_dir", images]
    assert run("train", "--profile", "smoke", *given, "--run_dir", tmp_path / "run") == 1
    assert "cannot read photo" in (told := capsys.readouterr().err) and "image_000" in told


def test_data_says_what_is_lacking_and_how_to_get_it(tmp_path, capsys):
    (tmp_path / "jpg").mkdir()
    assert run("data", "--dataset", "flowers", "--data_dir", tmp_path) == 1
    told = capsys.readouterr().out
    assert "there  jpg" in told and "lacks  text_c10" in told and "lacks  setid.mat" in told
    assert "reedscot/cvpr2016" in told and f"put it into {tmp_path}" in told


# ---- as a program -------------------------------------------------------------------------------


def test_the_program_answers_at_once():
    """Help imports no torch: a learner who mistypes need not wait for it."""
    code = "import sys, t2i_utils.__main__ as m; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    done = subprocess.run([sys.executable, "-m", "t2i_utils", "--help"], cwd=ROOT, text=True,
                          capture_output=True, check=True)  # fmt: skip
    assert all(f"  {name} " in done.stdout for name in ("train", "sample", "evaluate", "data"))


def test_a_notebook_runs_it(tmp_path):
    """`%run -m t2i_utils train …`, and what cannot be meant leaves the kernel alive."""
    lines = [
        f"%run -m t2i_utils {' '.join(SMOKE)} --run_dir {tmp_path / 'run'}",
        "%run -m t2i_utils train --beta1 3",
        "print('alive')",
    ]
    code = f"""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for line in {lines!r}:
    shell.run_cell(line)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True,
                          env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=120)  # fmt: skip
    assert done.stdout.rstrip().endswith("alive"), done.stdout + done.stderr
    assert "Stage-II: 6 steps" in done.stdout and "is not in the range 0<=x<1" in done.stderr
    assert trainer.steps_done(tmp_path / "run", 2) == 6
