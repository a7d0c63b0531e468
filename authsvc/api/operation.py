"""What an operation is, what it is given, and how it refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pydantic import BaseModel
from sqlalchemy.orm import Session

from authsvc.api.schemas import Query

if TYPE_CHECKING:
    from authsvc.oauth.callers import Caller
    from authsvc.services import Services

BASE = "/api/v1"


@dataclass(frozen=True)
class Asked:
    """One authenticated call, its query and body checked against the operation's models."""

    s: Services
    caller: Caller
    ids: Mapping[str, str]
    query: Any
    body: Any

    @property
    def operator(self) -> str:
        """Who that is in the trail and for rules that want two operators (domain D12)."""
        return operator_of(self.caller.client_id)


@dataclass(frozen=True)
class Call(Asked):
    """With the transaction in which it is done. `prepared`: what the operation's `before` answered."""

    tx: Session
    prepared: Any = None


class Refused(Exception):
    """An expected refusal. Whatever was counted meanwhile is kept: the transaction is committed.

    `foreign`: the kind of row that is there, but of an account that this client may not touch: the trail has it (TN-01).
    """

    def __init__(
        self,
        status: int,
        detail: str | None = None,
        *,
        name: str | None = None,
        title: str | None = None,
        retry_after_s: int | None = None,
        foreign: str | None = None,
    ) -> None:
        super().__init__(name or status)
        self.status, self.detail, self.name, self.title = status, detail, name, title
        self.retry_after_s, self.foreign = retry_after_s, foreign


@dataclass(frozen=True)
class Created:
    """An answer whose subject was not there before; `location`: where it is now."""

    answer: BaseModel
    location: str


@dataclass(frozen=True)
class Operation:
    """One row of the table. `refusals`: the statuses it may answer besides those that every operation may."""

    name: str
    method: str
    path: str
    scope: str
    summary: str
    act: Callable[[Call], BaseModel | Created | None]
    answer: type[BaseModel] | None
    query: type[Query] = Query
    body: type[BaseModel] | None = None
    creates: bool = False
    refusals: frozenset[int] = field(default_factory=frozenset)
    #: Done before the transaction is opened: what lies elsewhere is looked at here.
    before: Callable[[Asked], Any] | None = None
    #: Of whose tokens: a client's own, or a person's.
    of_person: bool = False
    #: Whether its body is a file, which `before` takes in: not read here, and as long as it was announced.
    takes_file: bool = False

    @property
    def reads_only(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET"

    @property
    def statuses(self) -> tuple[int, ...]:
        """Of its successes."""
        if self.answer is None:
            return (204,)
        return (200, 201) if self.creates else (200,)


def operator_of(client_id: str) -> str:
    """Told apart from the users of the command line, who are operators by their own names."""
    return f"client:{client_id}"


def next_page(call: Call, path: str, last: object) -> str:
    """The address of what follows `last`, with the same filter."""
    query = call.query.model_dump(mode="json", by_alias=True, exclude_none=True) | {"cursor": str(last)}
    return f"{call.s.settings.issuer}{BASE}{path}?{urlencode(query)}"
