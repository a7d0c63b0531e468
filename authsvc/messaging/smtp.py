"""Mail over SMTP (RFC 5321), one connection a message, bounded in time however slowly the server answers."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from enum import StrEnum
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

from authsvc.errors import ConfigurationError
from authsvc.messaging.message import DELIVERED, Delivery, Message, OnlyEmail, why_unsendable
from authsvc.messaging.mime import mail_of
from authsvc.settings import LOOPBACK

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 5.0
TOTAL_TIMEOUT_S = 10.0

_ENHANCED_STATUS = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}\b")


class Tls(StrEnum):
    """How the conversation with the mail server is encrypted."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


_USUAL_PORT = {Tls.STARTTLS: 587, Tls.IMPLICIT: 465, Tls.NONE: 25}


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where the mail server is and how it wants to be spoken to."""

    host: str
    port: int
    tls: Tls
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Read `smtp://[user:password@]host[:port][?tls=starttls|implicit|none]`.

        Without `tls`: none on a loopback address, else STARTTLS. Without a port: 587, 465 or 25, as `tls` wants it.
        Raises: ConfigurationError, which never repeats the password.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
            host.encode("idna")
            query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
            tls = Tls(query.pop("tls", Tls.NONE if host in LOOPBACK else Tls.STARTTLS))
        except ValueError as exc:
            raise ConfigurationError([_WRONG_URL]) from exc
        if parts.scheme != "smtp" or not host or port == 0 or query or parts.path not in ("", "/") or parts.fragment:
            raise ConfigurationError([_WRONG_URL])
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if not (user + password).isascii():
            raise ConfigurationError(["AUTHSVC_EMAIL_URL: SMTP carries a user and password in ASCII only"])
        if user and tls is Tls.NONE and host not in LOOPBACK:
            raise ConfigurationError(
                ["AUTHSVC_EMAIL_URL would send its password unencrypted; use tls=starttls or tls=implicit"]
            )
        return cls(host, _USUAL_PORT[tls] if port is None else port, tls, user, password)


_WRONG_URL = "AUTHSVC_EMAIL_URL must be smtp://[user:password@]host:port[?tls=starttls|implicit|none]"


class SmtpSender:
    """Hands mail to one server. Encryption that the settings demand is never given up: the mail waits instead."""

    def __init__(
        self,
        server: SmtpServer,
        *,
        email_from: str,
        tls_context: ssl.SSLContext | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        total_timeout_s: float = TOTAL_TIMEOUT_S,
    ) -> None:
        """`tls_context`: by default the system's authorities, and the server's name is checked."""
        self._server = server
        self._email_from = email_from
        self._domain = email_from.rpartition("@")[2]
        self._tls_context = tls_context or ssl.create_default_context()
        self._connect_timeout_s = connect_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._total_timeout_s = total_timeout_s

    def send(self, message: Message) -> Delivery:
        """Send one email within `total_timeout_s`, the name lookup by the system aside.

        REFUSED: the server will not take this recipient or this message (5xx to RCPT or DATA). TRY_LATER: everything
        else that fails, our own sign-in included, because the person cannot help it and an operator can.
        Raises: OnlyEmail.
        """
        if message.channel != "email":
            raise OnlyEmail
        if reason := why_unsendable(message):
            return Delivery.refused(reason)
        mail = mail_of(message, email_from=self._email_from)
        return self._converse(lambda connection: self._hand_over(connection, mail, message.to))

    def reach(self) -> Delivery:
        """Connect, encrypt and sign in as for a mail, and leave again."""
        found = self._converse(self._look_in)
        where = f"{self._server.host}:{self._server.port}"
        return replace(found, reason=f"{where} would take a mail" if found == DELIVERED else f"{where}: {found.reason}")

    def _converse(self, act: Callable[[_Connection], Delivery]) -> Delivery:
        try:
            with _Watchdog(self._total_timeout_s) as watchdog, closing(self._open(watchdog)) as connection:
                self._greet(connection)
                return act(connection)
        except smtplib.SMTPNotSupportedError:
            return Delivery.try_later(
                "the mail server does not offer the encryption or the sign-in that AUTHSVC_EMAIL_URL asks for"
            )
        except smtplib.SMTPResponseException as exc:
            return Delivery.try_later(f"the mail server does not accept us ({_status(exc.smtp_code, exc.smtp_error)})")
        except OSError as exc:
            # smtplib's other exceptions are OSErrors too. The class is named, not its text, which may quote the server.
            return Delivery.try_later(f"the mail server cannot be reached or broke off ({type(exc).__name__})")

    def _open(self, watchdog: _Watchdog) -> _Connection:
        return _Connection(
            self._server,
            watchdog,
            tls_context=self._tls_context,
            local_hostname=self._domain,
            connect_timeout_s=self._connect_timeout_s,
            answer_timeout_s=self._answer_timeout_s,
        )

    def _greet(self, connection: _Connection) -> None:
        if self._server.tls is Tls.STARTTLS:
            connection.starttls(context=self._tls_context)
        if self._server.user:
            connection.login(self._server.user, self._server.password)

    def _look_in(self, connection: _Connection) -> Delivery:
        code, answer = connection.noop()
        if code != 250:
            return Delivery.try_later(f"the mail server does not accept us ({_status(code, answer)})")
        with suppress(OSError):
            connection.quit()
        return DELIVERED

    def _hand_over(self, connection: _Connection, mail: EmailMessage, to: str) -> Delivery:
        outcome = DELIVERED
        try:
            # Sender and recipient of the envelope are given, never read back from headers (RC-05).
            connection.send_message(mail, from_addr=self._email_from, to_addrs=[to])
        except smtplib.SMTPRecipientsRefused as exc:
            [(code, answer)] = exc.recipients.values()
            outcome = _refused_or_later("the recipient", code, answer)
        except smtplib.SMTPDataError as exc:
            outcome = _refused_or_later("the message", exc.smtp_code, exc.smtp_error)
        # The outcome stands, whatever becomes of the farewell.
        with suppress(OSError):
            connection.quit()
        return outcome


def _refused_or_later(what: str, code: int, answer: bytes | str) -> Delivery:
    reason = f"the mail server did not take {what} ({_status(code, answer)})"
    return Delivery.refused(reason) if 500 <= code <= 599 else Delivery.try_later(reason)


def _status(code: int, answer: bytes | str) -> str:
    """The numbers of an answer, "550 5.1.1". Not its words: those often quote the address."""
    enhanced = _ENHANCED_STATUS.match(answer if isinstance(answer, bytes) else answer.encode("utf-8", "replace"))
    return f"{code} {enhanced[0].decode('ascii')}" if enhanced else str(code)


class _Connection(smtplib.SMTP):
    """smtplib's client with one time limit for the connection, TLS from the start where wanted, and a watchdog."""

    def __init__(
        self,
        server: SmtpServer,
        watchdog: _Watchdog,
        *,
        tls_context: ssl.SSLContext,
        local_hostname: str,
        connect_timeout_s: float,
        answer_timeout_s: float,
    ) -> None:
        self._server = server
        self._watchdog = watchdog
        self._tls_context = tls_context
        self._connect_timeout_s = connect_timeout_s
        # A local name spares a reverse lookup of this machine, which may hang, and does not tell it to the server.
        super().__init__(server.host, server.port, local_hostname=local_hostname, timeout=answer_timeout_s)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = _connect(host, port, within_s=self._connect_timeout_s)
        connection.settimeout(timeout)
        self._watchdog.watch(connection)
        if self._server.tls is Tls.IMPLICIT:
            return self._tls_context.wrap_socket(connection, server_hostname=host)
        return connection


def _connect(host: str, port: int, *, within_s: float) -> socket.socket:
    """A connection to the first address of `host` that answers; the standard library gives every address that long."""
    give_up_at = time.monotonic() + within_s
    failure: OSError = TimeoutError()
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if (left := give_up_at - time.monotonic()) <= 0:
            break
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(left)
            connection.connect(address)
        except OSError as exc:
            connection.close()
            failure = exc
        else:
            return connection
    raise failure


class _Watchdog:
    """Cuts a connection when its time is up. A socket's own timeout starts anew with every byte a slow server drips."""

    def __init__(self, after_s: float) -> None:
        self._timer = threading.Timer(after_s, self._bite)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._is_over = False
        self._twin: socket.socket | None = None

    def watch(self, connection: socket.socket) -> None:
        """Cut this one. A duplicate is kept, because TLS replaces the socket object while the connection stays."""
        with self._lock:
            self._twin = connection.dup()
            if self._is_over:
                self._cut()

    def _bite(self) -> None:
        with self._lock:
            self._is_over = True
            self._cut()

    def _cut(self) -> None:
        if self._twin is not None:
            with suppress(OSError):
                self._twin.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            if self._twin is not None:
                self._twin.close()
                self._twin = None
