"""What every test shares: a cache of its own, no profile from outside, the real photographs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Tests neither read nor fill the reader's cache, and nothing of the shell decides.

    Neither T2I_PROFILE nor the make that started them: make within make says more.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("T2I_CACHE", str(tmp_path_factory.mktemp("cache")))
        for name in ("T2I_PROFILE", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def interrupts_are_heard():
    """A shell that starts the tests in the background has SIGINT ignored, by all their children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def flowers_dir() -> Path:
    """The folder of Oxford-102 and its captions: T2I_FLOWERS, else ../shared/data/flowers-102."""
    folder = Path(os.environ.get("T2I_FLOWERS") or ROOT.parent / "shared/data/flowers-102")
    if not (folder / "imagelabels.mat").is_file():
        pytest.skip(f"no Oxford-102 at {folder}; T2I_FLOWERS names its folder (see data/README.md)")
    return folder


@pytest.fixture
def disk(tmp_path):
    """A small disk: `disk("2m")` is its folder."""
    mounted = []

    def mount(size):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if sys.platform != "linux" or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("needs the right to mount a tmpfs")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)
