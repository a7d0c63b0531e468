"""The services of this process, as views reach them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import current_app

if TYPE_CHECKING:
    from authsvc.services import Services

EXTENSION = "authsvc"


def services() -> Services:
    """Built once by create_app; for views and commands only."""
    return cast("Services", current_app.extensions[EXTENSION])
