"""Every table of the service on one page, for Alembic and for tests. Nothing else imports this."""

from authsvc.accounts import models as accounts
from authsvc.audit import models as audit
from authsvc.db.base import Base
from authsvc.devices import models as devices
from authsvc.exports import models as exports
from authsvc.jobs import models as jobs
from authsvc.keyring import models as keyring
from authsvc.login import models as login
from authsvc.mfa import models as mfa
from authsvc.oauth import models as oauth
from authsvc.sessions import models as sessions
from authsvc.throttle import models as throttle

metadata = Base.metadata

__all__ = [
    "accounts",
    "audit",
    "devices",
    "exports",
    "jobs",
    "keyring",
    "login",
    "metadata",
    "mfa",
    "oauth",
    "sessions",
    "throttle",
]
