"""What goes in and out about notifications."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from authsvc.api.schemas import Answer, Body, Paged, RowId, Slug, Text
from authsvc.notifications import Kind


class NotificationsQuery(Paged):
    """The newest first."""

    cursor: RowId | None = None


class NewNotification(Body):
    """For one person of an account, whom their tokens call `sub` and `account.audience`.

    `link`: an address of the account's portal, called `label`. `key`: your own name for it; sending it again adds nothing.
    """

    account: Slug
    person: RowId
    audience: Literal["team", "investors"] = "team"
    kind: Literal["portal"] = "portal"
    title: Annotated[Text, Field(max_length=80)]
    text: Annotated[Text, Field(max_length=200)] | None = None
    link: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    label: Annotated[Text, Field(max_length=40)] = "Open"
    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9._~:/-]{1,64}$")] | None = None


class Seen(Body):
    """The newest one that was shown: it and every older one is seen."""

    up_to: RowId


class NotificationAdded(Answer):
    """It is in the bell. `changed` False: you have added it before."""

    changed: bool
    id: str


class NotificationAnswer(Answer):
    """One of the person's. `link` is null, and `label` with it, where it leads nowhere."""

    id: str
    kind: Literal[tuple(kind.value for kind in Kind)]  # type: ignore[valid-type]  # the catalogue
    title: str
    text: str
    link: str | None
    label: str | None
    created_at: datetime
    seen: bool


class Unread(Answer):
    """How many the person has not seen."""

    unread: int


class NotificationList(Unread):
    """A page of them, the newest first."""

    items: list[NotificationAnswer]
    next: str | None
