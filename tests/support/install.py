"""`python -m tests.support.install`: finds what pip cannot bring, installs it, or says what to do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.support.browser import find_chromium


@dataclass(frozen=True)
class Program:
    """A program, how to find it, and its Debian packages."""

    name: str
    find: Callable[[], str | None]
    packages: tuple[str, ...]


APACHE = Path("/usr/sbin/apache2")
_MODULES = Path("/usr/lib/apache2/modules")
#: What a private page needs of Apache, by the name of the module; some are built in.
APACHE_MODULES = {
    name: _MODULES / f"mod_{name}.so"
    for name in ("mpm_event", "authn_core", "authz_core", "authz_user", "headers", "env", "auth_openidc")
}


def find_apache() -> str | None:
    """Path of Apache, with the OpenID Connect module beside it."""
    return str(APACHE) if APACHE.is_file() and APACHE_MODULES["auth_openidc"].is_file() else None


PROGRAMS = (
    # Without any font Chromium draws no text at all.
    Program("Chromium", find_chromium, ("chromium", "fonts-liberation")),
    Program("redis-server", lambda: shutil.which("redis-server"), ("redis-server",)),
    Program("Apache with mod_auth_openidc", find_apache, ("apache2", "libapache2-mod-auth-openidc")),
)
#: Of `make image-test` alone.
IMAGE_PROGRAMS = tuple(Program(name, partial(shutil.which, name), (name,)) for name in ("buildah", "mmdebstrap"))

NODE_FOLDER = Path(__file__).parents[1] / "interop" / "node"
#: The first with the cryptography that jose needs without being asked for it; Debian 12 has an older one.
OLDEST_NODE = 20


def missing(programs: tuple[Program, ...]) -> list[Program]:
    """Those that are not on this machine."""
    return [program for program in programs if program.find() is None]


def main() -> None:
    """Exit status 0 when everything is there in the end; else one sentence and 1."""
    if "image" in sys.argv[1:]:
        install_programs(IMAGE_PROGRAMS)
        return
    install_programs(PROGRAMS)
    install_node_packages()


def install_node_packages() -> None:
    """What package-lock.json names, beside it; left alone when it is there."""
    node, npm = shutil.which("node"), shutil.which("npm")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout if node else ""
    if npm is None or not version.startswith("v") or int(version[1:].partition(".")[0]) < OLDEST_NODE:
        sys.exit(f"The tests need Node.js {OLDEST_NODE} or newer and npm: install them, then try again.")
    if locked(NODE_FOLDER / "package-lock.json") == locked(NODE_FOLDER / "node_modules" / ".package-lock.json"):
        return
    sys.stderr.write("Installing the tests' npm packages.\n")
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=NODE_FOLDER, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
        sys.exit("The tests need npm packages, and npm could not install them: see above.")


def locked(lock: Path) -> dict[str, str] | None:
    """Each package's digest by its place; None where there is no such file."""
    if not lock.is_file():
        return None
    packages = json.loads(lock.read_text())["packages"]
    return {place: package["integrity"] for place, package in packages.items() if place}


def install_programs(programs: tuple[Program, ...]) -> None:
    """What the system's packages bring. Ends the process with one sentence when that cannot be done."""
    wanted = missing(programs)
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
    if still := missing(programs):
        sys.exit(f"The tests need {' and '.join(program.name for program in still)}, which `{by_hand}` did not bring.")


if __name__ == "__main__":
    main()
