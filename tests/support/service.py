"""The whole service in one process: real database, real pages, a clock that stands still, messages kept in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Flask
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import event, select
from werkzeug.test import Client, TestResponse

from authsvc.accounts.models import Account, AccountMfa, EmailAddress, Membership, PhoneNumber, User
from authsvc.accounts.queries import canonical_email
from authsvc.app import make_worker
from authsvc.audit.models import AuditEvent
from authsvc.clock import Clock, FixedClock
from authsvc.crypto.seal import Sealer
from authsvc.crypto.tokens import new_id
from authsvc.db.engine import DatabaseUnavailable
from authsvc.keyring.ring import KeyRing
from authsvc.messaging.message import DELIVERED
from authsvc.oauth.client_metadata import ClientMetadata
from authsvc.oauth.clients import SECRET_PURPOSE
from authsvc.oauth.models import OAuthClient, ResourceServer
from authsvc.policy.load import Policies, load
from authsvc.policy.throttle import LimitName
from authsvc.services import Services, build
from authsvc.settings import Settings
from tests.support.inbox import CODE, Inbox
from tests.support.journey import Person
from tests.support.processes import poll
from tests.support.replicas import InTurn, rings, served_by

ISSUER = "https://login.ims.test"
PORTAL = "https://portal.ims.test"
CALLBACK = f"{PORTAL}/callback"
API = "https://api.ims.test/investors"
PASSWORD = "quiet harbor maple lantern"
SECRET = "a-test-secret-of-more-than-32-characters"
CLIENT_SECRET = "portal-secret-0123456789"
DANA, DANAS_PHONE = "dana@northgate.example", "+15125550142"


@cache
def shipped_policies() -> Policies:
    """Read once: they are frozen, and reading them takes a third of the time that a service needs to start."""
    return load(None)


def cheap(policies: Policies) -> Policies:
    """The shipped policies with a password hash that costs nothing; one test pins the real costs."""
    hash_policy = policies.password.hash.model_copy(update={"memory_kib": 8, "iterations": 1})
    return replace(policies, password=policies.password.model_copy(update={"hash": hash_policy}))


def make_ring(folder: Path, clock: Clock) -> KeyRing:
    """A ring with small keys."""
    ring = KeyRing.open(f"dir:{folder}", sealer=Sealer([SECRET], "keyring"), clock=clock)
    if not ring.entries():
        ring.create_first_keys(rsa_bits=2048)
    return ring


def pkce() -> tuple[str, str]:
    """(verifier, challenge)."""
    verifier = base64.urlsafe_b64encode(hashlib.sha256(new_id().encode()).digest()).rstrip(b"=").decode()
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return verifier, challenge


@dataclass
class Service:
    """The service, and what a test does with it."""

    #: The first replica's parts, with which a test arranges rows and looks at them.
    services: Services
    app: Flask | InTurn
    clock: FixedClock
    emails: Inbox
    texts: Inbox
    #: The parts of every replica: one, unless AUTHSVC_TEST_REPLICAS asks for more.
    replicas: tuple[Services, ...]

    @classmethod
    def on(
        cls,
        database_url: str,
        *,
        clock: FixedClock,
        ring: KeyRing,
        policies: Policies | None = None,
        sms: bool = True,
        **settings: Any,
    ) -> Service:
        """A service on a migrated database."""
        emails, texts = Inbox(), Inbox()
        # One web process: windows without Redis are shared out among them.
        given = {"issuer": ISSUER, "database_url": database_url, "secret": SECRET, "workers": 1, **settings}
        replicas = tuple(
            build(
                Settings.read(**given),
                clock=clock,
                policies=cheap(policies or shipped_policies()),
                senders={"email": emails, **({"sms": texts} if sms else {})},
                ring=own_ring,
            )
            for own_ring in rings(ring)
        )
        return cls(replicas[0], served_by(replicas), clock, emails, texts, replicas)

    def forget_everything(self) -> None:
        """As just started, on a database that was emptied meanwhile and whose connections went with the rows."""
        self.dispose()
        self.forget_clients()
        for replica in self.replicas:
            replica.stopping.clear()
        self.forget_addresses()
        for inbox in (self.emails, self.texts):
            inbox.messages.clear()
            inbox.answer = DELIVERED

    def forget_addresses(self) -> None:
        """No address has tried anything yet."""
        for replica in self.replicas:
            for windows in (replica.windows._local, replica.windows._shared):
                if windows is not None:
                    windows.storage.reset()

    def forget_clients(self) -> None:
        """Some seconds after clients were changed: no replica goes by what it knew of them."""
        for replica in self.replicas:
            replica.registry.forget()

    def dispose(self) -> None:
        """Close every connection to the database."""
        for replica in self.replicas:
            replica.database.dispose()

    def answer_with(self, **parts: Any) -> None:
        """Let requests be answered with other parts than were built."""
        self.app = served_by([replace(replica, **parts) for replica in self.replicas])

    def held_up(
        self, key: str, call: Callable[[], TestResponse], *, limit: LimitName = "token_per_client"
    ) -> TestResponse:
        """The refusal of a call for which the window of `key` is full.

        Filled here, faster than by calls; on a busy machine the window may move on meanwhile, so it is filled again.
        """

        def refused() -> TestResponse | None:
            while self.services.windows.admit(limit, key):
                pass
            answer = call()
            return answer if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS else None

        return poll(refused, what="a refusal for too many calls")

    def person(self, **options: str) -> Person:
        """Somebody with a fresh browser profile."""
        return Person(self.app, self.services.settings.issuer, **options)

    def deliver(self) -> int:
        """Let the worker do what is queued."""
        return make_worker(self.services).run_until_idle()

    def pass_time(self, **amount: float) -> None:
        """Move the clock."""
        self.clock.advance(timedelta(**amount))

    def code_for(self, address: str) -> str:
        """The newest code for an address or a number, delivered; notices that came with it hold none."""
        self.deliver()
        inbox = self.texts if address.startswith("+") else self.emails
        return next(found[0] for message in reversed(inbox.to(address)) if (found := CODE.search(message.text)))

    def account(
        self, slug: str = "northgate", *, mfa: str = "", remember: bool = True, investors: str = "", **fields: Any
    ) -> Account:
        """An account; `mfa` names the methods that are on for the team, as in "email+sms"; empty: off."""
        now = self.clock.now()
        account = Account(
            id=new_id(),
            slug=slug,
            created_at=now,
            **{
                "name": f"{slug.title()} Capital Partners",
                "portal_url": PORTAL,
                "time_zone": "America/New_York",
                "permission_model": "functionality",
                "accent": "#14465e",
                **fields,
            },
        )
        account.mfa = [
            AccountMfa(
                audience=audience,
                enabled=bool(on),
                methods=on.split("+") if on else ["email"],
                remember_device=remember,
                changed_at=now,
            )
            for audience, on in (("team", mfa), ("investors", investors))
        ]
        with self.services.database.transaction() as tx:
            tx.add(account)
        return account

    def member(
        self,
        account: Account,
        email: str = DANA,
        *,
        phone: str | None = DANAS_PHONE,
        verified: bool = True,
        password: str | None = PASSWORD,
        role: str = "member",
        audience: str = "team",
        sensitive: bool = False,
        accepted: bool = True,
        active: bool = True,
        user: User | None = None,
    ) -> Membership:
        """A person in the account, with a verified address, a verified phone and a password unless told otherwise."""
        now, s = self.clock.now(), self.services
        if user is None:
            user = User(id=new_id(), name=email.partition("@")[0].title(), created_at=now, password_changed_at=now)
            user.password_hash = s.passwords.hash(password) if password else None
            user.email = EmailAddress(
                address=email, canonical=canonical_email(email), verified_at=now if verified else None
            )
            user.phone = PhoneNumber(e164=phone, verified_at=now) if phone else None
        membership = Membership(
            id=new_id(),
            user_id=user.id,
            account_id=account.id,
            audience=audience,
            role=role,
            sensitive_data_access=sensitive,
            created_at=now,
            accepted_at=now if accepted else None,
            deactivated_at=None if active else now,
        )
        with s.database.transaction() as tx:
            tx.merge(user)
            tx.flush()
            tx.add(membership)
        return membership

    def client(self, client_id: str = "ims-portal", *, public: bool = False, **fields: Any) -> str:
        """A registered client; answers its id. The default one is the portal."""
        values = {
            "client_name": "IMS portal",
            "token_endpoint_auth_method": "none" if public else "client_secret_basic",
            "redirect_uris": [CALLBACK],
            "post_logout_redirect_uris": [f"{PORTAL}/"],
            "grant_types": ["authorization_code", "refresh_token"],
            "scope": "openid profile email offline_access investors.read",
            **fields,
        }
        ours = {
            name: values.pop(name) for name in ("first_party", "minimum_acr", "resources", "accounts") if name in values
        }
        values = {"client_metadata": ClientMetadata.read(values).stored(), **ours}
        digest = None if public else self.services.digester.digest(SECRET_PURPOSE, CLIENT_SECRET)
        with self.services.database.transaction() as tx:
            tx.add(OAuthClient(client_id=client_id, client_secret_digest=digest, created_at=self.clock.now(), **values))
            if tx.get(ResourceServer, API) is None:
                tx.add(
                    ResourceServer(
                        identifier=API, scopes=["investors.read", "investors.write"], created_at=self.clock.now()
                    )
                )
        self.forget_clients()
        return client_id

    def authorization_request(self, challenge: str, **changed: str | None) -> dict[str, str]:
        """A proper authorization request, with what the test changes; None leaves a parameter out."""
        request = {
            "response_type": "code",
            "client_id": "ims-portal",
            "redirect_uri": CALLBACK,
            "scope": "openid profile email offline_access investors.read",
            "state": "the-state",
            "nonce": "the-nonce",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **changed,
        }
        return {name: value for name, value in request.items() if value is not None}

    def machine(self) -> Client:
        """A caller without cookies."""
        return Client(self.app, use_cookies=False)

    def token(self, *, client: tuple[str, str] | None = ("ims-portal", CLIENT_SECRET), **form: str) -> TestResponse:
        """Call the token endpoint."""
        headers = {}
        if client is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(client).encode()).decode()
        return self.machine().post("/oauth/token", base_url=self.services.settings.issuer, data=form, headers=headers)

    def redeem(self, person: Person, verifier: str, **form: str) -> dict[str, Any]:
        """Turn the code that the person brought back into tokens."""
        answer = self.token(
            grant_type="authorization_code",
            code=person.callback()["code"],
            redirect_uri=CALLBACK,
            code_verifier=verifier,
            **form,
        )
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json
        return tokens

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token, its signature checked against the published keys."""
        published = self.machine().get("/oauth/jwks", base_url=self.services.settings.issuer).json
        claims: dict[str, Any] = jwt.decode(
            token, KeySet.import_key_set(published), algorithms=["ES256", "RS256"]
        ).claims
        return claims

    def events(self, name: str | None = None) -> list[AuditEvent]:
        """The audit trail, oldest first."""
        with self.services.database.transaction(read_only=True) as tx:
            query = select(AuditEvent).order_by(AuditEvent.id)
            return list(tx.scalars(query.where(AuditEvent.name == name) if name else query))

    def sign_in(self, person: Person, email: str = DANA, *, password: str = PASSWORD, **params: str) -> None:
        """Open the sign-in page and send the password."""
        person.open("/sign-in", **params)
        person.submit(email=email, password=password)

    def set_mfa(self, account: Account, mfa: str, *, remember: bool = True) -> None:
        """Change the team's switch as `account` writes it; nothing else happens, as between two requests of a sign-in."""
        with self.services.database.transaction() as tx:
            switch = tx.get_one(AccountMfa, (account.id, "team"))
            switch.enabled, switch.remember_device = bool(mfa), remember
            switch.methods = mfa.split("+") if mfa else ["email"]

    def at_once(self, *acts: Callable[[], Any]) -> list[Any]:
        """Do all of it at the same moment, each in a thread with a connection of its own; answers the results in order."""
        ready = threading.Barrier(len(acts))

        def act(one: Callable[[], Any]) -> Any:
            ready.wait()
            return one()

        with ThreadPoolExecutor(len(acts)) as threads:
            return list(threads.map(act, acts))

    @contextmanager
    def no_database(self) -> Iterator[None]:
        """Within it no connection can be had."""

        def refuse(*_: object) -> None:
            raise DatabaseUnavailable

        self.dispose()
        for replica in self.replicas:
            event.listen(replica.database.engine, "checkout", refuse)
        try:
            yield
        finally:
            for replica in self.replicas:
                event.remove(replica.database.engine, "checkout", refuse)

    def everything_stored(self) -> str:
        """Every value of every table as text, to look for what must not be there."""
        from authsvc.tables import metadata

        with self.services.database.transaction(read_only=True) as tx:
            return json.dumps(
                {name: [list(row) for row in tx.execute(table.select())] for name, table in metadata.tables.items()},
                default=str,
            )
