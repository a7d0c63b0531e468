"""What goes in and out of the operations on exports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from authsvc.api.schemas import Answer, Body, RowId, Slug, Text, _plain
from authsvc.exports.handover import MEDIA_TYPE, SHA256


class NewExport(Body):
    """A file that will be handed over for one person, who sees it as "Processing" from now on."""

    account: Slug
    #: The `sub` of their tokens.
    person: RowId
    #: As the page, the notice and the downloaded file call it.
    name: Text
    #: The line below the name: of what, or filtered how.
    scope: Annotated[str, Field(max_length=200), AfterValidator(_plain)] = ""
    media_type: Annotated[str, Field(max_length=100, pattern=f"^{MEDIA_TYPE.pattern}$")]
    #: Bytes of the file that will come.
    size: int = Field(ge=0, le=1 << 40)
    #: Its digest, in lower-case hex.
    sha256: Annotated[str, Field(pattern=f"^{SHA256.pattern}$")]


class GivenUp(Body):
    """Why there will be no file."""

    reason: Literal["could_not_build", "too_large"] = "could_not_build"


@dataclass(frozen=True)
class Upload:
    """The body of an operation that takes a file. `size` None: not said; `read` raises CutOff where it breaks off."""

    size: int | None
    media_type: str
    read: Callable[[int], bytes]


class ExportAnswer(Answer):
    """An export that this client hands over. Nobody but its person reads the file, and whether they did is not told."""

    id: str
    account: str
    person: str
    name: str
    scope: str
    media_type: str
    size: int
    sha256: str
    status: Literal["processing", "ready", "failed", "expired"]
    #: Why there is no file.
    reason: str | None
    requested_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None
    #: Where its person finds it, once signed in.
    page: str


class ExportAct(Answer):
    """What became of an act: the export as it is now. `changed` False: it was so before."""

    changed: bool
    export: ExportAnswer
