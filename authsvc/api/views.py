"""The account API over HTTP: who calls, may they, is it well-formed, then the operation in one transaction."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Blueprint, request
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wrappers import Response

from authsvc.api import document
from authsvc.api.export_schemas import Upload
from authsvc.api.operation import Asked, Call, Created, Operation, Refused, operator_of
from authsvc.api.operations import OPERATIONS
from authsvc.audit import Event
from authsvc.exports.transfer import CutOff
from authsvc.web import api_problems, facts
from authsvc.web.context import services

if TYPE_CHECKING:
    from authsvc.oauth.callers import Caller

bp = Blueprint("api", __name__)

#: Longer than any token of ours; what is longer is none.
LONGEST_TOKEN = 16_384
#: A file of which so long nothing comes has broken off: a client that fell silent must not keep a thread.
SILENCE_S = 30.0


def perform(operation: Operation, **ids: str) -> Response:
    """Answer one call."""
    caller = _caller(operation)
    if isinstance(caller, Response):
        return caller
    if caller.person is None:
        facts.remember(replace(facts.current(), operator=operator_of(caller.client_id)))
    try:
        asked = Asked(services(), caller, ids, _query(operation), _body(operation))
    except ValidationError as exc:
        return api_problems.answer(400, errors=_fields(exc))
    except Refused as exc:
        return _refusal(exc, caller)
    try:
        answer = _perform(operation, asked)
    except IntegrityError:
        return api_problems.answer(409, "Somebody did the same at this moment. Nothing was changed here. Try again.")
    return _refusal(answer, caller) if isinstance(answer, Refused) else _told(answer)


def _perform(operation: Operation, asked: Asked) -> BaseModel | Created | Refused | None:
    """What came of it. A refusal commits: what was counted on the way to it stays counted."""
    s = asked.s
    try:
        prepared = operation.before(asked) if operation.before is not None else None
    except Refused as exc:
        return exc
    with s.database.transaction(read_only=operation.reads_only) as tx:
        call = Call(s, asked.caller, asked.ids, asked.query, asked.body, tx=tx, prepared=prepared)
        try:
            return operation.act(call)
        except Refused as exc:
            return exc


def _caller(operation: Operation) -> Caller | Response:
    """Who calls, if the token is good for this operation (RFC 6750 3)."""
    s = services()
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        return api_problems.answer(401, headers=_challenge())
    caller = None
    if len(token) <= LONGEST_TOKEN:
        with s.database.transaction(read_only=True) as tx:
            caller = s.callers.of(tx, token)
    if caller is None:
        return _wrong_token()
    if (why := _why_not(operation, caller)) is not None:
        with s.database.transaction() as tx:
            s.audit.record(tx, Event.ACCESS_REFUSED, **_about(caller), what=operation.name)
        return api_problems.answer(403, **why)
    # A portal asks for all its people: each has a window of their own.
    who = f"{caller.client_id} {caller.person.membership_id}" if caller.person else caller.client_id
    if not s.windows.admit("token_per_client", f"api {who}"):
        return api_problems.answer(429, headers={"Retry-After": "1"})
    return caller


def _why_not(operation: Operation, caller: Caller) -> dict[str, Any] | None:
    """Why a good token will not do for this operation, as the problem says it; None when it will."""
    if not caller.first_party:
        return {"detail": "This API is for clients of IMS alone.", "name": "third-party"}
    if operation.scope not in caller.scopes:
        return {
            "detail": f"The token, or the client's registration, lacks the scope {operation.scope}.",
            "name": "insufficient-scope",
            "headers": _challenge(error="insufficient_scope", scope=operation.scope),
        }
    if operation.of_person and caller.person is None:
        return {"detail": "The token is a client's own. This operation takes a person's.", "name": "no-person"}
    if not operation.of_person and caller.person is not None:
        return {
            "detail": "The token is a person's. This operation takes a client's own (client_credentials).",
            "name": "no-machine",
        }
    if caller.person and caller.accounts is not None and caller.person.account_slug not in caller.accounts:
        return {"detail": "This client may not touch the account of this person.", "name": "accounts-limited"}
    return None


def _about(caller: Caller) -> dict[str, str]:
    """Whose call it was, for the trail."""
    of = {} if caller.person is None else {"user_id": caller.person.user_id, "account_id": caller.person.account_id}
    return {"client_id": caller.client_id, **of}


def _wrong_token() -> Response:
    """401, and a row of the trail; from one address not more often than wrong secrets. A good token is never held up."""
    s, about = services(), f"{request.remote_addr} api"
    if not s.windows.has_room("client_auth_failures", about):
        return api_problems.answer(429, headers={"Retry-After": "60"})
    s.windows.admit("client_auth_failures", about)
    with s.database.transaction() as tx:
        s.audit.record(tx, Event.CLIENT_REFUSED, reason="wrong_token", endpoint="api")
    return api_problems.answer(
        401,
        "The token is not ours, not for this service, expired, revoked, or its client has ended.",
        name="invalid-token",
        headers=_challenge(error="invalid_token"),
    )


def _challenge(**parameters: str) -> dict[str, str]:
    said = {"realm": services().settings.issuer, **parameters}
    return {"WWW-Authenticate": "Bearer " + ", ".join(f'{name}="{value}"' for name, value in said.items())}


def _query(operation: Operation) -> BaseModel:
    """The parameters. Raises: ValidationError; Refused for one that is there twice, for it might mean either."""
    given = request.args.to_dict(flat=False)
    if any(len(values) > 1 for values in given.values()):
        raise Refused(400, "A parameter is there more than once.")
    return operation.query.model_validate({name: values[0] for name, values in given.items()})


def _body(operation: Operation) -> BaseModel | Upload | None:
    """The body. Raises: ValidationError, Refused."""
    if operation.takes_file:
        return _upload()
    data = request.get_data(cache=False)
    if operation.body is None:
        if data:
            raise Refused(400, "This operation takes no body.")
        return None
    if not data:
        return operation.body.model_validate({})
    if request.mimetype != "application/json":
        raise Refused(415)
    try:
        return operation.body.model_validate_json(data)
    except ValidationError:
        raise
    except (ValueError, RecursionError) as exc:  # a number of thousands of digits
        raise Refused(400, "The body is no JSON that can be read.") from exc


def _upload() -> Upload:
    """A file that comes in, unread. Its length is held against what was announced, so here alone the common limit is lifted."""
    request.max_content_length = request.content_length
    if (sock := request.environ.get("gunicorn.socket")) is not None:
        sock.settimeout(SILENCE_S)

    def read(size: int) -> bytes:
        try:
            return request.stream.read(size)
        except (ClientDisconnected, OSError) as exc:
            raise CutOff from exc

    return Upload(request.content_length, request.mimetype, read)


def _fields(error: ValidationError) -> list[dict[str, str]]:
    """Each mistake by the name of the field; a name that we do not know is not repeated."""
    found = []
    for one in error.errors(include_input=False, include_url=False, include_context=False):
        place = one["loc"][:-1] if one["type"] == "extra_forbidden" else one["loc"]
        text = "has a field that is not known here" if one["type"] == "extra_forbidden" else str(one["msg"])
        found.append({"field": ".".join(map(str, place))[:100], "text": text.removeprefix("Value error, ")})
    return found[:20]


def _refusal(refused: Refused, caller: Caller) -> Response:
    if refused.foreign is not None:
        s = services()
        with s.database.transaction() as tx:
            s.audit.record(tx, Event.ACCESS_REFUSED, **_about(caller), what=refused.foreign)
    headers = {} if refused.retry_after_s is None else {"Retry-After": str(refused.retry_after_s)}
    return api_problems.answer(refused.status, refused.detail, name=refused.name, title=refused.title, headers=headers)


def _told(answer: BaseModel | Created | None) -> Response:
    if answer is None:
        return Response(status=204)
    if isinstance(answer, Created):
        response = _told(answer.answer)
        response.status_code = 201
        response.headers["Location"] = services().settings.issuer + answer.location
        return response
    return Response(answer.model_dump_json(by_alias=True), 200, mimetype="application/json")


@bp.get("/api/openapi.json", provide_automatic_options=False)
def openapi() -> Response:
    """The document (OpenAPI 3.1), for anybody."""
    text = document.as_json(services().settings.issuer)
    return Response(text, 200, {"Cache-Control": "public, max-age=300"}, mimetype="application/json")


for _operation in OPERATIONS:
    bp.add_url_rule(
        _operation.path.replace("{", "<").replace("}", ">"),
        endpoint=_operation.name,
        view_func=partial(perform, _operation),
        methods=[_operation.method],
        provide_automatic_options=False,
    )
