"""The table of contents: which pages and endpoints there are, which job is done by whom, what is tidied up when."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask
from flask_wtf.csrf import CSRFError
from jinja2 import StrictUndefined

from authsvc.accounts.invitation_mail import InvitationDelivery
from authsvc.accounts.link_delivery import LinkDelivery
from authsvc.accounts.notices import NoticeDelivery
from authsvc.admin import activity_views, investor_views, member_views, settings_views, team_views
from authsvc.api import views as api_views
from authsvc.audit.chain import BATCH, seal
from authsvc.devices.remember import KEPT
from authsvc.exports.build import Build
from authsvc.exports.life import BUILD_EXPORT, PURGE_EXPORT
from authsvc.exports.tidy import Purge, Sweep
from authsvc.jobs.worker import Chore, Worker
from authsvc.keyring.automatic import RotateWhenDue
from authsvc.login import account_views, confirm, invite_views, link_views, recovery_views, stale, step_views
from authsvc.login import app_views as login_app_views
from authsvc.login import views as login_views
from authsvc.login.journey import Stale
from authsvc.messaging.courier import SEND_CODE, SEND_INVITATION, SEND_LINK, SEND_NOTICE
from authsvc.mfa.delivery import CodeDelivery
from authsvc.oauth import views as oauth_views
from authsvc.oauth.backchannel_logout import SEND_LOGOUT, LogoutFanOut
from authsvc.oauth.device import views as device_views
from authsvc.oauth.machine import endpoints
from authsvc.oauth.registration_endpoint import RegistrationEndpoint
from authsvc.profile import (
    app_views,
    details_views,
    devices_views,
    email_views,
    export_views,
    password_views,
    phone_views,
    security_views,
)
from authsvc.services import Services
from authsvc.sessions import guards
from authsvc.sessions.session import SESSION_ENDED
from authsvc.web import brand_views, csrf, headers, health, problems
from authsvc.web.client_ip import OwnHost, TrustedProxies
from authsvc.web.context import EXTENSION
from authsvc.web.front import MachineFront
from authsvc.web.observe import Observe

#: A page's form is a few fields; a larger body is refused unread (security.md PL-02).
LARGEST_FORM = 64 * 1024


def create_app(services: Services) -> Flask:
    """The WSGI application over `services`: machine endpoints in front, pages behind."""
    app = Flask("authsvc", static_folder=None, template_folder="templates")
    app.extensions[EXTENSION] = services
    app.config.update(MAX_CONTENT_LENGTH=LARGEST_FORM, MAX_FORM_MEMORY_SIZE=LARGEST_FORM, MAX_FORM_PARTS=100)
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.globals["asset"] = services.assets.url
    headers.install(app, https=services.settings.is_https)
    csrf.install(
        app,
        issuer=services.settings.issuer,
        cookies=services.cookies,
        digester=services.digester,
        exempt=oauth_views.CSRF_EXEMPT,
    )
    problems.install(app)
    guards.install(app)
    for error in (Stale, CSRFError):
        app.register_error_handler(error, stale.answer)
    for views in (
        *(login_views, step_views, login_app_views, account_views, confirm),
        *(recovery_views, invite_views, link_views, export_views),
        *(details_views, email_views, security_views, password_views, phone_views, devices_views, app_views),
        *(settings_views, investor_views, team_views, member_views, activity_views),
        *(api_views, oauth_views, device_views, brand_views, health),
    ):
        app.register_blueprint(views.bp)
    front = MachineFront(
        problems.with_rule(app),
        documents={**services.documents.by_path(), **services.assets.documents},
        endpoints=endpoints(
            services.database,
            services.server,
            services.userinfo,
            services.par,
            registration_endpoint(services),
            revoked=services.revoked_tokens,
            windows=services.windows,
        ),
    )
    own_host = OwnHost(front, issuer=services.settings.issuer)
    app.wsgi_app = TrustedProxies(Observe(own_host), trusted=services.settings.trusted_proxies)  # type: ignore[method-assign]
    return app


def registration_endpoint(s: Services) -> RegistrationEndpoint:
    """Dynamic registration over `services`."""
    return RegistrationEndpoint(
        issuer=s.settings.issuer,
        database=s.database,
        registration=s.registration,
        initial_access=s.initial_access,
        policy=s.policies.tokens.registration,
        digester=s.digester,
        windows=s.windows,
        audit=s.audit,
    )


def make_worker(services: Services) -> Worker:
    """The worker over `services`: which job is done by whom, and what is tidied up when."""
    s = services

    def seal_audit() -> None:
        sealed = BATCH
        while sealed == BATCH:
            with s.database.transaction() as tx:
                sealed = seal(tx, s.clock.now())

    def sweep() -> None:
        now = s.clock.now()
        with s.database.transaction() as tx:
            for part in (s.sessions, s.attempts, s.pauses, s.wrong, s.browsers, s.families, s.links, s.queue):
                part.sweep(tx, now=now)
            s.initial_access.sweep(tx, now=now)
            s.logout_deliveries.sweep(tx, now=now)
            for of_tokens in (s.device_codes, s.assertions, s.revoked_tokens):
                of_tokens.sweep(tx, now=now)
            s.codes.sweep(tx, before=now - timedelta(days=1))
            s.devices.sweep(tx, before=now - KEPT)
            s.apps.sweep(tx, now=now)
            s.authorization.reader.pushed.sweep(tx, before=now - timedelta(days=1))

    purge = Purge(s.database, s.files, s.exports.life)
    return Worker(
        database=s.database,
        queue=s.queue,
        cache=s.cache,
        clock=s.clock,
        handlers={
            SEND_CODE: CodeDelivery(s.database, s.codes, s.courier, s.clock, s.audit),
            SEND_NOTICE: NoticeDelivery(s.database, s.links, s.courier, s.settings.issuer),
            SESSION_ENDED: LogoutFanOut(s.database, s.registry, s.queue, s.clock),
            SEND_LOGOUT: s.logout_deliveries,
            SEND_INVITATION: InvitationDelivery(s.database, s.courier, s.invitations, s.settings.issuer),
            SEND_LINK: LinkDelivery(s.database, s.links, s.courier, s.audit, s.settings.issuer),
            PURGE_EXPORT: purge,
        },
        long={BUILD_EXPORT: Build(s.database, s.files, s.exports.sources, s.exports.life)},
        chores=(
            Chore("seal_audit", timedelta(seconds=5), seal_audit),
            Chore("sweep", timedelta(minutes=10), sweep),
            Chore("sweep_exports", timedelta(minutes=1), Sweep(s.database, s.exports.life, purge)),
            Chore("rotate_keys", timedelta(minutes=10), RotateWhenDue(s.ring, s.policies.tokens, s.database, s.audit)),
        ),
    )
