"""The room around a lesson: profiles, seeds, devices, claims, folders, hosted notebooks."""

import ast
import errno
import json
import random
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from t2i_utils import lesson

CPU = torch.device("cpu")
CUDA = torch.device("cuda")


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def a_lesson(profile="laptop", seed=0):
    return lesson.Lesson(profile, CPU, seed)


# --- profiles ------------------------------------------------------------------------------------


def test_auto_is_laptop_without_a_gpu(no_gpu):
    assert lesson.start().profile == "laptop"


def test_auto_is_gpu_where_a_device_works(monkeypatch):
    monkeypatch.setattr(lesson, "working_device", lambda: CUDA)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a card")
    begun = lesson.start()
    assert (begun.profile, begun.device) == ("gpu", CUDA)


def test_the_environment_decides_auto_and_an_explicit_profile_wins(no_gpu, monkeypatch):
    monkeypatch.setenv("T2I_PROFILE", "smoke")
    assert lesson.start("auto").profile == "smoke"
    assert lesson.start("laptop").profile == "laptop"
    monkeypatch.setenv("T2I_PROFILE", "")
    assert lesson.start("auto").profile == "laptop"


def test_an_unknown_profile_is_named_with_the_three(no_gpu, monkeypatch):
    with pytest.raises(ValueError, match=r"profile is 'laptp'.*smoke, laptop, gpu"):
        lesson.start("laptp")
    monkeypatch.setenv("T2I_PROFILE", "GPU")
    with pytest.raises(ValueError, match=r"T2I_PROFILE is 'GPU'.*smoke, laptop, gpu"):
        lesson.start()


def test_profile_gpu_on_a_cpu_warns(no_gpu):
    with pytest.warns(UserWarning, match="without a working CUDA device"):
        assert lesson.start("gpu").device == CPU


def test_start_prints_one_line(no_gpu, capsys):
    lesson.start("smoke")
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    for word in ("profile smoke", "device cpu", f"torch {torch.__version__}", "threads"):
        assert word in printed


def test_pick_takes_the_profiles_value_only_for_none():
    sizes = {"smoke": 1, "laptop": 2, "gpu": 3}
    assert [a_lesson(profile).pick(None, **sizes) for profile in lesson.PROFILES] == [1, 2, 3]
    assert a_lesson().pick(0, **sizes) == 0  # zero is a value


# --- seeds ---------------------------------------------------------------------------------------


def test_seeds_are_the_same_on_every_machine():
    assert lesson.seed_for(0) == 7520536977032167579
    assert lesson.seed_for(0, "step", 3, 0) == 1355675259752050908


def test_seeds_differ_by_root_and_by_every_name():
    paths = [(), ("a",), ("a", "b"), ("ab",), ("a", 1), ("a", "1"), (1, "a")]
    seeds = {lesson.seed_for(root, *path) for root in (0, 1) for path in paths}
    assert len(seeds) == 2 * len(paths)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert lesson.seed_for(0, np.int64(3)) == lesson.seed_for(0, 3)


def test_start_seeds_torch_numpy_and_random(no_gpu):
    def draw(seed):
        lesson.start("smoke", seed)
        return torch.rand(1).item(), np.random.rand(), random.random()

    assert draw(3) == draw(3)
    assert not set(draw(3)) & set(draw(4))


def test_generators_of_different_names_are_independent():
    one, same, other = (
        torch.randn(4, generator=a_lesson().generator(name)) for name in ("z", "z", "noise")
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert not torch.equal(one, torch.randn(4, generator=a_lesson(seed=1).generator("z")))


# --- the device ----------------------------------------------------------------------------------


def pretend(monkeypatch, computation):
    """A driver that claims a device, which computes what `computation` says."""
    honest = lesson._small_computation
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        lesson,
        "_small_computation",
        lambda device: computation(honest) if device.type == "cuda" else honest(device),
    )


def test_without_a_claim_there_is_no_warning(no_gpu):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lesson.working_device() == CPU


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA device")
def test_a_driver_that_only_claims_a_device_is_found_out(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # and the rest really fails
    with pytest.warns(UserWarning, match="claims a CUDA device"):
        assert lesson.working_device() == CPU


def test_the_warning_names_what_failed(monkeypatch):
    def fail(honest):
        raise RuntimeError("no kernel image is available")

    pretend(monkeypatch, fail)
    with pytest.warns(UserWarning, match="RuntimeError: no kernel image is available"):
        assert lesson.working_device() == CPU


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("spoil", [lambda t: 1.1 * t + 0.1, lambda t: t * float("nan")])
def test_a_device_that_computes_wrongly_is_found_out(monkeypatch, which, spoil):
    def wrong(honest):
        results = honest(CPU)
        results[which] = spoil(results[which])
        return results

    pretend(monkeypatch, wrong)
    with pytest.warns(UserWarning, match="small computation on it failed"):
        assert lesson.working_device() == CPU


def test_a_device_that_computes_is_used(monkeypatch):
    pretend(monkeypatch, lambda honest: [t * 1.001 for t in honest(CPU)])  # TF32's precision
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lesson.working_device() == CUDA


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_real_device_is_used():
    assert lesson.working_device() == CUDA


# --- claims and checks ---------------------------------------------------------------------------


@pytest.fixture
def shown(monkeypatch):
    """The bundles that a notebook would display."""
    bundles = []
    monkeypatch.setattr("IPython.get_ipython", lambda: object())

    def display(bundle, raw):
        assert raw
        bundles.append(bundle)

    monkeypatch.setattr("IPython.display.display", display)
    return bundles


@pytest.mark.parametrize("profile", ["laptop", "gpu"])
@pytest.mark.parametrize("held", [True, False])
def test_a_claim_is_judged(shown, profile, held):
    a_lesson(profile).claim("colour < 3 & right", held, "81 %")
    (bundle,) = shown
    assert bundle[lesson.CLAIM_MIME] == {
        "text": "colour < 3 & right",
        "held": held,
        "found": "81 %",
    }
    start = "✓ claim held: " if held else "✗ claim did not hold: "
    assert bundle["text/plain"] == start + "colour < 3 & right (81 %)"
    assert "colour &lt; 3 &amp; right (81 %)" in bundle["text/html"]


@pytest.mark.parametrize("held", [True, False])
def test_smoke_judges_nothing(shown, held):
    a_lesson("smoke").claim("it learned", held, "2 steps")
    (bundle,) = shown
    assert bundle[lesson.CLAIM_MIME]["held"] is None
    assert bundle["text/plain"] == "· not judged in smoke: it learned (2 steps)"


@pytest.mark.parametrize("profile", ["smoke", "laptop", "gpu"])
@pytest.mark.parametrize("held", [True, False])
def test_what_needs_no_training_is_judged_everywhere(shown, profile, held):
    a_lesson(profile).claim("it adds up", held, trained=False)
    assert shown[0][lesson.CLAIM_MIME]["held"] is held


@pytest.mark.parametrize("held", [np.bool_(True), torch.tensor(True)])
def test_a_verdict_is_a_plain_bool_whatever_comes_in(shown, held):
    a_lesson().claim("so", held)
    assert shown[0][lesson.CLAIM_MIME]["held"] is True


def test_a_claim_outside_a_notebook_is_printed(capsys):
    a_lesson().claim("it learned", True)
    assert capsys.readouterr().out == "✓ claim held: it learned\n"


def test_a_claim_without_ipython_is_printed(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "IPython", None)
    a_lesson().claim("it learned", False, "no")
    assert capsys.readouterr().out == "✗ claim did not hold: it learned (no)\n"


# --- records and studies -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, plain, words",
    [
        (0.8125, 0.8125, "0.8125"),
        (1200, 1200, "1,200"),
        (np.float32(0.5), 0.5, "0.5"),
        (np.int64(3), 3, "3"),
        (torch.tensor(2.5, requires_grad=True), 2.5, "2.5"),
        ([1, 2.5, 4], [1, 2.5, 4], "(3 numbers, 1 … 4)"),
        ((torch.tensor(1.0), 2), [1.0, 2], "(2 numbers, 1 … 2)"),
        (np.array([0.25, 0.75]), [0.25, 0.75], "(2 numbers, 0.25 … 0.75)"),
        ({"petals": torch.tensor(0.5), "size": 1}, {"petals": 0.5, "size": 1},
         "(petals 0.5, size 1)"),
        (dict(a=1, b=2, c=3, d=4), dict(a=1, b=2, c=3, d=4), "(a 1, b 2, c 3, … 4 values)"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("profile", ["smoke", "laptop"])
def test_a_record_is_kept_by_name(shown, profile, value, plain, words):
    a_lesson(profile).record("a < b", value)
    (bundle,) = shown
    kept = bundle[lesson.RECORD_MIME]
    assert (kept["name"], kept["value"]) == ("a < b", plain)
    assert type(kept["value"]) is type(plain)
    json.dumps(kept)
    assert {"t2i_utils", "t2i_utils.lesson"} <= set(kept["modules"])
    assert bundle["text/plain"] == f"recorded: a < b {words}"
    assert f"recorded: a &lt; b {words}</div>" in bundle["text/html"]


@pytest.mark.parametrize(
    "value, error, message",
    [
        (float("nan"), ValueError, "record 'x': found nan; expected a finite number"),
        (torch.tensor(torch.inf), ValueError, "record 'x': found inf"),
        ([1.0, np.nan], ValueError, "record 'x', place 1: found nan"),
        ({"a": -np.inf}, ValueError, "record 'x', 'a': found -inf"),
        (True, TypeError, "record 'x': found bool True; expected a number, a list"),
        (np.bool_(True), TypeError, "found bool True"),
        ("81 %", TypeError, "found str '81 %'"),
        (None, TypeError, "found NoneType None"),
        (torch.zeros(2, 2), TypeError, "record 'x', place 0: found list"),
        ({"a": {"b": 1}}, TypeError, "record 'x', 'a': found dict"),
        ({3: 1.0}, TypeError, "record 'x': found the key 3; expected names"),
    ],
)
def test_what_is_no_finite_number_is_not_recorded(shown, value, error, message):
    with pytest.raises(error) as raised:
        a_lesson().record("x", value)
    assert message in str(raised.value)
    assert shown == []


@pytest.mark.parametrize("value", [[], {}, (), torch.zeros(0)])
def test_what_is_empty_is_not_recorded(shown, capsys, value):
    a_lesson().record("x", value)
    assert shown == [] and capsys.readouterr().out == "nothing to record: x\n"


def test_a_name_is_recorded_once_but_a_cell_may_be_run_again(shown, monkeypatch):
    shell = types.SimpleNamespace(execution_count=5)
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    course = a_lesson()
    course.record("x", 1)
    course.record("y", 1)
    with pytest.raises(ValueError, match="record 'x': recorded twice; expected a name of its own"):
        course.record("x", 2)
    shell.execution_count = 6
    course.record("x", 3)
    assert [bundle[lesson.RECORD_MIME]["value"] for bundle in shown] == [1, 1, 3]
    a_lesson().record("x", 4)  # another lesson, another run


def test_a_record_outside_a_notebook_is_printed(capsys):
    course = a_lesson()
    course.record("accuracy", 0.81)
    assert capsys.readouterr().out == "recorded: accuracy 0.81\n"
    with pytest.raises(ValueError, match="recorded twice"):
        course.record("accuracy", 0.81)


@pytest.fixture
def studies(monkeypatch, tmp_path):
    """The folder of stored studies of a checkout that has none."""
    monkeypatch.setattr(lesson, "ROOT", tmp_path)
    (tmp_path / "data" / "studies").mkdir(parents=True)
    return tmp_path / "data" / "studies"


def a_run(seed, steps, **records):
    return {
        "parameters": {"seed": seed, "steps": steps}, "records": records, "claims": [],
        "seconds": 1.0,
    }  # fmt: skip


def test_a_study_gives_the_values_of_its_runs(studies):
    runs = [a_run(0, None, right=0.8), a_run(1, None, right=0.7), a_run(0, 3000, right=0.9, more=1)]
    stored = {"format": lesson.STUDY_FORMAT, "profile": "laptop", "device": "cpu", "runs": runs}
    (studies / "04.json").write_text(json.dumps(stored))
    for number in ("04", 4, "4"):
        found = lesson.study(number)
        assert (found.profile, found.device, found.runs) == ("laptop", "cpu", runs)
    assert found.values("right") == [0.8, 0.7, 0.9]
    assert found.values("right", steps=None) == [0.8, 0.7]
    assert found.values("right", steps=3000, seed=0) == [0.9]
    assert found.values("right", steps=12) == []
    assert found.values("more") == [1]
    with pytest.raises(ValueError, match="no record 'rihgt'; expected one of more, right"):
        found.values("rihgt")
    with pytest.raises(ValueError, match="no parameter 'step'; expected one of seed, steps"):
        found.values("right", step=3000)


def test_a_study_that_is_not_there_is_empty_and_says_how_to_make_it(studies, capsys):
    found = lesson.study("04")
    assert "make study ONLY=04" in capsys.readouterr().out
    assert found.runs == found.values("right", steps=3000) == []


def test_a_study_of_another_format_is_refused(studies):
    (studies / "04.json").write_text('{"format": "t2i study 9"}')
    with pytest.raises(ValueError, match="04.json: found format 't2i study 9', expected"):
        lesson.study("04")


# --- folders -------------------------------------------------------------------------------------


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "here"))
    folder = lesson.cache_dir("blooms")
    assert folder == tmp_path / "here" / "blooms" and folder.is_dir()


def test_the_cache_is_in_the_home_folder_otherwise(monkeypatch, tmp_path):
    monkeypatch.delenv("T2I_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert lesson.cache_dir("blooms") == tmp_path / ".cache" / "t2i" / "blooms"


def test_a_cache_that_is_no_folder_says_what_would_help(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match="cannot be written .*bytes free; .*T2I_CACHE .*now .*file"):
        lesson.cache_dir("blooms")


@pytest.mark.parametrize("asked", ["/a/cache", None])
def test_a_cache_that_cannot_be_written_says_what_would_help(monkeypatch, tmp_path, asked):
    def refuses(path, **_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path.parent))

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("T2I_CACHE", asked or "")
    monkeypatch.setattr(Path, "mkdir", refuses)
    advice = rf"T2I_CACHE chooses another folder \(now {asked or '~/.cache/t2i'}\)"
    with pytest.raises(PermissionError, match=f"cannot be written .*free; .*{advice}") as said:
        lesson.cache_dir("blooms")
    assert Path(said.value.filename) == Path(asked or tmp_path / ".cache" / "t2i") / "blooms"


@pytest.mark.parametrize("asked", ["~/cache", None])
def test_a_cache_without_a_home_says_what_would_help(monkeypatch, asked):
    def homeless(_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("T2I_CACHE", asked or "")
    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(OSError, match="no home folder .*T2I_CACHE chooses another folder"):
        lesson.cache_dir("blooms")


def test_shipped_weights_are_found_and_missing_ones_named(monkeypatch, tmp_path):
    (tmp_path / "data" / "pretrained").mkdir(parents=True)
    (tmp_path / "data" / "pretrained" / "g.safetensors").touch()
    address = lesson.home_url()
    monkeypatch.setattr(lesson, "home_url", lambda: address)
    monkeypatch.setattr(lesson, "ROOT", tmp_path)
    assert lesson.pretrained("g.safetensors") == tmp_path / "data/pretrained/g.safetensors"
    with pytest.raises(FileNotFoundError, match=r"'h\.safetensors'.*git clone https://.*pip"):
        lesson.pretrained("h.safetensors")
    installed = tmp_path / "site" / "t2i_utils"
    (installed / "pretrained").mkdir(parents=True)
    (installed / "pretrained" / "h.safetensors").touch()
    monkeypatch.setattr(lesson, "__file__", str(installed / "lesson.py"))
    assert lesson.pretrained("h.safetensors") == installed / "pretrained" / "h.safetensors"


# --- the publishing home, and hosted notebooks ---------------------------------------------------


@pytest.fixture
def moved(monkeypatch, tmp_path):
    """The project as published by somebody else."""
    text = (lesson.ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(text.replace(lesson.home(), "ada/engine"))
    monkeypatch.setattr(lesson, "ROOT", tmp_path)
    return tmp_path


def test_badges_and_set_up_cell_follow_the_home(moved):
    assert lesson.home_url() == "https://github.com/ada/engine"
    page = "github.com/ada/engine/blob/main/notebooks/07_gan_cls.ipynb"
    for name in ("07_gan_cls", "07_gan_cls.ipynb"):
        assert f"kernels/welcome?src=https://{page})" in lesson.badges(name)
        assert "research.google.com/github/ada/engine/blob/main/" in lesson.badges(name)
    assert '"https://github.com/ada/engine"' in lesson.setup_cell()


def test_a_home_that_is_no_repository_is_named(moved):
    file = moved / "pyproject.toml"
    file.write_text(file.read_text().replace("github.com/ada/engine", "example.com/x"))
    with pytest.raises(ValueError, match=r"'https://example\.com/x'.*owner/name"):
        lesson.badges("07_gan_cls")


def test_the_home_is_known_without_a_checkout(monkeypatch, tmp_path):
    expected = lesson.home_url()
    monkeypatch.setattr(lesson, "ROOT", tmp_path)
    urls = types.SimpleNamespace(get_all=lambda key: ["Docs, https://x", f"Repository, {expected}"])
    monkeypatch.setattr(lesson.metadata, "metadata", lambda name: urls)
    assert lesson.home_url() == expected


def test_the_set_up_cell_is_short_and_plain_python():
    source = lesson.setup_cell()
    ast.parse(source)
    assert len(source.splitlines()) <= 20
