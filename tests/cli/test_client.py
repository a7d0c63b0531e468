"""`authsvc client`: what an operator sees at 3 a.m.; exit statuses, one sentence, secrets shown once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from authsvc.accounts.models import EmailAddress, User
from authsvc.audit.models import AuditEvent
from authsvc.cli import main
from authsvc.crypto.tokens import new_id
from authsvc.db import Database
from authsvc.oauth.models import LogoutDelivery, OAuthClient
from tests.support.client_site import client_site

CALLBACK = "https://kestrel.example/callback"
BASIC = ("client", "create", "Kestrel", "--client-id", "kestrel", "--set", f"redirect_uris={CALLBACK}")
Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ring_folder: Path) -> Run:
    """Runs `authsvc` against this test's database, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    environment = {
        "AUTHSVC_DATABASE_URL": database_url,
        "AUTHSVC_KEYS_URL": f"dir:{ring_folder}",
        "AUTHSVC_SECRET": "a-test-secret-of-more-than-32-characters",
        "AUTHSVC_LOG_LEVEL": "error",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return lambda *args, **options: CliRunner().invoke(main, args, **options)


@pytest.fixture
def stored(database_url: str) -> Iterator[Callable[[Any], list[Any]]]:
    """Reads rows."""
    database = Database(database_url)

    def read(query: Any) -> list[Any]:
        with database.transaction(read_only=True) as tx:
            return list(tx.scalars(query))

    yield read
    database.dispose()


def said(result: Result) -> dict[str, Any]:
    """The JSON answer of a command that did it."""
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def sentence(result: Result, status: int = 1) -> str:
    """The one sentence of a command that did not."""
    assert (result.exit_code, result.stdout) == (status, ""), result.output
    assert "Traceback" not in result.stderr
    return result.stderr


def test_a_client_is_made_and_its_secret_is_shown_once(run: Run, stored: Any) -> None:
    """The row has its digest; the trail has the operator and not the secret."""
    made = run(*BASIC)
    assert made.exit_code == 0, made.output
    assert "Client kestrel is made." in made.stdout
    assert "The secret is shown this once." in made.stdout
    secret = made.stdout.partition("client_secret  ")[2].split()[0]
    [row] = stored(select(OAuthClient))
    assert (row.client_id, row.first_party, row.client_metadata["redirect_uris"]) == ("kestrel", True, [CALLBACK])
    assert secret not in str(row.__dict__)
    [event] = stored(select(AuditEvent).where(AuditEvent.name == "client.created"))
    assert (event.client_id, event.fields, bool(event.operator)) == ("kestrel", {"by": "operator"}, True)
    for command in ("show", "list"):
        later = run("client", command, *(["kestrel"] if command == "show" else []), "--json")
        assert secret not in later.output
        assert '"has_secret": true' in later.stdout


def test_every_field_can_be_set(run: Run) -> None:
    """Lists by naming them again, switches and numbers as JSON, the rest as text."""
    made = said(
        run(
            *BASIC,
            *(
                "--set",
                f"redirect_uris={CALLBACK}/two",
                "--set",
                "require_auth_time=true",
                "--set",
                "default_max_age=60",
            ),
            *(
                "--set",
                "scope=openid profile",
                "--set",
                "grant_types=authorization_code",
                "--set",
                "grant_types=refresh_token",
            ),
            *("--third-party", "--minimum-acr", "urn:ims:acr:two-step", "--resource", "https://api.example", "--json"),
        )
    )
    assert made["redirect_uris"] == [CALLBACK, f"{CALLBACK}/two"]
    assert (made["require_auth_time"], made["default_max_age"], made["scope"]) == (True, 60, "openid profile")
    assert made["grant_types"] == ["authorization_code", "refresh_token"]
    assert (made["first_party"], made["minimum_acr"]) == (False, "urn:ims:acr:two-step")
    assert made["resources"] == ["https://api.example"]
    assert len(made["client_secret"]) == 43


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--set", "logo_uri=javascript:alert(1)"), 1, "logo_uri: must be an https address"),
        (
            ("--set", "jwks_uri=https://169.254.169.254/"),
            1,
            "jwks_uri: cannot be used: it leads to an address that is not public",
        ),
        (("--set", "redirect_uris=http://kestrel.example/"), 1, "redirect_uris.1: must be an https address"),
        (("--set", "jwks={}"), 1, "jwks: must be a JWK set"),
        (("--set", "colour=red"), 2, "colour is no field; the fields are client_name"),
        (("--set", "scope"), 2, "scope: must be FIELD=VALUE"),
        (("--set", "scope=a", "--set", "scope=b"), 2, "scope is set twice and is no list"),
        (("--set", "require_auth_time=perhaps"), 2, "require_auth_time must be JSON, as in require_auth_time=true"),
        (("--set", "grant_types=password"), 1, "grant_types.0: "),
        (("--minimum-acr", "loa9"), 2, "'loa9' is not one of"),
    ],
)
def test_tn15_what_is_wrong_is_said_in_one_sentence(
    run: Run, stored: Any, options: tuple[str, ...], status: int, words: str
) -> None:
    """The same rules as for a client that registers itself; nothing is made."""
    assert words in sentence(run(*BASIC, *options), status)
    assert stored(select(OAuthClient)) == []


def test_a_name_that_is_taken_or_wrong_is_refused(run: Run) -> None:
    """client_id is for ever."""
    said(run(*BASIC, "--json"))
    assert sentence(run(*BASIC)) == "There is a client of this name already.\n"
    assert "client_id: must be 1 to 64" in sentence(run(*BASIC, "--client-id", "a b"))


@pytest.mark.parametrize("command", ["show", "change", "rotate-secret", "deactivate", "reactivate"])
def test_a_client_that_is_not_there_is_said_so(run: Run, command: str) -> None:
    """Also one whose name no client can have."""
    for name in ("nobody", "x" * 500, "a b"):
        yes = ["--yes"] if command in ("rotate-secret", "deactivate") else []
        assert sentence(run("client", command, name, *yes)) == "There is no client of this name.\n"


def test_a_list_and_a_client_read_well(run: Run) -> None:
    """Names, states, and what differs from the defaults."""
    assert run("client", "list").stdout == "There are no clients.\n"
    run(*BASIC)
    assert run("client", "list").stdout.split() == ["kestrel", "active", "first", "party", "Kestrel"]
    shown = run("client", "show", "kestrel").stdout
    assert f"redirect_uris                      {CALLBACK}" in shown
    assert "token_endpoint_auth_method         client_secret_basic" in shown


def test_a_change_says_what_changed_and_changes_nothing_else(run: Run, stored: Any) -> None:
    """A list takes the place of the old one; the secret stays."""
    run(*BASIC, "--set", "contacts=ops@kestrel.example")
    digest = stored(select(OAuthClient))[0].client_secret_digest
    changed = run(
        *("client", "change", "kestrel", "--set", f"redirect_uris={CALLBACK}/new"),
        *("--unset", "contacts", "--minimum-acr", "urn:ims:acr:two-step", "--third-party"),
    )
    assert changed.stdout == (
        "Changed: redirect_uris, contacts, first_party, minimum_acr. Running processes notice within 5 seconds.\n"
    )
    [row] = stored(select(OAuthClient))
    assert (row.client_secret_digest, row.first_party, row.minimum_acr) == (digest, False, "urn:ims:acr:two-step")
    assert row.client_metadata == {"client_name": "Kestrel", "redirect_uris": [f"{CALLBACK}/new"]}
    again = run("client", "change", "kestrel", "--third-party")
    assert again.stdout == "Nothing to change: everything is as you say.\n"
    assert said(run("client", "change", "kestrel", "--minimum-acr", "none", "--json"))["minimum_acr"] is None
    assert "redirect_uris.0: must be" in sentence(run("client", "change", "kestrel", "--set", "redirect_uris=x"))


def test_a_secret_is_replaced_with_and_without_an_overlap(run: Run, stored: Any) -> None:
    """Without: asked first, for the client fails until it has the new one. With: both, until then."""
    first = said(run(*BASIC, "--json"))["client_secret"]
    refused = run("client", "rotate-secret", "kestrel", input="n\n")
    assert refused.exit_code == 1
    assert "is dead at once" in refused.stderr
    second = said(run("client", "rotate-secret", "kestrel", "--yes", "--json"))
    assert second["client_secret"] != first
    assert second["previous_secret_until"] is None
    overlapping = run("client", "rotate-secret", "kestrel", "--overlap", "24h")
    assert "The old secret does until " in overlapping.stdout
    assert "its old secret does until" in run("client", "show", "kestrel").stdout
    [row] = stored(select(OAuthClient))
    assert row.previous_secret_digest is not None
    assert "not be longer than 30 days" in sentence(run("client", "rotate-secret", "kestrel", "--overlap", "31d"), 2)
    assert "as in 30s, 10m" in sentence(run("client", "rotate-secret", "kestrel", "--overlap", "a day"), 2)
    run(
        "client",
        "create",
        "App",
        "--client-id",
        "app",
        "--set",
        f"redirect_uris={CALLBACK}",
        "--set",
        "token_endpoint_auth_method=none",
    )
    assert "does not authenticate with a secret" in sentence(run("client", "rotate-secret", "app", "--yes"))


def test_a_client_is_deactivated_and_brought_back(run: Run, stored: Any) -> None:
    """Asked first; a second time is an error, and so is changing what is deactivated."""
    run(*BASIC)
    assert run("client", "deactivate", "kestrel", input="n\n").exit_code == 1
    done = run("client", "deactivate", "kestrel", "--yes")
    assert done.stdout == (
        "Client kestrel is deactivated; 0 token families ended. Running processes notice within 5 seconds.\n"
    )
    assert "deactivated" in run("client", "list").stdout
    for command in (
        ("deactivate", "kestrel", "--yes"),
        ("change", "kestrel", "--third-party"),
        ("rotate-secret", "kestrel", "--yes"),
    ):
        assert "The client is deactivated" in sentence(run("client", *command))
    assert said(run("client", "reactivate", "kestrel", "--json"))["deactivated_at"] is None
    assert sentence(run("client", "reactivate", "kestrel")) == "The client is active already.\n"
    names = [event.name for event in stored(select(AuditEvent).order_by(AuditEvent.id))]
    assert names == ["client.created", "client.deactivated", "client.reactivated"]


def test_an_initial_access_token_is_made(run: Run, stored: Any) -> None:
    """Counted and bounded in time; the trail has both and not the token."""
    made = said(run("client", "initial-access-token", "--uses", "3", "--expires", "2h", "--json"))
    assert (len(made["initial_access_token"]), made["uses"]) == (43, 3)
    [event] = stored(select(AuditEvent))
    assert (event.name, event.fields["uses"]) == ("client.initial_access_token_created", 3)
    assert made["initial_access_token"] not in str(event.fields)
    text = run("client", "initial-access-token").stdout
    assert "It registers 1 client within 1 day, at http://127.0.0.1:8000/oauth/register." in text
    for wrong in (("--uses", "0"), ("--uses", "x"), ("--expires", "31d"), ("--expires", "0s"), ("--expires", "soon")):
        sentence(run("client", "initial-access-token", *wrong), 2)


def test_show_has_the_last_logout_tokens(run: Run, database_url: str, stored: Any) -> None:
    """Where an operator sees that a client does not hear."""
    run(*BASIC, "--set", "backchannel_logout_uri=https://kestrel.example/logout")
    assert "No logout token was sent yet." in run("client", "show", "kestrel").stdout
    database = Database(database_url)
    [row] = stored(select(OAuthClient))
    dana = User(id=new_id(), name="Dana", created_at=row.created_at)
    dana.email = EmailAddress(address="dana@kestrel.example", canonical="dana@kestrel.example")
    with database.transaction() as tx:
        tx.add(dana)
        tx.flush()
        tx.add(
            LogoutDelivery(
                id=new_id(),
                client_id="kestrel",
                user_id=dana.id,
                session_id="abc",
                status="failed",
                attempts=8,
                problem="it answered with status 500",
                created_at=row.created_at,
            )
        )
    database.dispose()
    assert "failed     8 tries   session abc: it answered with status 500" in run("client", "show", "kestrel").stdout
    assert said(run("client", "show", "kestrel", "--json"))["logouts"][0]["attempts"] == 8


def test_a_sector_document_is_looked_at(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command fetches as the endpoint does, with the same guard."""
    with client_site() as site:
        address = site.publish("/sector.json", ["https://other.example/"])
        assert "it is no plain https address" in sentence(run(*BASIC, "--set", f"sector_identifier_uri={address}"))
        assert site.asked == []
        monkeypatch.setenv("AUTHSVC_ALLOW_LOOPBACK_CLIENTS", "1")
        assert "lacks one of the redirect_uris" in sentence(run(*BASIC, "--set", f"sector_identifier_uri={address}"))


def test_tn13_the_accounts_of_a_machine_stand_in_its_row(
    run: Run, stored: Callable[[Any], list[Any]], tmp_path: Path
) -> None:
    """Made, shown, changed and taken off again; an account that is not there is one sentence."""
    file = tmp_path / "file.yaml"
    file.write_text(
        "schema: authsvc/config/1\naccounts:\n  - {slug: northgate, name: Northgate, portal_url: 'https://n.example'}\n"
    )
    assert run("apply", str(file)).exit_code == 0
    made = said(run(*BASIC, "--account", "northgate", "--json"))
    assert made["accounts"] == ["northgate"]
    assert "accounts it may touch" in run("client", "show", "kestrel").output
    wrong = run("client", "change", "kestrel", "--account", "nowhere")
    assert (wrong.exit_code, "no account with this slug" in wrong.output) == (1, True)
    assert said(run("client", "change", "kestrel", "--first-party", "--json"))["accounts"] == ["northgate"]
    assert said(run("client", "change", "kestrel", "--account", "any", "--json"))["changed"] == ["accounts"]
    assert stored(select(OAuthClient))[0].accounts is None


def test_no_api_of_others_takes_a_scope_of_ours(run: Run, tmp_path: Path) -> None:
    """Its tokens would be taken for ours, or ours for its."""
    file = tmp_path / "file.yaml"
    file.write_text(
        "schema: authsvc/config/1\nresource_servers:\n  - {identifier: 'https://a.example', scopes: [members.read]}\n"
        "clients:\n  - {client_id: m, client_name: M, token_endpoint_auth_method: none, accounts: [North Gate],"
        " redirect_uris: ['https://a.example/cb']}\n"
    )
    refused = run("apply", str(file))
    assert refused.exit_code == 1
    assert "is a scope of this service itself" in refused.output
    assert "clients.0.accounts.0" in refused.output
