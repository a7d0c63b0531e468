"""`authsvc apply`: declarative, idempotent, and clear about every mistake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from authsvc.accounts.queries import account_by_slug, user_by_email
from authsvc.cli import main
from authsvc.db import Database
from authsvc.devices.models import RememberedDevice
from authsvc.oauth.models import OAuthClient

FILE = """
schema: authsvc/config/1
accounts:
  - slug: northgate
    name: Northgate Capital Partners
    portal_url: https://portal.northgate.example
    mfa:
      team: {enabled: true, methods: [email, sms], remember_device: true}
    members:
      - email: dana@northgate.example
        name: Dana Whitfield
        role: admin
        sensitive_data_access: true
        email_verified: true
        phone: "(512) 555-0142"
        phone_verified: true
        password: {env: DEMO_PASSWORD}
clients:
  - client_id: ims-portal
    client_name: IMS portal
    client_secret: {env: PORTAL_SECRET}
    redirect_uris: [https://portal.northgate.example/callback]
    grant_types: [authorization_code, refresh_token]
    scope: openid investors.read
resource_servers:
  - identifier: https://api.ims.example/investors
    scopes: [investors.read]
"""


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ring_folder: Path) -> Any:
    """Runs a command against this test's database, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    environment = {
        "AUTHSVC_DATABASE_URL": database_url,
        "AUTHSVC_KEYS_URL": f"dir:{ring_folder}",
        "AUTHSVC_SECRET": "a-test-secret-of-more-than-32-characters",
        "AUTHSVC_LOG_LEVEL": "error",
        "DEMO_PASSWORD": "quiet harbor maple lantern",
        "PORTAL_SECRET": "portal-secret-0123456789",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def invoke(text: str, *options: str) -> Result:
        (tmp_path / "file.yaml").write_text(text)
        return CliRunner().invoke(main, ["apply", "file.yaml", *options])

    return invoke


@contextmanager
def reading(url: str) -> Iterator[Any]:
    """A read of the database."""
    database = Database(url)
    with database.transaction(read_only=True) as tx:
        yield tx
    database.dispose()


def test_it_makes_what_the_file_says(run: Any, database_url: str) -> None:
    """Accounts, members, clients and resource servers; secrets only as digest and hash."""
    result = run(FILE)
    assert result.exit_code == 0, result.output
    with reading(database_url) as tx:
        user, account = user_by_email(tx, "DANA@northgate.example"), account_by_slug(tx, "northgate")
        client = tx.get(OAuthClient, "ims-portal")
        assert user is not None
        assert account is not None
        assert user.phone is not None
        assert (user.phone.e164, user.memberships[0].sensitive_data_access) == ("+15125550142", True)
        assert account.mfa_for("team").methods == ["email", "sms"]
        assert user.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert "portal-secret" not in client.client_secret_digest


def test_applying_twice_changes_nothing(run: Any) -> None:
    """Idempotent: the second run finds everything as it should be."""
    run(FILE)
    assert run(FILE).output == "Nothing to change: everything is as the file says.\n"


def test_a_dry_run_says_everything_and_changes_nothing(run: Any, database_url: str) -> None:
    """The difference in words, before it is made."""
    result = run(FILE, "--dry-run")
    assert "would change  account northgate: created" in result.output
    with reading(database_url) as tx:
        assert account_by_slug(tx, "northgate") is None


def test_a_change_is_said_with_before_and_after(run: Any) -> None:
    """An operator sees what they did; a secret's value never."""
    run(FILE)
    result = run(
        FILE.replace("name: Dana Whitfield", "name: Dana W. Field").replace("[email, sms]", "[email]"), "--json"
    )
    changes = json.loads(result.output)["changes"]
    assert "account northgate, mfa team: methods email, sms -> email" in changes
    assert "member dana@northgate.example of northgate: name Dana Whitfield -> Dana W. Field" in changes


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[email, sms]", "[email]"),
        ("remember_device: true", "remember_device: false"),
        ("(512) 555-0142", "(512) 555-0143"),
    ],
)
def test_d6_what_tightens_ends_what_is_remembered(run: Any, database_url: str, before: str, after: str) -> None:
    """Methods tightened, remembering switched off, phone changed: the epoch rises, and with it every device is void."""
    run(FILE)
    run(FILE.replace(before, after))
    with reading(database_url) as tx:
        user = user_by_email(tx, "dana@northgate.example")
        assert user.memberships[0].security_epoch == 1
        assert tx.query(RememberedDevice).count() == 0


def test_d15_a_new_password_ends_what_is_remembered(
    run: Any, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And every session with it."""
    run(FILE)
    monkeypatch.setenv("DEMO_PASSWORD", "another quiet harbor maple")
    assert "password changed" in run(FILE).output
    with reading(database_url) as tx:
        assert user_by_email(tx, "dana@northgate.example").memberships[0].security_epoch == 1


def test_every_mistake_of_a_file_is_said_at_once(run: Any) -> None:
    """Where it is and what it should be; exit 1; no stack trace."""
    wrong = (
        FILE.replace("slug: northgate", "slug: North Gate")
        .replace("https://portal.northgate.example/callback", "http://evil.example/*")
        .replace("role: admin", "role: king")
        .replace("scope: openid investors.read", "scope: [openid]")
    )
    result = run(wrong)
    assert result.exit_code == 1
    for part in ("accounts.0.slug", "redirect_uris.0", "members.0.role", "clients.0.scope"):
        assert part in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("{env: DEMO_PASSWORD}", "{env: NOT_SET}", "the environment variable NOT_SET is not set"),
        ("{env: DEMO_PASSWORD}", "quiet harbor maple lantern", "password"),
        ("(512) 555-0142", "+44 7700 900123", "the phone must be a mobile number of US"),
        ("https://api.ims.example/investors", "ims-portal", "identifier"),
        ("schema: authsvc/config/1", "schema: authsvc/config/2", "schema"),
        ("  - slug: northgate", "  - slug: northgate\n    slug: again", "slug is written twice"),
    ],
)
def test_a_mistake_is_one_sentence(run: Any, before: str, after: str, said: str) -> None:
    """What to do, and never a secret."""
    result = run(FILE.replace(before, after))
    assert result.exit_code == 1
    assert said in result.output


def test_d21_a_weak_password_is_refused(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a password is set, its rules hold; the value is not repeated."""
    monkeypatch.setenv("DEMO_PASSWORD", "short1234")
    result = run(FILE)
    assert result.exit_code == 1
    assert "too_short, 9 characters" in result.output
    assert "short1234" not in result.output


def test_tn15_a_client_whose_addresses_lead_inside_is_refused(run: Any, database_url: str) -> None:
    """The same rules as for every other way in, said before anything is changed."""
    wrong = FILE.replace("    scope: openid", "    jwks_uri: https://169.254.169.254/jwks\n    scope: openid")
    result = run(wrong)
    assert result.exit_code == 1
    assert "ims-portal: jwks_uri: cannot be used: it leads to an address that is not public" in result.output
    with reading(database_url) as tx:
        assert tx.get(OAuthClient, "ims-portal") is None
