"""Sensitive exports that a service of IMS builds: announced, handed over, given up (domain J10). Never read back."""

from __future__ import annotations

from functools import partial

from sqlalchemy import select

from authsvc.accounts.models import Account, Membership
from authsvc.api import reach
from authsvc.api.export_schemas import ExportAct, ExportAnswer, GivenUp, NewExport, Upload
from authsvc.api.operation import BASE, Asked, Call, Created, Operation, Refused
from authsvc.audit import Event
from authsvc.exports import handover
from authsvc.exports.handover import Announced
from authsvc.exports.life import TooMany, find
from authsvc.exports.models import Export, Reason
from authsvc.exports.transfer import Arrival

#: What every announced type may be sent as.
BYTES = "application/octet-stream"
#: What the schema lets through and the use case does not take.
WRONG = {
    handover.Refused.BAD_NAME: "name: must be one line with something on it.",
    handover.Refused.BAD_SCOPE: "scope: must be one line.",
    handover.Refused.BAD_MEDIA_TYPE: "media_type: must be a type such as text/csv.",
    handover.Refused.BAD_SIZE: "size: must be a number of bytes.",
    handover.Refused.BAD_DIGEST: "sha256: must be 64 hex characters.",
    handover.Refused.TOO_LARGE: "size: is more than a file may have here.",
}
#: status, name, what it means.
ARRIVED = {
    Arrival.OVER: (409, "export-over", "The export has ended, or a later transfer of it has begun."),
    Arrival.NO_ACCESS: (409, "no-data-access", "They may not have it any more. The export has failed."),
    Arrival.NOT_AS_ANNOUNCED: (
        409,
        "not-as-announced",
        "The file has another digest than was announced. The export has failed; announce a new one.",
    ),
    Arrival.CUT_OFF: (400, "cut-off", "The file broke off. Nothing of it was kept. Send it again."),
    Arrival.BUSY: (503, "receiving-others", "Other files are being received. Send it again as Retry-After says."),
}


def announce(call: Call) -> Created:
    """Say that a file will come. The person has Sensitive Data Access now, and must have it still when the file is there."""
    account, said = reach.account(call, call.body.account), call.body
    made = call.s.exports.hand_overs.create_for(
        call.tx,
        client_id=call.caller.client_id,
        account_id=account.id,
        user_id=said.person,
        announced=Announced(said.name, said.scope, said.media_type, said.size, said.sha256),
    )
    if isinstance(made, Export):
        answer = shown(call, made)
        return Created(answer, f"{BASE}/exports/{answer.id}")
    if isinstance(made, handover.Refused) and made is not handover.Refused.NO_ACCESS:
        raise Refused(400, WRONG[made])
    raise _no_place(call, account, made)


def receive(asked: Asked) -> None:
    """Take the file, before the transaction of the answer: it may take minutes. Raises: Refused."""
    upload: Upload = asked.body
    with asked.s.database.transaction(read_only=True) as tx:
        export = _export(Call(asked.s, asked.caller, asked.ids, asked.query, None, tx=tx))
    if not export.is_open:
        raise Refused(409, "The export has ended. A file is handed over once.", name="export-over")
    if upload.size is None:
        raise Refused(400, "Content-Length is needed.", name="length-required")
    if upload.size != export.expected_size:
        raise Refused(400, f"The file must have the {export.expected_size} bytes announced.", name="wrong-length")
    if upload.media_type not in (export.media_type, BYTES):
        raise Refused(415, f"Send Content-Type: {export.media_type}, as announced.", title="It is of another type")
    arrival = asked.s.transfers.receive(asked.caller.client_id, export.id, size=upload.size, read=upload.read)
    if arrival is not Arrival.READY:
        status, name, detail = ARRIVED[arrival]
        raise Refused(status, detail, name=name)


def show(call: Call) -> ExportAnswer:
    """As it is now."""
    return shown(call, _export(call))


def give_up(call: Call) -> ExportAct:
    """There will be no file; the person is told."""
    export = _export(call)
    changed = call.s.exports.hand_overs.fail(call.tx, export, Reason(call.body.reason))
    return ExportAct(changed=changed, export=shown(call, export))


def shown(call: Call, export: Export) -> ExportAnswer:
    """An export as it is told."""
    return ExportAnswer(
        id=export.id,
        account=export.membership.account.slug,
        person=export.user_id,
        name=export.name,
        scope=export.scope,
        media_type=export.media_type,
        size=export.expected_size or 0,
        sha256=export.expected_sha256 or "",
        status="processing" if export.is_open else export.status,  # type: ignore[arg-type]  # the table's own check
        reason=export.reason,
        requested_at=export.requested_at,
        finished_at=export.finished_at,
        expires_at=export.expires_at,
        page=f"{call.s.settings.issuer}/profile/exports",
    )


def _export(call: Call) -> Export:
    """One that this very client announced, in an account that it may (still) touch. Raises: Refused."""
    export = find(call.tx, reach.row_id(call, "export_id"))
    if export is None:
        raise Refused(404)
    if export.client_id != call.caller.client_id or not reach.may_touch(call, export.membership.account):
        raise Refused(404, foreign="export")
    return export


def _no_place(call: Call, account: Account, why: handover.Refused | TooMany) -> Refused:
    """Nobody there, without access, or too many of them: the trail has it (TN-10)."""
    of_person = select(Membership.id).where(Membership.account_id == account.id, Membership.user_id == call.body.person)
    if call.tx.scalars(of_person.limit(1)).one_or_none() is None:
        return Refused(404, "This account has nobody of this id.", name="person-unknown")
    is_full = isinstance(why, TooMany)
    call.s.audit.record(
        call.tx,
        Event.EXPORT_REFUSED,
        client_id=call.caller.client_id,
        account_id=account.id,
        user_id=call.body.person,
        name=call.body.name,
        reason="too_many" if is_full else "no_access",
    )
    if not isinstance(why, TooMany):
        return Refused(
            403,
            "They may not have sensitive exports now: no Sensitive Data Access, inactive, or a password just reset.",
            name="no-data-access",
        )
    wait = (why.until - call.s.clock.now()).total_seconds() if why.until else 60
    return Refused(429, "They have as many exports as they may have at a time.", retry_after_s=max(1, round(wait)))


_one = partial(Operation, scope="exports.write", refusals=frozenset({404}))

OPERATIONS = (
    Operation(
        "announceExport",
        "POST",
        f"{BASE}/exports",
        "exports.write",
        "Announce a file for one person, who sees it as processing now",
        announce,
        ExportAnswer,
        body=NewExport,
        creates=True,
        refusals=frozenset({404}),
    ),
    _one(
        "getExport",
        method="GET",
        path=f"{BASE}/exports/{{export_id}}",
        summary="What became of an export that this client announced",
        act=show,
        answer=ExportAnswer,
    ),
    Operation(
        "handOverFile",
        "PUT",
        f"{BASE}/exports/{{export_id}}/file",
        "exports.write",
        "Hand the file over, as a whole: with it the export is ready, or has failed",
        show,
        ExportAnswer,
        takes_file=True,
        before=receive,
        refusals=frozenset({404, 409}),
    ),
    _one(
        "giveUpExport",
        method="POST",
        path=f"{BASE}/exports/{{export_id}}/fail",
        summary="Say that there will be no file",
        act=give_up,
        answer=ExportAct,
        body=GivenUp,
    ),
)
