"""Our cookies: `__Host-` and Secure wherever the issuer is https (ASVS 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from werkzeug.wrappers import Request, Response

SESSION = "sid"
ATTEMPT = "attempt"
BROWSER = "browser"
#: The address typed on the sign-in page, and the secret of a mailed link.
TYPED, LINK = "typed", "link"
#: Longest value we ever set; a longer one is not ours.
LONGEST = 200


@dataclass(frozen=True)
class Cookies:
    """Reads and writes cookies; on plain http (a loopback issuer in development) without the prefix that needs TLS."""

    secure: bool

    def name(self, plain: str) -> str:
        """The name on the wire."""
        return f"__Host-{plain}" if self.secure else plain

    def read(self, request: Request, plain: str) -> str | None:
        """The value, or None when absent or of a length that cannot be ours."""
        value = request.cookies.get(self.name(plain))
        return value if value and len(value) <= LONGEST else None

    def write(self, response: Response, plain: str, value: str, *, lasts: timedelta | None = None) -> None:
        """Set it for this host alone, out of reach of scripts; `lasts` None: until the browser closes."""
        response.set_cookie(
            self.name(plain), value, max_age=lasts, path="/", secure=self.secure, httponly=True, samesite="Lax"
        )

    def drop(self, response: Response, plain: str) -> None:
        """Take it back."""
        response.delete_cookie(self.name(plain), path="/", secure=self.secure, httponly=True, samesite="Lax")
