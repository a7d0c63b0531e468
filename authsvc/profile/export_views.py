"""My Profile > Exports (ux.md S19, domain X1 to X4, D22 to D25): the list, asking, downloading.

An export belongs to one membership; to everybody else, admins and support among them, there is none (security.md TN-08).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from authsvc import logs
from authsvc.accounts.permissions import Permission, Refusal
from authsvc.exports import naming
from authsvc.exports.downloads import Standing
from authsvc.exports.files import FileGone
from authsvc.exports.life import TooMany
from authsvc.exports.models import Export, Kind, Reason, Status
from authsvc.exports.requests import NAMES
from authsvc.policy.values import length_in_words
from authsvc.profile import export_rows, navigation, pages
from authsvc.profile.export_rows import Row
from authsvc.profile.navigation import EXPORTS, EXPORTS_NEW, EXPORTS_ROWS
from authsvc.sessions import guards
from authsvc.sessions.guards import NotAllowed, SignInFirst, Visitor
from authsvc.web import csrf
from authsvc.web.context import services
from authsvc.web.problems import error_page
from authsvc.web.text import clock_time, day

bp = Blueprint("profile_exports", __name__, template_folder="templates")
log = logs.logger(__name__)

PAGE = 25
DONE = {
    "requested": "Your export has started. It appears here, and we’ll notify you.",
    "again": "Your export has started again.",
}
#: Where this service's own exports are asked for.
OTHERS = (
    ("Team Members", "/admin/team"),
    ("Sign-in activity", "/admin/activity"),
    ("Admin Settings", "/admin/settings"),
)
NO_ACCESS = "Exports of Sensitive Information need Data Access."


@dataclass(frozen=True)
class Listed:
    """One page of the list."""

    rows: list[Row]
    number: int
    has_more: bool

    @property
    def is_live(self) -> bool:
        """Whether something may change by itself."""
        return any(row.status == "processing" for row in self.rows)

    def url(self, number: int) -> str:
        """The address of another page."""
        return EXPORTS if number == 1 else f"{EXPORTS}?page={number}"


@bp.get(EXPORTS)
def show_exports() -> Response:
    """The list. `start`: back from signing in or from "Confirm it’s you", the download begins from here."""
    s = services()
    with guards.visitor(read_only=True) as visitor:
        lost = visitor.may(Permission.EXPORT_SENSITIVE) not in (None, Refusal.FROZEN)
        to_end = lost and s.exports.downloads.has_live(visitor.tx, visitor.membership)
        if not to_end:
            return _list(visitor)
    with guards.visitor() as visitor:
        s.exports.life.lose_all(visitor.tx, visitor.membership)
        return _list(visitor)


@bp.get(EXPORTS_ROWS)
def show_rows() -> Response:
    """The list alone, for the script that keeps it fresh."""
    with guards.visitor(read_only=True, asked_by_script=True) as visitor:
        body = render_template(
            "profile/_export_list.html",
            listed=_listed(visitor),
            portal_url=visitor.account.portal_url,
            at=navigation.AT,
            csrf_field=csrf.field(),
        )
    return Response(body, mimetype="text/html")


@bp.get(EXPORTS_NEW)
def to_request() -> Response:
    """The question before an export that this service builds, with the filters of the page it was asked for on."""
    wanted = _wanted(request.args)
    with guards.visitor(read_only=True) as visitor:
        if wanted is None:
            return error_page(404, button=("Go to Exports", EXPORTS))
        _require(visitor)
        visitor.require_recent_proof("export")
        return _question(visitor, *wanted)


@bp.post(EXPORTS_NEW)
def request_one() -> Response:
    """ "Export": the row and its job in one transaction."""
    s, wanted = services(), _wanted(request.form)
    with guards.visitor() as visitor:
        if wanted is None:
            return error_page(404, button=("Go to Exports", EXPORTS))
        kind, filters = wanted
        _require(visitor, lock=True)
        visitor.require_recent_proof("export", continue_to=_question_url(kind, filters))
        scope = s.exports.sources[kind].scope(visitor.tx, visitor.account, filters)
        result = s.exports.requests.request(visitor.tx, visitor.membership, kind, scope=scope, filters=filters)
        if isinstance(result, Refusal):
            raise NotAllowed(result, email=visitor.user.email.address)
        if isinstance(result, TooMany):
            return _too_many(visitor, result)
    return redirect(f"{EXPORTS}?done=requested", 303)


@bp.post(f"{EXPORTS}/<export_id>/again")
def again(export_id: str) -> Response:
    """ "Try again" of one that failed."""
    s = services()
    with guards.visitor() as visitor:
        export = s.exports.downloads.find(visitor.tx, visitor.membership, export_id)
        if export is None:
            return pages.not_theirs(visitor, "export")
        visitor.require(Permission.EXPORT_SENSITIVE, lock=True)
        visitor.require_recent_proof("export", continue_to=EXPORTS)
        result = s.exports.requests.again(visitor.tx, export)
        if isinstance(result, Refusal):
            raise NotAllowed(result, email=visitor.user.email.address)
        if isinstance(result, TooMany):
            return _too_many(visitor, result)
    return redirect(f"{EXPORTS}?done=again" if result else EXPORTS, 303)


@bp.get(f"{EXPORTS}/<export_id>/file")
def download(export_id: str) -> Response:
    """The file itself, from us to its owner: everything is asked anew at every click, and no address opens it (TN-08, TN-09).

    Asked twice: before the file is opened, which is no work for a transaction, and when it is and the first byte may go.
    """
    s = services()
    try:
        with guards.visitor() as visitor:
            export = _downloadable(visitor, export_id)
    except SignInFirst:
        # Back to the list, which begins the download: else the sign-in page would stand there while the file arrives.
        return redirect(f"/sign-in?{urlencode({'continue': _start_url(export_id)})}", 303)
    if isinstance(export, Response):
        return export
    if request.method == "HEAD":
        return _file(export, b"")
    try:
        chunks = s.files.read(export.file_id or "", export.sealed_key)
    except FileGone as gone:
        log.error("export.file_gone", export_id=export_id, detail=gone.detail)
        with guards.visitor() as visitor:
            damaged = s.exports.downloads.find(visitor.tx, visitor.membership, export_id)
            if damaged is not None and damaged.file_id == export.file_id:
                s.exports.life.expire(visitor.tx, damaged, Reason.FILE_GONE)
        return redirect(f"{EXPORTS}?gone={export_id}", 303)
    with guards.visitor() as visitor:
        now = _downloadable(visitor, export_id)
        if isinstance(now, Response):
            return now
        if now.file_id != export.file_id or not s.exports.downloads.begin(visitor.tx, now):
            return redirect(EXPORTS, 303)
    return _file(export, chunks)


def _downloadable(visitor: Visitor, export_id: str) -> Export | Response:
    """The export, when this visitor may download it now; else the answer."""
    s = services()
    export = s.exports.downloads.find(visitor.tx, visitor.membership, export_id)
    if export is None:
        return pages.not_theirs(visitor, "export")
    match s.exports.downloads.standing(visitor.tx, export):
        case Standing.NO_ACCESS:
            text = f"{NO_ACCESS} Ask an account admin or email support@imscre.com."
            return error_page(403, text=text, button=("Go to Exports", EXPORTS))
        case Standing.FROZEN:
            raise NotAllowed(Refusal.FROZEN, email=visitor.user.email.address)
        case Standing.EXPIRED:
            return redirect(f"{EXPORTS}?gone={export_id}", 303)
        case Standing.NO_FILE:
            return redirect(EXPORTS, 303)
    visitor.require_recent_proof("download", continue_to=_start_url(export_id))
    return export


def _file(export: Export, body: object) -> Response:
    """The answer that carries the file; nothing of it is kept by anybody in between."""
    name = naming.file_name(export.name, export.media_type, f"{export.requested_at:%Y-%m-%d}")
    is_text = export.is_ours
    response = Response(body, content_type=f"{export.media_type}; charset=utf-8" if is_text else export.media_type)  # type: ignore[arg-type]
    response.headers["Content-Disposition"] = naming.content_disposition(name)
    if export.size is not None:
        response.headers["Content-Length"] = str(export.size)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _list(visitor: Visitor, *, problem: str | None = None, status: int = 200) -> Response:
    s, listed = services(), _listed(visitor)
    why = visitor.may(Permission.EXPORT_SENSITIVE)
    flash = DONE.get(request.args.get("done", ""))
    warning, starting = None, None
    gone = s.exports.downloads.find(visitor.tx, visitor.membership, request.args.get("gone", ""))
    if gone is not None and gone.expires_at is not None and gone.status == Status.EXPIRED:
        warning = f"That file expired on {day(gone.expires_at, visitor.zone)}."
    if start := request.args.get("start"):
        ready = next((row for row in listed.rows if row.id == start and row.act == "download"), None)
        starting = ready if ready and visitor.has_recent_proof() else None
    return pages.tab(
        visitor,
        "profile/exports.html",
        EXPORTS,
        status=status,
        flash=flash,
        problem=problem,
        warning=warning,
        starting=starting,
        listed=listed,
        has_access=why in (None, Refusal.FROZEN),
        is_frozen=why is Refusal.FROZEN,
        others=OTHERS if why is None and visitor.may(Permission.ADMINISTER) is None else (),
        portal_url=visitor.account.portal_url,
        newer_url=listed.url(listed.number - 1) if listed.number > 1 else None,
        older_url=listed.url(listed.number + 1) if listed.has_more else None,
    )


def _listed(visitor: Visitor) -> Listed:
    s = services()
    number = min(max(1, request.args.get("page", 1, type=int)), 10_000)
    found = s.exports.downloads.listed(visitor.tx, visitor.membership, limit=PAGE + 1, offset=(number - 1) * PAGE)
    first = s.exports.downloads.newest_unread(visitor.tx, visitor.membership)
    may = visitor.may(Permission.EXPORT_SENSITIVE) is None
    slow_after = s.policies.exports.taking_longer
    rows = [
        export_rows.row(visitor, one, is_first=one.id == first, may=may, slow_after=slow_after) for one in found[:PAGE]
    ]
    return Listed(rows, number, len(found) > PAGE)


def _question(visitor: Visitor, kind: Kind, filters: Mapping[str, str]) -> Response:
    scope = services().exports.sources[kind].scope(visitor.tx, visitor.account, filters)
    return pages.task(
        visitor,
        "profile/export_new.html",
        name=NAMES[kind],
        scope=scope,
        fields={"export": kind.value, **filters},
        kept=length_in_words(services().policies.exports.kept),
        action=EXPORTS_NEW,
        back_url=EXPORTS,
    )


def _too_many(visitor: Visitor, full: TooMany) -> Response:
    policy = services().policies.exports
    if full.until is None:
        text = f"You have {policy.open_per_person} exports processing. Wait until one of them is ready, then try again."
    else:
        at = f"{day(full.until, visitor.zone)}, {clock_time(full.until, visitor.zone)}"
        text = f"You asked for {policy.per_day} exports within a day. You can ask for the next one on {at}."
    response = _list(visitor, problem=text, status=429)
    if full.until is not None:
        response.headers.update(pages.retry_after(full.until))
    return response


def _require(visitor: Visitor, *, lock: bool = False) -> None:
    visitor.require(Permission.ADMINISTER, lock=lock)
    visitor.require(Permission.EXPORT_SENSITIVE)


def _wanted(values: Mapping[str, str]) -> tuple[Kind, dict[str, str]] | None:
    """What is asked for, and its filters as they were chosen; None: nothing that is built here."""
    kind = next((kind for kind in NAMES if kind.value == values.get("export")), None)
    if kind is None:
        return None
    names = services().exports.sources[kind].filters
    return kind, {name: values[name][:64] for name in names if values.get(name) and values[name].isprintable()}


def _question_url(kind: Kind, filters: Mapping[str, str]) -> str:
    return f"{EXPORTS_NEW}?{urlencode({'export': kind.value, **filters})}"


def _start_url(export_id: str) -> str:
    return f"{EXPORTS}?{urlencode({'start': export_id})}"
