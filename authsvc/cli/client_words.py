"""Clients as an operator reads them, and as --json has them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from authsvc.keyring.words import local_and_utc
from authsvc.oauth.models import LogoutDelivery
from authsvc.oauth.registration import ClientView

WIDTH = 34


def client_as_json(client: ClientView) -> dict[str, Any]:
    """One client for machines: its metadata by their registered names, and what is ours beside them."""
    return {
        "client_id": client.client_id,
        **client.metadata.model_dump(mode="json", exclude_none=True),
        "first_party": client.first_party,
        "minimum_acr": client.minimum_acr,
        "resources": client.resources,
        "accounts": client.accounts,
        "registered_itself": client.registered_itself,
        "has_secret": client.has_secret,
        "previous_secret_until": _instant(client.previous_secret_until),
        "created_at": _instant(client.created_at),
        "deactivated_at": _instant(client.deactivated_at),
    }


def receipt_as_json(receipt: LogoutDelivery) -> dict[str, Any]:
    """One delivery for machines."""
    return {
        "status": receipt.status,
        "attempts": receipt.attempts,
        "problem": receipt.problem,
        "session_id": receipt.session_id,
        "created_at": _instant(receipt.created_at),
        "delivered_at": _instant(receipt.delivered_at),
    }


def client_as_line(client: ClientView) -> str:
    """One client in a list."""
    state = "deactivated" if client.deactivated_at else "active"
    party = "first party" if client.first_party else "third party"
    return f"{client.client_id:<32}  {state:<11}  {party}  {client.metadata.client_name}"


def client_as_text(client: ClientView, sent: list[LogoutDelivery], now: datetime) -> str:
    """One client in full: what differs from the defaults, what is ours, and the last logout tokens."""
    lines = [client_as_line(client), _row("made", local_and_utc(client.created_at))]
    if client.deactivated_at:
        lines.append(_row("deactivated", local_and_utc(client.deactivated_at)))
    shown = client.metadata.stored() | {"token_endpoint_auth_method": client.metadata.token_endpoint_auth_method}
    lines += [_row(name, _words(value)) for name, value in shown.items() if name != "client_name"]
    if client.minimum_acr:
        lines.append(_row("minimum acr", client.minimum_acr))
    if client.resources is not None:
        lines.append(_row("its tokens may be for", _words(client.resources) or "nothing"))
    if client.accounts is not None:
        lines.append(_row("accounts it may touch", _words(client.accounts) or "none"))
    if client.registered_itself:
        lines.append(_row("registered itself", "yes"))
    if client.previous_secret_until and client.previous_secret_until > now:
        lines.append(_row("its old secret does until", local_and_utc(client.previous_secret_until)))
    if client.metadata.backchannel_logout_uri:
        lines.append("")
        lines.append("Last logout tokens" if sent else "No logout token was sent yet.")
        lines += [_receipt(one) for one in sent]
    return "\n".join(lines)


def _receipt(receipt: LogoutDelivery) -> str:
    about = f"session {receipt.session_id}" if receipt.session_id else "every session of a person"
    tries = f"{receipt.attempts} {'try' if receipt.attempts == 1 else 'tries'}"
    problem = f": {receipt.problem}" if receipt.problem else ""
    return f"  {receipt.created_at:%Y-%m-%d %H:%M:%S}Z  {receipt.status:<9}  {tries:<8}  {about}{problem}"


def _row(name: str, value: str) -> str:
    return f"  {name:<{WIDTH}} {value}"


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        keys = value.get("keys", [])
        return f"{len(keys)} public key{'s' if len(keys) != 1 else ''}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _instant(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
