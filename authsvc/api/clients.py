"""Clients, over the use cases of the command line.

Nobody makes another operator here: clients that have a scope of this API are made and changed at the command line alone. Else
whoever may write clients could approve what they asked for themselves, by a second client (security.md TN-04, domain D12).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from authsvc.accounts.api_scopes import API_SCOPES
from authsvc.api import reach
from authsvc.api.operation import BASE, Asked, Call, Created, Operation, Refused, next_page
from authsvc.api.schemas import Body, ChangedClient, ClientAnswer, ClientIssued, Clients, NewClient, Paged, Rotation

if TYPE_CHECKING:
    from authsvc.oauth.client_metadata import ClientMetadata
    from authsvc.oauth.registration import ClientView

RULES = ("first_party", "minimum_acr", "resources")


@dataclass(frozen=True)
class Checked:
    """Metadata that may be registered: what lies elsewhere was looked at."""

    metadata: ClientMetadata


def list_clients(call: Call) -> Clients:
    """All of them, for they belong to no account."""
    found = call.s.registration.by_client_id(call.tx, after=call.query.cursor, limit=call.query.limit + 1)
    page = found[: call.query.limit]
    return Clients(
        items=[_shown(one) for one in page],
        next=next_page(call, "/clients", page[-1].client_id) if len(found) > len(page) else None,
    )


def show_client(call: Call) -> ClientAnswer:
    """One of them."""
    return _shown(call.s.registration.client(call.tx, call.ids["client_id"]))


def check_new(asked: Asked) -> Checked:
    """Before the transaction. Raises: Refused, MetadataRefused."""
    reach.every_account(asked)
    return _checked(asked, asked.body.metadata)


def make_client(call: Call) -> Created:
    """A new client; its secret is in the answer and nowhere else."""
    body = call.body
    made = call.s.registration.create_client(
        call.tx,
        call.prepared.metadata,
        by="operator",
        client_id=body.client_id,
        **{name: getattr(body, name) for name in RULES},
    )
    answer = ClientIssued(changed=True, client=_shown(made.client), client_secret=made.secret)
    return Created(answer, f"{BASE}/clients/{made.client.client_id}")


def check_changed(asked: Asked) -> Checked:
    """Before the transaction. Raises: Refused, MetadataRefused, NoSuchClient."""
    reach.every_account(asked)
    with asked.s.database.transaction(read_only=True) as tx:
        before = asked.s.registration.client(tx, asked.ids["client_id"])
    _no_operator(before.metadata.scope.split())
    merged = before.metadata.stored() | asked.body.metadata
    return _checked(asked, {name: value for name, value in merged.items() if value is not None})


def change_client(call: Call) -> ClientIssued:
    """What is given in the place of what was."""
    before, given = _theirs(call), call.body.model_fields_set
    client_id = before.client_id
    changed = call.s.registration.change_client(call.tx, client_id, call.prepared.metadata, by="operator")
    rules: dict[str, Any] = {name: getattr(call.body if name in given else before, name) for name in RULES}
    if rules["first_party"] is None:
        raise Refused(400, "first_party: must be true or false.")
    ruled = call.s.registration.change_rules(call.tx, client_id, accounts=before.accounts, **rules)
    return ClientIssued(
        changed=bool(changed.changed or ruled.changed), client=_shown(ruled.client), client_secret=changed.secret
    )


def rotate_secret(call: Call) -> ClientIssued:
    """A new secret; each call makes another."""
    overlap = timedelta(hours=call.body.overlap_hours)
    made = call.s.registration.rotate_secret(call.tx, _theirs(call).client_id, overlap=overlap)
    return ClientIssued(changed=True, client=_shown(made.client), client_secret=made.secret)


def deactivate_client(call: Call) -> ClientIssued:
    """Its tokens and codes end."""
    before = _theirs(call)
    if before.deactivated_at is None:
        call.s.registration.deactivate_client(call.tx, before.client_id, by="operator")
        call.tx.expire_all()
    now = call.s.registration.client(call.tx, before.client_id)
    return ClientIssued(changed=before.deactivated_at is None, client=_shown(now))


def reactivate_client(call: Call) -> ClientIssued:
    """With the secret it had; what ended stays ended."""
    before = _theirs(call)
    if before.deactivated_at is None:
        return ClientIssued(changed=False, client=_shown(before))
    return ClientIssued(changed=True, client=_shown(call.s.registration.reactivate_client(call.tx, before.client_id)))


def _theirs(call: Call) -> ClientView:
    """The client in the path, if it is one that may be changed here."""
    found = call.s.registration.client(call.tx, call.ids["client_id"])
    _no_operator(found.metadata.scope.split())
    return found


def _checked(asked: Asked, given: dict[str, Any]) -> Checked:
    metadata = asked.s.registration.read(given)
    _no_operator(metadata.scope.split())
    asked.s.registration.check_outside(metadata)
    return Checked(metadata)


def _no_operator(scopes: Iterable[str]) -> None:
    if not API_SCOPES.keys().isdisjoint(scopes):
        raise Refused(
            403,
            "Clients with a scope of this API are made and changed at the command line alone: `authsvc client`.",
            name="operators-only",
        )


def _shown(one: ClientView) -> ClientAnswer:
    told = {name: getattr(one, name) for name in ClientAnswer.model_fields if name != "metadata"}
    return ClientAnswer(**told, metadata=one.metadata.model_dump(mode="json", exclude_none=True))


_read = partial(Operation, method="GET", scope="clients.read", before=reach.every_account)
_act = partial(
    Operation,
    method="POST",
    scope="clients.write",
    answer=ClientIssued,
    body=Body,
    before=reach.every_account,
    refusals=frozenset({404, 409}),
)

OPERATIONS = (
    _read(
        "listClients",
        path=f"{BASE}/clients",
        summary="The registered clients",
        act=list_clients,
        answer=Clients,
        query=Paged,
    ),
    _act(
        "createClient",
        path=f"{BASE}/clients",
        summary="Register a client; its secret is shown this once",
        act=make_client,
        body=NewClient,
        before=check_new,
        creates=True,
        refusals=frozenset({409}),
    ),
    _read(
        "getClient",
        path=f"{BASE}/clients/{{client_id}}",
        summary="One client",
        act=show_client,
        answer=ClientAnswer,
        refusals=frozenset({404}),
    ),
    _act(
        "changeClient",
        method="PATCH",
        path=f"{BASE}/clients/{{client_id}}",
        summary="Change fields of a client",
        act=change_client,
        body=ChangedClient,
        before=check_changed,
    ),
    _act(
        "rotateClientSecret",
        path=f"{BASE}/clients/{{client_id}}/rotate-secret",
        summary="A new secret; the old one does for as long as asked",
        act=rotate_secret,
        body=Rotation,
    ),
    _act(
        "deactivateClient",
        path=f"{BASE}/clients/{{client_id}}/deactivate",
        summary="End a client and every token it was given",
        act=deactivate_client,
    ),
    _act(
        "reactivateClient",
        path=f"{BASE}/clients/{{client_id}}/reactivate",
        summary="Bring a client back with the secret it had",
        act=reactivate_client,
    ),
)
