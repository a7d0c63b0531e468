"""`python -m tests.support.install`: finds the programs that pip cannot bring, installs them, or says what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.browser import find_chromium


@dataclass(frozen=True)
class Program:
    """A program, how to find it, and its Debian packages."""

    name: str
    find: Callable[[], str | None]
    packages: tuple[str, ...]


PROGRAMS = (
    # Without any font Chromium draws no text at all.
    Program("Chromium", find_chromium, ("chromium", "fonts-liberation")),
    Program("redis-server", lambda: shutil.which("redis-server"), ("redis-server",)),
)


def missing() -> list[Program]:
    """The programs that are not on this machine."""
    return [program for program in PROGRAMS if program.find() is None]


def main() -> None:
    """Exit status 0 when everything is there in the end; else one sentence and 1."""
    wanted = missing()
    if not wanted:
        return
    names = " and ".join(program.name for program in wanted)
    packages = [package for program in wanted for package in program.packages]
    by_hand = f"apt-get install {' '.join(packages)}"
    apt = shutil.which("apt-get")
    if apt is None:
        sys.exit(f"The tests need {names}: install with your system's packages what Debian calls {' '.join(packages)}.")
    if os.geteuid() != 0:
        sys.exit(f"The tests need {names}: run `sudo {by_hand}`, then try again.")
    sys.stderr.write(f"Installing {names} with apt-get.\n")
    quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run([apt, "-qq", *command], env=quietly, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.stderr.write(done.stdout + done.stderr)
            sys.exit(f"The tests need {names}, and apt-get could not install it: see above, then run `{by_hand}`.")
    if still := missing():
        sys.exit(f"The tests need {' and '.join(program.name for program in still)}, which `{by_hand}` did not bring.")


if __name__ == "__main__":
    main()
