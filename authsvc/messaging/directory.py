"""The `dir:` sender: every message becomes one JSON file. For development, tests and the demo's inbox page."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import time
from datetime import UTC
from pathlib import Path

from authsvc.messaging.message import DELIVERED, Delivery, Message, Outcome, why_unsendable


class DirectorySender:
    """Writes messages into `folder`, for this user alone; the names sort by `created_at`, then by order of sending."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: Message) -> Delivery:
        """Write the file. TRY_LATER: the folder cannot be written."""
        # The same refusal as in production, so that development does not hide it.
        if reason := why_unsendable(message):
            return Delivery.refused(reason)
        created_at = message.created_at.astimezone(UTC)
        content = {
            "channel": message.channel,
            "to": message.to,
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "purpose": message.purpose,
            "created_at": created_at.isoformat(timespec="microseconds"),
        }
        # Messages of one instant keep their order: the counter is the machine's, so several processes agree on it.
        order = f"{created_at:%Y%m%dT%H%M%S.%fZ}-{time.monotonic_ns():020d}-{secrets.token_hex(4)}"
        try:
            self._write(f"{order}.json", json.dumps(content, indent=1).encode())
        except OSError as exc:
            return Delivery.try_later(f"the folder for messages cannot be written ({type(exc).__name__})")
        return DELIVERED

    def reach(self) -> Delivery:
        """Whether a file can be written there; none stays."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder):
                return Delivery(Outcome.DELIVERED, f"messages are files in {self._folder}")
        except OSError as exc:
            return Delivery.try_later(f"the folder for messages cannot be written ({type(exc).__name__})")

    def _write(self, name: str, content: bytes) -> None:
        """A reader sees the whole file or none: written under another name (0600, by mkstemp), then renamed."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(part).replace(self._folder / name)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
