"""Install with pip, and show in plain lines that it goes on: what `make` calls once.

`install.py .venv/install.log -e '.[dev]'` gives all but the log's name to `pip install`. Of pip's
hundreds of lines it shows those on large downloads and, where pip fails, the last ones; the log
keeps all of them. Needs the standard library only.
"""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

LARGE = 20  # MB
QUIET = 20  # seconds without a line, after which one says that it goes on
PIP = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input",
       "--progress-bar=off"]  # fmt: skip


def install(arguments: list[str], log: Path, pip: list[str] = PIP) -> int:
    """Run pip with these arguments; its exit code."""
    print("installing the project and its tools into .venv (some minutes, once)", flush=True)
    begun = spoken = time.monotonic()
    with open(log, "wb") as stream:
        process = subprocess.Popen([*pip, *arguments], stdout=stream, stderr=subprocess.STDOUT)
    rest = ""
    try:
        with open(log, encoding="utf-8", errors="replace") as lines:
            while True:
                ended = process.poll() is not None  # asked before the last lines are read
                *whole, rest = (rest + lines.read()).split("\n")
                for words in filter(None, map(in_short, whole)):
                    print(f"  {words}", flush=True)
                    spoken = time.monotonic()
                if ended:
                    break
                if time.monotonic() - spoken > QUIET:
                    print(f"  going on, {minutes(begun)}", flush=True)
                    spoken = time.monotonic()
                time.sleep(0.2)
    finally:
        process.terminate()  # where this was interrupted
        process.wait()
    if process.returncode:
        said = log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
        print("\n".join(said), f"\npip failed after {minutes(begun)}; all it said is in {log}",
              file=sys.stderr)  # fmt: skip
    else:
        print(f"installed in {minutes(begun)}", flush=True)
    return process.returncode


def in_short(line: str) -> str:
    """What a line of pip's tells a reader who waits; nothing for most."""
    if found := re.match(r"\s*(Downloading|Using cached) (\S+) \(([\d.]+) ([MG])B\)", line):
        how, file, size, unit = found.groups()
        if unit == "G" or float(size) >= LARGE:
            return f"{how.lower()} {file.split('/')[-1].split('-')[0]}, {size} {unit}B"
    if found := re.match(r"Installing collected packages: (.*)", line):
        return f"installing {found[1].count(',') + 1} packages"
    return ""


def minutes(begun: float) -> str:
    seconds = round(time.monotonic() - begun)
    return f"{seconds // 60}:{seconds % 60:02} minutes"


if __name__ == "__main__":
    for output in (sys.stdout, sys.stderr):
        output.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # and ends pip
    sys.exit(install(sys.argv[2:], Path(sys.argv[1])))
