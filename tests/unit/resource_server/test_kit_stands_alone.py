"""The kit needs joserfc and urllib3, and nothing of ours (setup.cfg: the core install)."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.metadata import entry_points, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import authsvc

KIT = "authsvc.resource_server"
#: What `pip install authsvc` brings: joserfc and urllib3, and what joserfc needs.
INSTALLED = ("joserfc", "urllib3", "cryptography", "cffi", "_cffi_backend", "pycparser")
PROGRAM = """
import sys
sys.path[:0] = [sys.argv[1]]
import authsvc.resource_server, authsvc.resource_server.{module}
print(*sorted(name for name in sys.modules if name.startswith("authsvc")))
"""


@pytest.fixture
def core_install(tmp_path: Path) -> Path:
    """A folder with the package and what its core install brings, as pip would fill an empty environment."""
    (tmp_path / "authsvc").symlink_to(Path(authsvc.__file__).parent)
    for name in INSTALLED:
        found = importlib.util.find_spec(name)
        if found is not None and found.origin is not None:
            origin = Path(found.origin)
            place = origin.parent if origin.name == "__init__.py" else origin
            (tmp_path / place.name).symlink_to(place)
    return tmp_path


def imported_alone(core_install: Path, module: str) -> list[str]:
    """The modules of ours that are there after importing one of the kit; -S: no site-packages, -I: no environment."""
    command = [sys.executable, "-I", "-S", "-W", "error", "-c", PROGRAM.format(module=module), str(core_install)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


@pytest.mark.parametrize("module", ["verifier", "introspection", "asgi", "wsgi", "testing"])
def test_the_kit_imports_nothing_of_ours_and_no_framework(core_install: Path, module: str) -> None:
    """Another service installs `authsvc` without the server's libraries; its own tests need no more either."""
    assert [
        name for name in imported_alone(core_install, module) if name != "authsvc" and not name.startswith(KIT)
    ] == []


def test_what_a_service_imports_brings_no_adapter_and_no_mock(core_install: Path) -> None:
    """The mock issuer can be anybody: it is loaded by who asks for it."""
    assert imported_alone(core_install, "verifier") == [
        "authsvc",
        KIT,
        *(f"{KIT}.{name}" for name in ("claims", "errors", "fetching", "introspection", "jwks_cache", "verifier")),
    ]


def test_the_core_install_is_joserfc_and_urllib3() -> None:
    """`pip install authsvc`: everything else belongs to an extra."""
    core = [Requirement(line) for line in requires("authsvc") or ()]
    assert {found.name for found in core if found.marker is None} == {"joserfc", "urllib3"}


def test_the_plugin_is_registered() -> None:
    """pytest finds the fixture by the package's own entry point."""
    assert entry_points(group="pytest11")["authsvc"].value == f"{KIT}.pytest_plugin"


def test_the_plugin_loads_the_kit_only_when_asked(core_install: Path) -> None:
    """Every pytest run on a machine with the package imports the plugin."""
    program = f"""
import sys, types
sys.path[:0] = [sys.argv[1]]
sys.modules["pytest"] = types.SimpleNamespace(fixture=lambda function: function)
import {KIT}.pytest_plugin
print(*("joserfc" in name for name in sys.modules if name.startswith("joserfc")), "{KIT}.testing" in sys.modules)
"""
    command = [sys.executable, "-I", "-S", "-c", program, str(core_install)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.split()[-1] == "False"
