"""How a service of IMS hands a sensitive export over: a token of its own, the announcement, the file. All it takes is here."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import urlencode

from authsvc.demo.calls import Answer, Send, Unreachable

CLIENT_ID = "investors-service"
#: By the problem's `type`; for every other one its own `detail` is shown.
IN_PLAIN_WORDS = {
    "urn:ims:problem:no-data-access": "You don’t have Sensitive Data Access in this account, so this can’t be exported for you.",
    "urn:ims:problem:too-many-requests": "You have as many exports as you may have at a time. Download or wait, then try again.",
}


@dataclass(frozen=True)
class HandedOver:
    """The file is there. `page`: where its person finds it."""

    page: str


@dataclass(frozen=True)
class NotTaken:
    """It was refused. `why`: in words for the person."""

    status: int
    why: str


@dataclass(frozen=True)
class ExportDesk:
    """Hands files over, as the client `CLIENT_ID` with the scope exports.write."""

    issuer: str
    client_secret: str
    send: Send

    def hand_over(
        self, content: bytes, *, account: str, person: str, name: str, scope: str, media_type: str
    ) -> HandedOver | NotTaken:
        """Announce `content` for this person of this account, and send it. Raises: Unreachable."""
        with_token = {"Authorization": f"Bearer {self._token()}"}
        announcement = {
            "account": account,
            "person": person,
            "name": name,
            "scope": scope,
            "media_type": media_type,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        exports = f"{self.issuer}/api/v1/exports"
        said = self.send(
            "POST", exports, headers={**with_token, "Content-Type": "application/json"}, body=json.dumps(announcement)
        )
        if said.status_code != 201:
            return _refusal(said)
        export = said.json()
        taken = self.send(
            "PUT",
            f"{exports}/{export['id']}/file",
            headers={**with_token, "Content-Type": media_type},
            body=content,
        )
        return HandedOver(export["page"]) if taken.status_code == 200 else _refusal(taken)

    def _token(self) -> str:
        basic = b64encode(f"{CLIENT_ID}:{self.client_secret}".encode()).decode()
        found = self.send(
            "POST",
            f"{self.issuer}/oauth/token",
            headers={"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode({"grant_type": "client_credentials", "scope": "exports.write"}),
        )
        found.raise_for_status()
        return str(found.json()["access_token"])


def _refusal(answer: Answer) -> NotTaken:
    try:
        problem = answer.json()
        return NotTaken(answer.status_code, IN_PLAIN_WORDS.get(problem["type"]) or str(problem["detail"]))
    except (ValueError, KeyError, TypeError) as exc:
        raise Unreachable("it answered with something else than a problem") from exc
