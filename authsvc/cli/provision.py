"""Bring accounts, members, clients and resource servers to what a file says. Idempotent: what fits is left alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from authsvc.account_settings.mfa_switch import switch_of
from authsvc.accounts.models import Account, AccountMfa, EmailAddress, Membership, PhoneNumber, User
from authsvc.accounts.phone import Parsed, parse
from authsvc.accounts.queries import account_by_slug, canonical_email, lock_account, user_by_email
from authsvc.audit import Event
from authsvc.cli.provisioning_file import (
    AccountFile,
    ClientFile,
    MemberFile,
    MfaSwitch,
    ProvisioningFile,
    ResourceServerFile,
)
from authsvc.crypto.tokens import new_id
from authsvc.errors import ConfigurationError
from authsvc.mfa.switch import ends_remembering
from authsvc.oauth.clients import SECRET_PURPOSE
from authsvc.oauth.models import OAuthClient, ResourceServer
from authsvc.oauth.registration import MetadataRefused
from authsvc.services import Services


@dataclass
class Prepared:
    """What must be done before the transaction: secrets read, passwords hashed (spikes.md, correction 1)."""

    hashes: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)


@dataclass
class Provisioner:
    """Applies a file and notes every difference, in words."""

    services: Services
    changes: list[str] = field(default_factory=list)

    def prepare(self, file: ProvisioningFile) -> Prepared:
        """Read every secret and hash every password that is new. Raises: ConfigurationError that lists every mistake."""
        s, ready, problems = self.services, Prepared(), []
        for account in file.accounts:
            for member in account.members:
                try:
                    ready.hashes[_key(account, member)] = self._hash(account, member)
                except ConfigurationError as exc:
                    problems += [f"{member.email}: {problem}" for problem in exc.problems]
        for client in file.clients:
            try:
                if client.client_secret is not None:
                    ready.digests[client.client_id] = s.digester.digest(
                        SECRET_PURPOSE, _long_enough(client.client_secret.read())
                    )
                s.registration.check_outside(client.metadata())
            except ConfigurationError as exc:
                problems += [f"{client.client_id}: {problem}" for problem in exc.problems]
            except MetadataRefused as exc:
                problems += [f"{client.client_id}: {problem.field}: {problem.text}" for problem in exc.problems]
        taken = {client.client_id for client in file.clients} & {api.identifier for api in file.resource_servers}
        problems += [f"{name}: a resource server must not be named like a client" for name in taken]
        if problems:
            raise ConfigurationError(problems)
        return ready

    def apply(self, tx: Session, file: ProvisioningFile, ready: Prepared) -> None:
        """Make it so, in the caller's transaction."""
        for api in file.resource_servers:
            self._resource_server(tx, api)
        for client in file.clients:
            self._client(tx, client, ready.digests.get(client.client_id))
        # Held in one order by everybody who holds several.
        for account_id in sorted(a.id for a in (account_by_slug(tx, f.slug) for f in file.accounts) if a is not None):
            lock_account(tx, account_id)
        for account_file in file.accounts:
            account = self._account(tx, account_file)
            for member in account_file.members:
                self._member(tx, account, member, ready.hashes[_key(account_file, member)])

    def _hash(self, account: AccountFile, member: MemberFile) -> str:
        s = self.services
        with s.database.transaction(read_only=True) as tx:
            user = user_by_email(tx, member.email)
            present = (user.password_hash if user else None) or ""
        if member.phone is not None and not isinstance(
            parse(member.phone, regions=s.policies.mfa.phone.regions), Parsed
        ):
            raise ConfigurationError(
                [f"the phone must be a mobile number of {', '.join(s.policies.mfa.phone.regions)}"]
            )
        if member.password_hash is not None:
            return member.password_hash
        if member.password is None:
            return present
        password = member.password.read()
        if present and s.passwords.verify(present, password):
            return present
        refused = s.password_rules.refuse(password, context=[member.name, member.email, account.name])
        if refused is not None:
            raise ConfigurationError(
                [f"the password is refused ({refused.problem.value}, {refused.length} characters)"]
            )
        return s.passwords.hash(password)

    def _account(self, tx: Session, wanted: AccountFile) -> Account:
        s, account = self.services, account_by_slug(tx, wanted.slug)
        if account is None:
            account = Account(id=new_id(), slug=wanted.slug, created_at=s.clock.now(), **_account_fields(wanted))
            account.mfa = []
            tx.add(account)
            tx.flush()
            self.changes.append(f"account {wanted.slug}: created")
            s.audit.record(tx, Event.ACCOUNT_CREATED, account_id=account.id, slug=wanted.slug)
        elif changed := [*self._set(f"account {wanted.slug}", account, _account_fields(wanted))]:
            s.audit.record(tx, Event.ACCOUNT_CHANGED, account_id=account.id, fields=changed)
        for audience, switch in (("team", wanted.mfa.team), ("investors", wanted.mfa.investors)):
            if switch is not None:
                self._switch(tx, account, audience, switch)
        return account

    def _switch(self, tx: Session, account: Account, audience: str, wanted: MfaSwitch) -> None:
        s, now = self.services, self.services.clock.now()
        fields = {"enabled": wanted.enabled, "methods": list(wanted.methods), "remember_device": wanted.remember_device}
        name, switch = f"account {account.slug}, mfa {audience}", account.mfa_for(audience)
        if switch is None:
            account.mfa.append(AccountMfa(account_id=account.id, audience=audience, changed_at=now, **fields))
            tx.flush()
            self.changes.append(f"{name}: {'on' if wanted.enabled else 'off'}, {', '.join(wanted.methods)}")
            return
        before = switch_of(switch)
        if changed := [*self._set(name, switch, fields)]:
            switch.changed_at, switch.changed_by, switch.revision = now, None, switch.revision + 1
            tx.flush()
            s.audit.record(
                tx,
                Event.ACCOUNT_CHANGED,
                account_id=account.id,
                fields=[f"mfa.{audience}.{field}" for field in changed],
            )
            if (reason := ends_remembering(before, switch_of(switch))) is not None:
                s.devices.forget_all(tx, reason=reason, account_id=account.id, audience=audience)

    def _member(self, tx: Session, account: Account, wanted: MemberFile, password_hash: str) -> None:
        now = self.services.clock.now()
        name = f"member {wanted.email} of {account.slug}"
        user = user_by_email(tx, wanted.email)
        if user is None:
            user = User(id=new_id(), name=wanted.name, password_hash=password_hash or None, created_at=now)
            user.password_changed_at = now if password_hash else None
            user.email = EmailAddress(address=wanted.email, canonical=canonical_email(wanted.email))
            user.email.verified_at = now if wanted.email_verified else None
            user.phone = None
            tx.add(user)
            tx.flush()
            self.changes.append(f"{name}: person created")
        else:
            self._person(tx, name, user, wanted, password_hash)
        self._phone(tx, name, user, wanted)
        self._membership(tx, name, account, user, wanted)

    def _person(self, tx: Session, name: str, user: User, wanted: MemberFile, password_hash: str) -> None:
        s, now = self.services, self.services.clock.now()
        changed = [*self._set(name, user, {"name": wanted.name})]
        if wanted.email_verified and user.email.verified_at is None:
            user.email.verified_at = now
            changed.append("email_verified")
            self.changes.append(f"{name}: email_verified no -> yes")
        if password_hash and password_hash != user.password_hash:
            user.password_hash, user.password_changed_at = password_hash, now
            self.changes.append(f"{name}: password changed")
            s.audit.record(tx, Event.PASSWORD_CHANGED, user_id=user.id, by="operator")
            s.sessions.end_all(tx, "password_changed", user_id=user.id)
            s.devices.forget_all(tx, reason="password_changed", user_id=user.id)
        if changed:
            s.audit.record(tx, Event.MEMBER_CHANGED, user_id=user.id, fields=changed)
        tx.flush()

    def _phone(self, tx: Session, name: str, user: User, wanted: MemberFile) -> None:
        s, now = self.services, self.services.clock.now()
        if wanted.phone is None:
            return
        parsed = parse(wanted.phone, regions=s.policies.mfa.phone.regions)
        assert isinstance(parsed, Parsed)  # noqa: S101 - prepare() has looked
        verified_at = now if wanted.phone_verified else None
        if user.phone is None:
            user.phone = PhoneNumber(user_id=user.id, e164=parsed.e164, verified_at=verified_at)
            self.changes.append(f"{name}: phone added")
        elif user.phone.e164 != parsed.e164 or (verified_at and user.phone.verified_at is None):
            if user.phone.e164 != parsed.e164:
                s.devices.forget_all(tx, reason="phone_changed", user_id=user.id)
            user.phone.e164, user.phone.verified_at = parsed.e164, verified_at
            self.changes.append(f"{name}: phone changed")
            s.audit.record(tx, Event.MEMBER_CHANGED, user_id=user.id, fields=["phone"])
        tx.flush()

    def _membership(self, tx: Session, name: str, account: Account, user: User, wanted: MemberFile) -> None:
        s, now = self.services, self.services.clock.now()
        fields = {"role": wanted.role, "sensitive_data_access": wanted.sensitive_data_access}
        found = tx.scalars(
            select(Membership).where(
                Membership.user_id == user.id,
                Membership.account_id == account.id,
                Membership.audience == wanted.audience,
            )
        ).one_or_none()
        if found is None:
            added = Membership(
                id=new_id(),
                user_id=user.id,
                account_id=account.id,
                audience=wanted.audience,
                created_at=now,
                accepted_at=None if wanted.invited else now,
                **fields,
            )
            tx.add(added)
            tx.flush()
            if wanted.invited:
                s.courier.send_invitation(tx, s.invitations.issue(tx, added, invited_by=None).id)
            self.changes.append(f"{name}: added as {wanted.role} ({wanted.audience})")
            s.audit.record(
                tx,
                Event.MEMBER_CREATED,
                user_id=user.id,
                account_id=account.id,
                audience=wanted.audience,
                role=wanted.role,
            )
            return
        had_access = found.sensitive_data_access
        if changed := [*self._set(name, found, fields)]:
            tx.flush()
            s.audit.record(tx, Event.MEMBER_CHANGED, user_id=user.id, account_id=account.id, fields=changed)
            if found.sensitive_data_access and not had_access:
                s.devices.forget_all(tx, reason="sensitive_data_access_granted", user_id=user.id, account_id=account.id)

    def _client(self, tx: Session, wanted: ClientFile, digest: str | None) -> None:
        s, row = self.services, tx.get(OAuthClient, wanted.client_id)
        fields = {
            "client_secret_digest": digest,
            "client_metadata": wanted.metadata().stored(),
            "first_party": wanted.first_party,
            "minimum_acr": wanted.minimum_acr,
            "resources": None if wanted.resources is None else list(wanted.resources),
            "accounts": None if wanted.accounts is None else list(wanted.accounts),
        }
        if row is None:
            tx.add(OAuthClient(client_id=wanted.client_id, created_at=s.clock.now(), **fields))
            tx.flush()
            self.changes.append(f"client {wanted.client_id}: created")
            s.audit.record(tx, Event.CLIENT_CREATED, client_id=wanted.client_id)
        elif changed := [*self._set(f"client {wanted.client_id}", row, fields)]:
            s.audit.record(tx, Event.CLIENT_CHANGED, client_id=wanted.client_id, fields=changed)

    def _resource_server(self, tx: Session, wanted: ResourceServerFile) -> None:
        s, row = self.services, tx.get(ResourceServer, wanted.identifier)
        if row is None:
            tx.add(ResourceServer(identifier=wanted.identifier, scopes=list(wanted.scopes), created_at=s.clock.now()))
            tx.flush()
            self.changes.append(f"resource server {wanted.identifier}: created")
        elif not [*self._set(f"resource server {wanted.identifier}", row, {"scopes": list(wanted.scopes)})]:
            return
        s.audit.record(tx, Event.RESOURCE_SERVER_CHANGED, identifier=wanted.identifier)

    def _set(self, name: str, row: object, fields: Mapping[str, object]) -> Iterator[str]:
        """Set what differs; yields the names and notes each difference, a secret's without its value."""
        for key, value in fields.items():
            present = getattr(row, key)
            if present != value:
                setattr(row, key, value)
                shown = "changed" if key.endswith("_digest") else f"{_shown(present)} -> {_shown(value)}"
                self.changes.append(f"{name}: {key} {shown}")
                yield key


def _account_fields(wanted: AccountFile) -> dict[str, object]:
    return {
        "name": wanted.name,
        "portal_url": wanted.portal_url,
        "time_zone": wanted.time_zone,
        "permission_model": wanted.permission_model,
        "accent": wanted.accent,
    }


def _key(account: AccountFile, member: MemberFile) -> str:
    return f"{account.slug} {member.audience} {member.email}"


def _long_enough(secret: str) -> str:
    if len(secret) < 16:
        raise ConfigurationError(
            ["the client_secret must be 16 characters at least; `openssl rand -base64 32` makes one"]
        )
    return secret


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
