"""What goes in and out. What is not named here is refused on the way in and never told on the way out (TN-03, RC-12)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from authsvc.audit.events import Event
from authsvc.sessions import levels

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def _plain(value: str) -> str:
    if not value.isprintable():
        raise ValueError("has a character that cannot be shown")
    return value


Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]
RowId = Annotated[str, Field(pattern=r"^[0-9a-zA-Z]{32}$")]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,63}$")]
Acr = Literal[levels.ORDER]  # type: ignore[valid-type]  # a tuple of literals
Instant = Annotated[AwareDatetime, Field(ge=EARLIEST, le=LATEST)]


class Query(BaseModel):
    """A query: the base takes no parameter at all."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Paged(Query):
    """Of lists. `cursor` is taken from the `next` of the page before."""

    limit: int = Field(50, ge=1, le=200)
    cursor: Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]{1,64}$")] | None = None


class MembersQuery(Paged):
    """Whose team."""

    account: Slug | None = None


class OfMember(Query):
    """Which member's."""

    member: RowId


class ExplainQuery(Query):
    """What a service would ask for."""

    acr: Acr | None = None


class AuditQuery(Paged):
    """The filter; each narrows."""

    cursor: Annotated[str, Field(pattern=r"^[0-9]{1,18}$")] | None = None
    account: Slug | None = None
    person: RowId | None = None
    kind: Literal[tuple(event.value for event in Event)] | None = None  # type: ignore[valid-type]  # the catalogue
    since: Instant | None = Field(None, alias="from")
    until: Instant | None = Field(None, alias="to")


class Body(BaseModel):
    """A body: the base is an empty object, or nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NewMember(Body):
    """A person to be put into a team."""

    account: Slug
    name: Text
    email: Annotated[str, Field(min_length=3, max_length=320), AfterValidator(_plain)]
    role: Literal["member", "admin", "crm_only", "kpi_only", "project_only"]
    #: Mail the invitation now.
    invite: bool = True


class NewClient(Body):
    """A client: what it says of itself in the names of RFC 7591, and what IMS alone decides."""

    client_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]{1,64}$")] | None = None
    metadata: dict[str, Any] = Field(max_length=60)
    first_party: bool = True
    minimum_acr: Acr | None = None
    resources: Annotated[list[Text], Field(max_length=50)] | None = None


class ChangedClient(Body):
    """What shall be otherwise; of `metadata` the fields that change, null for what shall go (RFC 7396)."""

    metadata: dict[str, Any] = Field(default={}, max_length=60)
    first_party: bool | None = None
    minimum_acr: Acr | None = None
    resources: Annotated[list[Text], Field(max_length=50)] | None = None


class Rotation(Body):
    """For how long the old secret does as well."""

    overlap_hours: int = Field(0, ge=0, le=720)


class Answer(BaseModel):
    """Whatever is told."""

    model_config = ConfigDict(frozen=True)


class AccountAnswer(Answer):
    """An account."""

    id: str
    slug: str
    name: str
    portal_url: str
    time_zone: str
    permission_model: Literal["functionality", "role"]
    created_at: datetime
    closed_at: datetime | None


class Switch(Answer):
    """An account's switch of Multi-Factor Authentication for one audience."""

    audience: Literal["team", "investors"]
    enabled: bool
    methods: list[str]
    remember_device: bool


class TeamCounts(Answer):
    """How many there are. `unverified`: of the active ones."""

    active: int
    unverified: int
    waiting: int
    inactive: int


class AccountDetail(AccountAnswer):
    """An account with its switches, and its team in numbers."""

    mfa: list[Switch]
    team: TeamCounts


class Accounts(Answer):
    """A page of accounts, by slug. `next`: the address of the following one."""

    items: list[AccountAnswer]
    next: str | None


class Invitation(Answer):
    """The open one."""

    sent_at: datetime
    expires_at: datetime


class MemberAnswer(Answer):
    """A Team Member. Of somebody who has not accepted yet it says what whoever added them knows (security.md RC-09)."""

    id: str
    account: str
    state: Literal["active", "waiting", "inactive"]
    name: str
    email: str
    role: str
    sensitive_data_access: bool
    kpi_access: bool
    view_only: bool
    #: The person: the `sub` of their tokens. Null, like the next three, until they have accepted.
    person: str | None
    email_verified: bool | None
    phone_ending: str | None
    last_sign_in_at: datetime | None
    invitation: Invitation | None
    created_at: datetime


class DataAccessRequestAnswer(Answer):
    """What waits for a second operator. `requested_by`: the first one."""

    id: str
    member: str
    requested_by: str
    expires_at: datetime


class MemberDetail(MemberAnswer):
    """A Team Member, and what waits for them."""

    data_access_requests: list[DataAccessRequestAnswer]


class Members(Answer):
    """A page of Team Members, by id."""

    items: list[MemberAnswer]
    next: str | None


class Act(Answer):
    """What became of an act: the member as they are now. `changed` False: it was so before, nothing was done or mailed.

    `until`: until when the same act waits, or what was begun is good.
    """

    changed: bool
    member: MemberAnswer
    until: datetime | None = None


class Asking(Answer):
    """The first of two acts. `request` is null where the person has Sensitive Data Access already."""

    changed: bool
    request: DataAccessRequestAnswer | None


class Reason(Answer):
    """One rule, its answer, and who decides it."""

    rule: str
    answer: str
    decided_by: str


class Explanation(Answer):
    """What a sign-in of this member would require now."""

    audience: str
    may_sign_in: bool
    code_required: bool
    methods: list[str]
    remembered_device_may_stand_in: bool
    may_be_remembered: bool
    reasons: list[Reason]


class DeviceAnswer(Answer):
    """A remembered device."""

    id: str
    browser: str
    remembered_at: datetime
    last_used_at: datetime | None
    expires_at: datetime


class Devices(Answer):
    """The member's remembered devices, the newest first."""

    items: list[DeviceAnswer]


class SessionAnswer(Answer):
    """A signed-in browser. `id` is the `sid` of its tokens."""

    id: str
    browser: str
    acr: str
    amr: list[str]
    auth_time: datetime
    last_seen_at: datetime
    expires_at: datetime


class SessionList(Answer):
    """Where the member is signed in, lately used ones first."""

    items: list[SessionAnswer]


class Happening(Answer):
    """One row of the audit trail."""

    id: int
    at: datetime
    kind: str
    account: str | None
    person: str | None
    session: str | None
    client: str | None
    operator: str
    remote_address: str
    user_agent: str
    request_id: str
    fields: dict[str, Any]


class Trail(Answer):
    """A page of the trail, the newest first."""

    items: list[Happening]
    next: str | None


class ClientAnswer(Answer):
    """A client: everything but secrets."""

    client_id: str
    metadata: dict[str, Any]
    first_party: bool
    minimum_acr: str | None
    resources: list[str] | None
    accounts: list[str] | None
    registered_itself: bool
    has_secret: bool
    previous_secret_until: datetime | None
    created_at: datetime
    deactivated_at: datetime | None


class Clients(Answer):
    """A page of clients, by client_id."""

    items: list[ClientAnswer]
    next: str | None


class ClientIssued(Answer):
    """A client as it is now. `client_secret` is shown this once, and only where it is new."""

    changed: bool
    client: ClientAnswer
    client_secret: str | None = None


class ProblemField(Answer):
    """What is wrong with one field; never with its value."""

    field: str
    text: str


class Problem(Answer):
    """RFC 9457. `instance` is the reference of this request in the log and the audit trail."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[ProblemField] | None = None
