"""An image built without a daemon or a registry, and its file system as a read-only root for a process."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.processes import Running, accepts, running

ROOT = Path(__file__).resolve().parents[2]
#: What the registry's image brings too: Python, its venv module, certificates.
PACKAGES = "python3.11,python3.11-venv,ca-certificates"
BASE, IMAGE = "localhost/python:bookworm", "localhost/authsvc:test"
USER = 10001


def run(command: list[str | Path], **options: Any) -> str:
    """Run to the end; what it says on standard output. A failure carries the rest."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{shlex.join(map(str, command))}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def pip_configuration() -> tuple[str, list[Path]]:
    """pip's configuration outside as the text of one file, and the folders and files on this machine that it names.

    Inside the build it is a secret: mounted while pip runs, and in no layer.
    """
    settings: dict[str, str] = {}
    for line in run([sys.executable, "-m", "pip", "config", "list"]).splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.partition(".")
        if section == "global" or section == ":env:" or section == "install":
            settings[key] = value.strip("'\"").replace("\\n", " ")
    text = "[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())
    indexes = [Path(url.removeprefix("file://")).parent for url in re.findall(r"file:///\S+", text)]
    named = [Path(word) for value in settings.values() for word in value.split() if word.startswith("/")]
    return text, sorted({path for path in (*indexes, *named) if path.exists()})


class Images:
    """A store of images in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._buildah = ["buildah", "--storage-driver", "vfs", "--root", folder / "store", "--runroot", folder / "run"]

    def buildah(self, *arguments: str | Path) -> str:
        """One command on the store."""
        return run([*self._buildah, *arguments]).strip()

    def make_base(self) -> None:
        """What stands in for the registry's Python: Debian's, from Debian's packages."""
        tar = self.folder / "base.tar"
        run(["mmdebstrap", "--quiet", "--variant=essential", f"--include={PACKAGES}", "bookworm", tar])
        container = self.buildah("from", "scratch")
        self.buildah("add", container, tar, "/")
        self.buildah("commit", "--rm", container, BASE)
        tar.unlink()

    def build(self) -> None:
        """The image of this tree, with the package index that pip has outside."""
        text, paths = pip_configuration()
        secret = self.folder / "pip.conf"
        secret.write_text(text)
        volumes = [f"--volume={path}:{path}:ro" for path in paths]
        arguments = [
            "--isolation=chroot",
            "--format=docker",
            f"--build-arg=PYTHON={BASE}",
            f"--secret=id=pip,src={secret}",
        ]
        self.buildah("build", *arguments, *volumes, f"--tag={IMAGE}", ROOT)

    def configuration(self) -> dict[str, Any]:
        """What the image says of itself."""
        inspected: dict[str, Any] = json.loads(self.buildah("inspect", "--type=image", IMAGE))
        return inspected

    def root(self) -> Path:
        """Its file system."""
        return Path(self.buildah("mount", self.buildah("from", IMAGE)))


@contextmanager
def started(root: Path, data: Path, environment: dict[str, str], port: int) -> Iterator[Running]:
    """`authsvc serve` as the image starts it: numeric user, read-only root; /data, /tmp and devices alone can be written."""
    with running(inside(root, data, environment, "serve"), ready=lambda: accepts(port), deadline_s=120) as process:
        yield process


def inside(root: Path, data: Path, environment: dict[str, str], *arguments: str) -> list[str]:
    """The command that runs `authsvc ...` there, in a mount namespace of its own that ends with it."""
    return in_root(root, data, environment, ["/opt/authsvc/bin/authsvc", *arguments])


def in_root(root: Path, data: Path, environment: dict[str, str], command: list[str]) -> list[str]:
    """The command that runs any other there."""
    there = shlex.quote(str(root))
    mounts = (
        f"mount --bind {there} {there}",
        f"mount -o remount,bind,ro {there}",
        f"mount --bind {shlex.quote(str(data))} {there}/data",
        f"mount -t tmpfs tmpfs {there}/tmp",
        f"mount --rbind /dev {there}/dev",
        f"mount -t proc proc {there}/proc",
    )
    given = [f"{name}={value}" for name, value in environment.items()]
    run_it = ["chroot", f"--userspec={USER}:{USER}", str(root), "/usr/bin/env", "-i", "-C", "/data", *given, *command]
    return ["unshare", "--mount", "sh", "-ec", "; ".join([*mounts, "exec " + shlex.join(run_it)])]


def own(folder: Path) -> Path:
    """A volume that the image's user may write."""
    folder.mkdir()
    os.chown(folder, USER, USER)
    return folder
