"""An authenticator app in somebody's hand."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyotp

from authsvc.accounts.models import Membership, User
from tests.support.journey import CHROME, Person
from tests.support.service import Service


@dataclass
class App:
    """The app; it shows a code for the service's own clock."""

    service: Service
    totp: pyotp.TOTP

    def code(self, *, steps: int = 0) -> str:
        """What it shows now, or so many steps of 30 seconds from now."""
        return self.totp.at(self.service.clock.now(), counter_offset=steps)

    def next_code(self) -> str:
        """Half a minute later: a code that was not shown before."""
        self.service.pass_time(seconds=30)
        return self.code()


def app_of(service: Service, member: Membership) -> tuple[App, tuple[str, ...]]:
    """Give this person an app and recovery codes, a minute ago."""
    s, subject = service.services, "set up in a test"
    with s.database.transaction() as tx:
        user = tx.get_one(User, member.user_id)
        s.apps.begin(tx, user.id, subject_id=subject)
        setup = s.apps.setup(tx, user, subject_id=subject)
        assert setup is not None
        totp = pyotp.parse_uri(setup.uri)
        assert isinstance(totp, pyotp.TOTP)
        app = App(service, totp)
        s.apps.confirm(tx, user, subject_id=subject, typed=app.code(), account_id=member.account_id, browser=CHROME)
        codes = s.recovery_codes.make(tx, user.id, account_id=member.account_id)
    service.deliver()
    service.pass_time(minutes=1)
    return app, codes


def scanned(person: Person, service: Service) -> App:
    """The app that the person sets up with the key of the present page, typed by hand."""
    found = re.search(r"Key((?: ?[A-Z2-7]{4}){8})", person.here.text)
    assert found, "the page shows no key"
    return App(service, pyotp.TOTP(found[1].replace(" ", "")))
