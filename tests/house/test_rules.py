"""House rules that a machine can check: events, routes, forms, settings, secrets in the log."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from authsvc.accounts.api_scopes import API_SCOPES
from authsvc.api.operations import OPERATIONS
from authsvc.audit.events import FIELDS, Event
from authsvc.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SOURCE = sorted((ROOT / "authsvc").rglob("*.py"))
COMMON = {"user_id", "account_id", "session_id", "client_id"}


def recorded() -> list[tuple[str, str, set[str]]]:
    """(place, event, fields named there) for every call of `audit.record`."""
    found = []
    for path in SOURCE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "record":
                events = [
                    arg.attr
                    for arg in node.args
                    if isinstance(arg, ast.Attribute) and ast.unparse(arg).startswith("Event.")
                ]
                fields = {keyword.arg for keyword in node.keywords if keyword.arg}
                found += [(f"{path.relative_to(ROOT)}:{node.lineno}", event, fields) for event in events]
    return found


def test_every_event_has_its_fields_and_the_catalogue_no_others() -> None:
    """The catalogue is closed (architecture 2.5)."""
    assert set(FIELDS) == set(Event)


def test_no_call_names_a_field_that_its_event_does_not_carry() -> None:
    """Found here rather than at 3 a.m. in the branch nobody had run."""
    wrong = [
        (place, event, sorted(fields - COMMON - FIELDS[Event[event]]))
        for place, event, fields in recorded()
        if fields - COMMON - FIELDS[Event[event]]
    ]
    assert wrong == []


def test_every_event_of_the_catalogue_is_recorded_somewhere() -> None:
    """An event that nothing records promises a trail that is not there."""
    # Passed on by value: a delivery's outcome and what a family is ended for.
    text = "\n".join(path.read_text() for path in SOURCE if path.name != "events.py")
    assert [event.name for event in Event if f"Event.{event.name}" not in text] == []


def test_every_setting_is_explained_in_the_readme() -> None:
    """One row each (architecture 4)."""
    readme = (ROOT / "README.md").read_text()
    missing = [f"AUTHSVC_{name.upper()}" for name in Settings.model_fields if f"`AUTHSVC_{name.upper()}`" not in readme]
    assert missing == []
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize(
    "template", sorted((ROOT / "authsvc").rglob("*.html")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_template_has_inline_code(template: Path) -> None:
    """The policy of our pages forbids it; mails have styles but no scripts (ux.md section 4)."""
    text = re.sub(r"\{#.*?#\}", "", template.read_text(), flags=re.DOTALL)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert not re.search(r"\son[a-z]+=", text)
    if "messaging" not in template.parts:
        assert "style=" not in text
        assert "<style" not in text


def test_only_app_and_commands_reach_every_service() -> None:
    """`web.context.services()` is for views; what is below is handed what it uses (architecture 2.2)."""
    users = {path.relative_to(ROOT / "authsvc") for path in SOURCE if "web.context import services" in path.read_text()}
    below = {path for path in users if not path.name.endswith(("views.py", "pages.py"))}
    assert below <= {
        *(Path("login") / name for name in ("journey.py", "stale.py", "confirm.py", "tab.py", "notes.py")),
        *(Path("sessions") / name for name in ("guards.py", "shell.py")),
        *(Path("web") / name for name in ("problems.py", "health.py")),
    }


def test_every_operation_of_the_api_declares_a_scope_that_exists() -> None:
    """No route of the account API is open to whoever has a token (security.md TN-13)."""
    assert [one.name for one in OPERATIONS if one.scope not in API_SCOPES] == []
    # To mark one's own as seen is a part of reading it.
    writing = [one for one in OPERATIONS if not one.reads_only and not one.of_person]
    assert [one.name for one in writing if one.scope.endswith(".read")] == []


def test_hashing_and_sending_stay_out_of_transactions() -> None:
    """spikes.md, correction 1: no hash, no network call while a transaction is open."""
    slow = re.compile(r"passwords\.(hash|verify)|\.send\(|courier\.deliver|urlopen")
    inside = []
    for path in SOURCE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.With) and any(".transaction(" in ast.unparse(item) for item in node.items):
                inside += [f"{path.name}:{part.lineno}" for part in node.body if slow.search(ast.unparse(part))]
    assert inside == []


def test_nothing_names_an_algorithm_we_do_not_offer() -> None:
    """`none` and HS* are not possible (claims.md)."""
    for path in SOURCE:
        if "resource_server" not in path.parts:
            assert not re.search(r"[\"']HS(256|384|512)[\"']", path.read_text()), path
