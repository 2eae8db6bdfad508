"""The processes of a run: watched while they run, and ended with the program that started them."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil


def stoppable() -> None:
    """Have SIGTERM and a closed terminal end this program as Ctrl-C does: with all it started.

    Once: a second one does not disturb the end. And have no output fail for its encoding.
    """

    def stop(number, frame):
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows knows no SIGHUP
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")


def run(
    command: list[str], folder: Path, environment: dict[str, str], log: Path, name: str
) -> tuple[int, float]:
    """Run a command from `folder`: its exit code, and the peak memory of what it started, in MB.

    What it prints goes to `log`. However this ends, by an interrupt or SIGTERM too, no process that
    the command started lives on.
    """
    family: set[psutil.Process] = set()
    with open(log, "wb") as stream:
        process = psutil.Popen(
            command, cwd=folder, env=environment, stdout=stream, stderr=subprocess.STDOUT
        )
        try:
            peak = watch(process, family, log, name)
        finally:
            end(family | descendants(process) | {process})
    return process.returncode, peak


def descendants(process: psutil.Process) -> set[psutil.Process]:
    with suppress(psutil.Error):  # it ended meanwhile
        return set(process.children(recursive=True))
    return set()


def end(processes: set[psutil.Process]) -> None:
    """End the processes that still live: asked first, after five seconds not any more."""
    for ask in ("terminate", "kill"):
        for process in processes:
            with suppress(psutil.Error):
                getattr(process, ask)()
        _, processes = psutil.wait_procs(processes, timeout=5)


def watch(process: psutil.Popen, family: set[psutil.Process], log: Path, name: str) -> float:
    """Wait for a process, showing its progress; the peak memory of its descendants, in MB.

    Adds the descendants to `family`.
    """
    peak = 0.0
    while process.poll() is None:
        memory = 0
        for child in descendants(process):
            family.add(child)
            with suppress(psutil.Error):  # it ended meanwhile
                memory += child.memory_info().rss
        peak = max(peak, memory / 2**20)
        os.utime(log)  # the folder of a run of hours is not stale
        if sys.stderr.isatty():
            bar = re.split(r"[\r\n]", log.read_text(encoding="utf-8", errors="replace"))[-1]
            print(f"\r\033[K{name}  {bar}"[:110], end="", file=sys.stderr, flush=True)
        time.sleep(0.2)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return peak
