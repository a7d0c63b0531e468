"""The image: built for real, started read-only, and one sign-in through it.

Not among the tests that `make test` collects, for a build takes a minute and more: `make image-test` runs it.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.image import USER, Images, in_root, inside, own, run, started
from tests.support.processes import free_port
from tests.support.remote import RemotePerson
from tests.support.service import SECRET

TEAM = """
schema: authsvc/config/1
accounts:
  - slug: northgate
    name: Northgate Capital Partners
    portal_url: https://portal.northgate.example
    mfa: {team: {enabled: false}}
    members: [{email: dana@northgate.example, name: Dana, email_verified: true, password: {env: DEMO_PASSWORD}}]
"""
COMPILERS = ("gcc", "cc", "g++", "make", "ld", "curl", "wget", "git")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """A store with the image in it."""
    folder = tmp_path_factory.mktemp("images")
    images = Images(folder)
    began = time.monotonic()
    images.make_base()
    based = time.monotonic()
    images.build()
    print(f"\nbase {based - began:.0f} s, image {time.monotonic() - based:.0f} s")  # noqa: T201 - the figures
    yield images
    images.buildah("rm", "--all")
    images.buildah("rmi", "--all", "--force")


@pytest.fixture(scope="module")
def root(images: Images) -> Path:
    """Its file system."""
    return images.root()


def test_the_image_says_how_it_wants_to_be_run(images: Images) -> None:
    """A numeric user, a signal that drains, a health check without another program, labels, and production by default."""
    config = images.configuration()["Docker"]["config"]
    assert config["User"] == f"{USER}:{USER}"
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert (config["Entrypoint"], config["Cmd"]) == (["authsvc"], ["serve"])
    assert config["Healthcheck"]["Test"][:2] == ["CMD", "python3"]
    assert "AUTHSVC_ENV=production" in config["Env"]
    assert config["Volumes"] == {"/data": {}}
    assert {
        "org.opencontainers.image.title",
        "org.opencontainers.image.version",
        "org.opencontainers.image.revision",
    } <= config["Labels"].keys()


def test_the_image_holds_what_runs_and_nothing_that_builds(images: Images, root: Path) -> None:
    """No compiler, no downloader, no pip beside the packages, no cache, no sources, and nothing of the index it came from."""
    found = {
        name
        for name in COMPILERS
        for folder in ("usr/bin", "usr/local/bin", "opt/authsvc/bin")
        if (root / folder / name).exists()
    }
    assert found == set()
    packages = root / "opt/authsvc/lib/python3.11/site-packages"
    assert (packages / "authsvc/default_policies/mfa.yaml").is_file()
    assert not (packages / "pip").exists()
    assert not (packages / "pytest").exists()
    for gone in ("src", "wheel", "opt/build", "root/.cache", "etc/pip.conf"):
        assert not (root / gone).exists() or not any((root / gone).iterdir()), gone
    assert list(packages.glob("authsvc/**/__pycache__/*.pyc")), "compiled, for nothing can be written when it runs"
    text = (images.folder / "pip.conf").read_text()
    told = str(images.configuration())
    places = [word for line in text.splitlines()[1:] for word in line.split() if "/" in word]
    assert [place for place in places if place in told] == []
    written = [
        path for path in (root / "opt/authsvc").rglob("*") if not path.is_symlink() and path.stat().st_uid == USER
    ]
    assert written == [], "the user who runs it owns none of it"


def test_a_sign_in_through_the_image(root: Path, tmp_path: Path) -> None:
    """Migrated, keyed, provisioned and served by the image's own commands on a read-only root; then one person signs in."""
    port, data = free_port(), own(tmp_path / "data")
    environment = {
        "PATH": "/opt/authsvc/bin:/usr/local/bin:/usr/bin:/bin",
        "AUTHSVC_DATABASE_URL": "sqlite:////data/authsvc.db",
        "AUTHSVC_KEYS_URL": "dir:/data/keys",
        "AUTHSVC_ISSUER": f"http://127.0.0.1:{port}",
        "AUTHSVC_BIND": f"127.0.0.1:{port}",
        "AUTHSVC_SECRET": SECRET,
        "DEMO_PASSWORD": "quiet harbor maple lantern",
    }
    (data / "team.yaml").write_text(TEAM)
    for place, may in (
        ("/", False),
        ("/opt/authsvc", False),
        ("/etc", False),
        ("/data", True),
        ("/tmp", True),
        ("/dev/shm", True),
    ):
        written = subprocess.run(
            in_root(root, data, {}, ["touch", f"{place}/written"]), capture_output=True, check=False
        )
        assert (written.returncode == 0) == may, place
    for command in (["migrate"], ["keys", "rotate"], ["apply", "team.yaml"]):
        run(inside(root, data, environment, *command))
    with started(root, data, environment, port) as process:
        dana = RemotePerson(f"http://127.0.0.1:{port}")
        dana.open("/sign-in")
        page = dana.submit(email="dana@northgate.example", password="quiet harbor maple lantern")
        assert page.h1 == "You’re signed in", page.text
        check = [
            "python3",
            "-c",
            f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}/healthz', timeout=2)",
        ]
        run(in_root(root, data, environment, check))
        process.process.terminate()
        assert process.process.wait(60) == 0
    refused = subprocess.run(
        inside(root, data, {**environment, "AUTHSVC_ENV": "production"}, "serve"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0
    assert "AUTHSVC_ISSUER must be https in production" in refused.stderr
