"""The kit needs joserfc and urllib3, and nothing of ours (setup.cfg: the core install)."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys

FORBIDDEN = {"flask", "werkzeug", "sqlalchemy", "redis", "authlib", "pydantic", "requests", "yaml", "click"}

class OnlyTheCoreInstall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in FORBIDDEN:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, OnlyTheCoreInstall())
from authsvc.resource_server import Requirement, TokenVerifier

TokenVerifier("https://login.ims.example", "https://api.ims.example")
print(*sorted(name for name in sys.modules if name.startswith("authsvc")))
"""


def test_the_kit_imports_nothing_of_ours_and_no_framework() -> None:
    """Another service installs `authsvc` without the server's libraries."""
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    kit = "authsvc.resource_server"
    assert run.stdout.split() == [
        "authsvc",
        kit,
        *(f"{kit}.{name}" for name in ("claims", "errors", "jwks_cache", "verifier")),
    ]
