"""Static files under addresses that hold their hash, so that browsers keep them for ever."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Callable
from functools import partial
from importlib.resources import files

from authsvc.web.front import Document

FOREVER = "public, max-age=31536000, immutable"


class Assets:
    """The files of authsvc/static, read once."""

    def __init__(self) -> None:
        self._urls: dict[str, str] = {}
        self.documents: dict[str, Callable[[], Document]] = {}
        for file in (files("authsvc") / "static").iterdir():
            body = file.read_bytes()
            stem, _, ending = file.name.rpartition(".")
            url = f"/static/{stem}.{hashlib.sha256(body).hexdigest()[:12]}.{ending}"
            self._urls[file.name] = url
            mimetype = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            self.documents[url] = partial(_same, Document.of(body, mimetype=mimetype, cache_control=FOREVER))

    def url(self, name: str) -> str:
        """The address of a file. Raises: KeyError for a file that does not exist."""
        return self._urls[name]


def _same(document: Document) -> Document:
    return document
