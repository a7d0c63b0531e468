"""Every part of the service, built once, in start-up order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from authsvc.account_settings.closing import Closing
from authsvc.account_settings.data_access import DataAccess
from authsvc.account_settings.joining import Joining
from authsvc.account_settings.members import Members
from authsvc.account_settings.mfa_switch import MfaSwitch
from authsvc.account_settings.own_email import OwnEmail
from authsvc.account_settings.own_password import OwnPassword
from authsvc.account_settings.own_phone import OwnPhone
from authsvc.account_settings.reminders import Reminders
from authsvc.account_settings.resets import Resets
from authsvc.account_settings.roles import Roles
from authsvc.accounts.invitations import Invitations
from authsvc.accounts.links import Links
from authsvc.accounts.models import Account
from authsvc.accounts.passwords import PasswordRules
from authsvc.accounts.queries import account_by_slug
from authsvc.accounts.suppression import Suppressions
from authsvc.admin.activity_export import SignInActivity
from authsvc.audit import AuditLog
from authsvc.cache import Cache
from authsvc.clock import Clock, SystemClock
from authsvc.crypto.passwords import HashingLane, Passwords
from authsvc.crypto.seal import Sealer, derive
from authsvc.crypto.tokens import Digester
from authsvc.db import Database
from authsvc.db.engine import STATEMENT_S
from authsvc.devices.remember import Devices
from authsvc.errors import AuthsvcError
from authsvc.exports.files import FileStore
from authsvc.exports.life import Life
from authsvc.exports.parts import Exports
from authsvc.exports.stores import store_for
from authsvc.exports.transfer import Transfers
from authsvc.jobs import Queue
from authsvc.keyring.ring import KeyRing
from authsvc.login.attempt import Attempts
from authsvc.login.finish import Finish
from authsvc.login.flow import Flow
from authsvc.login.own_codes import OwnCodes
from authsvc.login.password import PasswordStep
from authsvc.login.recovery import Recovery
from authsvc.messaging.courier import Courier
from authsvc.messaging.message import MessageSender
from authsvc.metrics import Metrics
from authsvc.mfa.challenge import OneTimeCodes
from authsvc.mfa.enrolment import AuthenticatorApps
from authsvc.mfa.exchange import CodeExchange
from authsvc.mfa.recovery_codes import RecoveryCodes
from authsvc.notifications import Notifications
from authsvc.oauth.asking import Asking
from authsvc.oauth.assertions import Assertions
from authsvc.oauth.authorization_request import Reader
from authsvc.oauth.authorize import AuthorizationEndpoint
from authsvc.oauth.backchannel_logout import LogoutDeliveries, LogoutTokens
from authsvc.oauth.callers import Callers
from authsvc.oauth.client_auth import ClientAuthenticator
from authsvc.oauth.client_keys import ClientKeys
from authsvc.oauth.clients import Registry
from authsvc.oauth.codes import Codes
from authsvc.oauth.consent import Consents
from authsvc.oauth.device.codes import DeviceCodes
from authsvc.oauth.discovery import Documents
from authsvc.oauth.families import Families
from authsvc.oauth.guarded_fetch import GuardedFetch
from authsvc.oauth.id_token_hint import Hints
from authsvc.oauth.initial_access import InitialAccess
from authsvc.oauth.logout import Logout
from authsvc.oauth.par import PushEndpoint
from authsvc.oauth.pushed import PushedRequests
from authsvc.oauth.refresh import RefreshTokens
from authsvc.oauth.registration import Registration
from authsvc.oauth.request_object import RequestObjects
from authsvc.oauth.revocation import RevokedTokens
from authsvc.oauth.server import AuthorizationServer
from authsvc.oauth.subjects import Subjects
from authsvc.oauth.tokens import AccessTokens, IdTokens, IdTokenSettings
from authsvc.oauth.userinfo import UserInfo
from authsvc.opening import open_files, open_ring, open_senders
from authsvc.policy.load import Policies, load
from authsvc.sessions.browsers import Browsers
from authsvc.sessions.session import Sessions
from authsvc.settings import Settings
from authsvc.throttle import AddressWindows, SprayAlarm, Throttle, WrongPasswords
from authsvc.throttle.lockout import Pauses
from authsvc.throttle.sends import SendLimits
from authsvc.throttle.texts import TextLimits
from authsvc.web.assets import Assets
from authsvc.web.capacity import web_workers
from authsvc.web.cookies import Cookies
from authsvc.web.page import SUPPORT_EMAIL
from authsvc.web.places import Places


@dataclass(frozen=True)
class Services:
    """Every part, for views and commands. Below them, parts are handed only what they use."""

    settings: Settings
    policies: Policies
    clock: Clock
    database: Database
    cache: Cache
    audit: AuditLog
    digester: Digester
    ring: KeyRing
    passwords: Passwords
    password_rules: PasswordRules
    lane: HashingLane
    queue: Queue
    files: FileStore
    exports: Exports
    transfers: Transfers
    courier: Courier
    suppressions: Suppressions
    throttle: Throttle
    texts: TextLimits
    pauses: Pauses
    wrong: WrongPasswords
    windows: AddressWindows
    links: Links
    devices: Devices
    sessions: Sessions
    browsers: Browsers
    codes: OneTimeCodes
    notifications: Notifications
    apps: AuthenticatorApps
    recovery_codes: RecoveryCodes
    exchange: CodeExchange
    own_email: OwnEmail
    own_phone: OwnPhone
    own_password: OwnPassword
    attempts: Attempts
    invitations: Invitations
    joining: Joining
    members: Members
    roles: Roles
    data_access: DataAccess
    resets: Resets
    closing: Closing
    password_step: PasswordStep
    flow: Flow
    own_codes: OwnCodes
    finish: Finish
    recovery: Recovery
    registry: Registry
    fetch: GuardedFetch
    client_keys: ClientKeys
    registration: Registration
    initial_access: InitialAccess
    logout_deliveries: LogoutDeliveries
    families: Families
    server: AuthorizationServer
    authorization: AuthorizationEndpoint
    par: PushEndpoint
    userinfo: UserInfo
    callers: Callers
    assertions: Assertions
    device_codes: DeviceCodes
    revoked_tokens: RevokedTokens
    documents: Documents
    logout: Logout
    mfa_switch: MfaSwitch
    reminders: Reminders
    assets: Assets
    cookies: Cookies
    places: Places
    metrics: Metrics
    #: Set once this process was told to stop, so that /readyz says so.
    stopping: threading.Event = field(default_factory=threading.Event)
    browser_lasts: timedelta = timedelta(days=365)
    #: web/ is below accounts/, so it is handed the one look-up it needs.
    account_by_slug: Callable[[Session, str], Account | None] = account_by_slug


def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    policies: Policies | None = None,
    senders: Mapping[str, MessageSender] | None = None,
    ring: KeyRing | None = None,
    statement_s: float = STATEMENT_S,
) -> Services:
    """Build every part from the settings. Tests pass a clock, policies, senders or a ring of their own.

    `statement_s`: what one statement may take; commands and the worker have more time than pages.

    Raises: ConfigurationError, PolicyError, KeyringError: whatever would make a half-configured service.
    """
    clock = clock or SystemClock()
    breached, places = open_files(settings)
    policies = policies or load(settings.policies_dir)
    database = Database(settings.database_url, pool=settings.connections, statement_s=statement_s)
    cache = Cache(settings.redis_url)
    metrics = Metrics()
    audit = AuditLog(clock, policies.short_hash, metrics.seen)
    # Keyed by the oldest secret of the list, so that putting a new one in front signs nobody out.
    digester = Digester(derive(settings.secrets[-1], "digest"))
    sealer = Sealer(settings.secrets, "fields")
    if ring is None:
        try:
            ring = open_ring(settings, clock, database)
        except AuthsvcError:
            database.dispose()  # a ring in it was read over one of its connections
            raise
    costs = policies.password.hash
    passwords = Passwords(memory_kib=costs.memory_kib, iterations=costs.iterations, parallelism=costs.parallelism)
    queue = Queue(clock, cache)
    suppressions = Suppressions(digester, clock, audit)

    def suppressed(address: str) -> str | None:
        with database.transaction(read_only=True) as tx:
            return suppressions.why(tx, address)

    courier = Courier(
        queue,
        senders or open_senders(settings),
        places,
        host=urlsplit(settings.issuer).netloc,
        support_email=SUPPORT_EMAIL,
        suppressed=suppressed,
    )
    throttle, pauses = Throttle(policies.throttle, digester, clock), Pauses(digester, clock)
    texts = TextLimits(policies.throttle.text_messages, digester, clock, audit)
    sends = SendLimits(throttle, texts, audit)
    wrong = WrongPasswords(policies.throttle, digester, clock)
    windows = AddressWindows(policies.throttle, cache, processes=web_workers(settings))
    # A key of its own: its digests of row ids are secrets that travel.
    links = Links(policies.sessions.links, Digester(derive(settings.secrets[-1], "links")), clock)
    devices = Devices(policies.mfa.remembered_device, digester, clock, audit)
    sessions = Sessions(policies.sessions, digester, clock, audit, queue)
    browsers = Browsers(digester, clock)
    codes = OneTimeCodes(policies.mfa, sealer, clock)
    notifications = Notifications(policies.sessions.notifications)
    exchange = CodeExchange(policies.mfa, codes, courier, throttle, sends, windows, pauses, clock, audit)
    own_email = OwnEmail(exchange, codes, devices, courier, clock, audit, policies.sessions.links.verify_email)
    attempts = Attempts(policies.sessions, digester, clock)
    apps = AuthenticatorApps(
        policies.mfa.totp, policies.sessions.recent_proof, sealer, courier, clock, audit, devices.forget_all
    )
    recovery_codes = RecoveryCodes(digester, courier, clock, audit)
    flow = Flow(policies.mfa, exchange, codes, apps, devices, courier, sends, clock, audit)
    registry = Registry(database, digester, clock=clock)
    fetch = GuardedFetch(allow_loopback=settings.allow_loopback_clients)
    invitations = Invitations(policies.sessions, links, clock, audit)
    data_access = DataAccess(policies.permissions, devices, courier, clock, audit)
    families = Families(policies, sessions, devices, clock, audit)
    subjects = Subjects(digester)
    registration = Registration(registry, families, fetch, digester, clock, audit)
    id_tokens = IdTokens(IdTokenSettings(settings.issuer, ring, policies.tokens, clock))
    refresh_tokens = RefreshTokens(policies.tokens.refresh, families, digester, clock, audit)
    client_keys = ClientKeys(fetch, clock)
    assertions = Assertions(settings.issuer, registry, client_keys, policies.tokens.clock_skew, digester, clock)
    device_codes = DeviceCodes(policies.tokens.device_code, families, digester, clock, audit)
    server = AuthorizationServer(
        issuer=settings.issuer,
        registry=registry,
        authenticator=ClientAuthenticator(registry, windows, assertions, audit),
        codes=Codes(policies.tokens.authorization_code, families, digester, clock, audit),
        refresh_tokens=refresh_tokens,
        access_tokens=AccessTokens(issuer=settings.issuer, ring=ring, policy=policies.tokens, clock=clock),
        id_tokens=id_tokens,
        subjects=subjects,
        device_codes=device_codes,
        audit=audit,
        tx=database.current,
    )
    userinfo = UserInfo(settings.issuer, ring, families, registry, clock)
    revoked_tokens = RevokedTokens(digester, audit)
    consents = Consents(clock, audit)
    hints = Hints(settings.issuer, ring)
    reader = Reader(
        registry,
        RequestObjects(settings.issuer, client_keys, clock, policies.tokens.clock_skew),
        PushedRequests(policies.tokens.pushed_request, digester, clock),
    )
    life = Life(policies.exports, policies.permissions, queue, courier, notifications, clock, audit)
    exports = Exports.over(life, activity=SignInActivity())
    files = store_for(settings.exports_url, sealer=sealer, aws_endpoint_url=settings.aws_endpoint_url)
    return Services(
        settings=settings,
        policies=policies,
        clock=clock,
        database=database,
        cache=cache,
        audit=audit,
        digester=digester,
        ring=ring,
        passwords=passwords,
        password_rules=PasswordRules(policies.password, breached),
        lane=HashingLane(waiting=settings.hashing_places),
        queue=queue,
        files=files,
        exports=exports,
        transfers=Transfers(database, exports.hand_overs, files, at_a_time=max(1, settings.threads // 4)),
        courier=courier,
        suppressions=suppressions,
        throttle=throttle,
        texts=texts,
        pauses=pauses,
        wrong=wrong,
        windows=windows,
        links=links,
        devices=devices,
        sessions=sessions,
        browsers=browsers,
        codes=codes,
        notifications=notifications,
        apps=apps,
        recovery_codes=recovery_codes,
        exchange=exchange,
        own_email=own_email,
        own_phone=OwnPhone(policies.mfa, exchange, codes, devices, courier, digester, clock, audit),
        own_password=OwnPassword(sessions, devices, own_email, courier, clock, audit),
        attempts=attempts,
        invitations=invitations,
        joining=Joining(invitations, sessions, devices, apps, codes),
        members=Members(
            invitations,
            sessions,
            devices,
            courier,
            throttle,
            windows,
            policies.permissions,
            policies.mfa.code.resend_after,
            clock,
            audit,
            attempts.end_all,
        ),
        roles=Roles(data_access, courier, clock, audit),
        data_access=data_access,
        closing=Closing(sessions, devices, clock, audit),
        resets=Resets(apps, codes, devices, courier, throttle, clock, audit, attempts.end_all),
        password_step=PasswordStep(
            attempts,
            browsers,
            throttle,
            wrong,
            windows,
            SprayAlarm(throttle, digester, audit),
            clock,
            audit,
            passwords.dummy,
        ),
        flow=flow,
        own_codes=OwnCodes(flow, exchange, apps, recovery_codes, throttle, audit),
        finish=Finish(flow, sessions, devices, browsers, courier, notifications, clock, audit),
        recovery=Recovery(
            policies.sessions, links, sessions, devices, browsers, codes, throttle, wrong, courier, clock, audit
        ),
        registry=registry,
        fetch=fetch,
        client_keys=client_keys,
        registration=registration,
        initial_access=InitialAccess(digester, clock, audit),
        logout_deliveries=LogoutDeliveries(
            database, registry, LogoutTokens(settings.issuer, ring, subjects, clock), fetch, clock, audit
        ),
        families=families,
        server=server,
        authorization=AuthorizationEndpoint(
            reader=reader,
            server=server,
            hints=hints,
            asking=Asking(sessions, families, consents, subjects, policies.mfa, courier.channels, clock),
            families=families,
            consents=consents,
            clock=clock,
            audit=audit,
        ),
        par=PushEndpoint(database, server, reader, hints, windows, policies.tokens.pushed_request),
        userinfo=userinfo,
        callers=Callers(userinfo, revoked_tokens, registry),
        assertions=assertions,
        device_codes=device_codes,
        revoked_tokens=revoked_tokens,
        documents=Documents(issuer=settings.issuer, ring=ring, registry=registry, policy=policies.tokens),
        logout=Logout(server, hints),
        mfa_switch=MfaSwitch(policies.mfa, policies.permissions, devices, courier, notifications, clock, audit),
        reminders=Reminders(courier, throttle, clock, audit),
        assets=Assets(),
        cookies=Cookies(secure=settings.is_https),
        places=places,
        metrics=metrics,
    )
