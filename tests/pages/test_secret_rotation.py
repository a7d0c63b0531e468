"""AUTHSVC_SECRET changes under people who are signed in (security.md LG-18; keys/README.md, Changing the secret)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner
from sqlalchemy import select

from authsvc.cli import main
from authsvc.crypto.seal import Sealer
from authsvc.mfa.enrolment import sealed_as
from authsvc.mfa.models import AuthenticatorApp
from authsvc.mfa.resealing import Resealed, reseal_apps
from tests.support.authenticator import App, app_of
from tests.support.journey import Person
from tests.support.service import DANA, SECRET, Service

NEW = "the-next-test-secret-of-more-than-32-characters"


def entered(service: Service, app: App) -> Person:
    """Dana, with a code of her app, remembered."""
    person = service.person()
    service.sign_in(person)
    person.submit(code=app.next_code(), remember="1")
    assert person.here.h1 == "You’re signed in", person.here.text
    return person


def test_lg_18_a_new_secret_signs_nobody_out_and_one_taken_away_refuses_what_it_made(
    service_with: Callable[..., Service], ring_folder: Path, tmp_path: Path
) -> None:
    """In front of the old one: old cookies hold, apps work, new ones seal. Resealed, and the old one gone: old cookies and
    half-finished forms are refused in words, and the person signs in again with password and app.
    """
    before = service_with()
    app, _ = app_of(before, before.member(before.account(mfa="totp")))
    dana = entered(before, app)

    during = service_with(secret=f"{NEW},{SECRET}")
    dana.client.application = during.app
    assert dana.open("/profile").h1 == "My Profile"
    again = service_with(secret=f"{NEW},{SECRET}").person()
    again.open("/sign-in")
    younger = entered(during, app)

    keys = tmp_path / "keys"
    shutil.copytree(ring_folder, keys)
    environment = {
        "AUTHSVC_DATABASE_URL": during.services.settings.database_url,
        "AUTHSVC_KEYS_URL": f"dir:{keys}",
        "AUTHSVC_SECRET": f"{NEW},{SECRET}",
        "AUTHSVC_LOG_LEVEL": "error",
    }
    for anew in (1, 0):
        result = CliRunner().invoke(main, ["keys", "reseal", "--json"], env=environment)
        assert (result.exit_code, result.stderr) == (0, "")
        assert json.loads(result.stdout)["apps"] == {"anew": anew, "already": 1 - anew, "lost": 0}
    [event] = during.events("key.resealed")
    assert event.fields["apps"] == 1

    after = service_with(secret=NEW)
    for person in (dana, younger, again):
        person.client.application = after.app
    assert again.submit(email=DANA, password="whatever was typed").status == 400
    for person in (dana, younger):
        assert person.open("/profile").h1 == "Sign in"
    assert entered(after, app).open("/profile").h1 == "My Profile"


def test_resealing_goes_on_in_batches_and_leaves_what_does_not_open(service: Service) -> None:
    """Run again it does nothing twice; a row that no secret opens is counted and stays as it is."""
    old, new, both = (Sealer(secrets, "fields") for secrets in ([SECRET], [NEW], [NEW, SECRET]))
    account, database = service.account(), service.services.database
    people = [service.member(account, f"m{number}@northgate.example", phone=None).user_id for number in range(5)]
    with database.transaction() as tx:
        for user_id in people:
            # Of the last one somebody moved the key of another here.
            sealed = old.seal(b"KEY", where=sealed_as(user_id if user_id != people[-1] else people[0]))
            tx.add(AuthenticatorApp(user_id=user_id, secret_sealed=sealed, created_at=service.clock.now()))
    assert reseal_apps(database, both, new, batch=2) == Resealed(anew=4, already=0, lost=1)
    assert reseal_apps(database, both, new, batch=2) == Resealed(anew=0, already=4, lost=1)
    with database.transaction(read_only=True) as tx:
        kept = dict(list(tx.execute(select(AuthenticatorApp.user_id, AuthenticatorApp.secret_sealed))))
    assert {new.open(kept[user_id], where=sealed_as(user_id)) for user_id in people[:-1]} == {b"KEY"}
    assert old.open(kept[people[-1]], where=sealed_as(people[0])) == b"KEY"
