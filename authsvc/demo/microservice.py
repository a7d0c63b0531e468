"""A sample resource server: it trusts no session and asks nobody; the access token and the issuer's keys are enough.

What leaves the portal as a file it hands over to the sign-in service (export_desk.py), where its person alone downloads it.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from typing import Any

from flask import Flask, Response, g, jsonify

from authsvc.demo.calls import Unreachable, over_network
from authsvc.demo.export_desk import ExportDesk, NotTaken
from authsvc.demo.places import Places, Sample, url_of
from authsvc.demo.sites import serve
from authsvc.resource_server import Claims, Requirement, TokenVerifier
from authsvc.resource_server.flask import protect

#: Anybody the portal may act for.
READING = Requirement(scope="investors.read")
#: A code entered within the last 15 minutes; a remembered device will not do, for nobody entered anything.
SENSITIVE = Requirement(scope="investors.read", acr="urn:ims:acr:two-step", mfa_within_s=900)

INVESTORS = {
    "northgate": (
        {
            "name": "Halloran Family Trust",
            "committed": 2_500_000,
            "bank": "Lakeshore Savings",
            "account": "000123454417",
        },
        {
            "name": "Meridian Pension Fund",
            "committed": 12_000_000,
            "bank": "First Prairie Bank",
            "account": "000987651208",
        },
        {"name": "A. Okafor", "committed": 350_000, "bank": "Harborview Credit Union", "account": "000555120093"},
    )
}


def create_app(verify: TokenVerifier, desk: ExportDesk) -> Flask:
    """The service. It answers with the data of the account in the token, and with no other."""
    app = Flask("authsvc.demo.microservice", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has it

    @app.get("/")
    def about() -> Response:
        return jsonify(
            what="A sample microservice. It wants an access token of the sign-in service.",
            paths=["/investors", "/investors/bank-details", "/investors/bank-details/exports"],
        )

    @app.get("/healthz")
    def health() -> Response:
        return Response("ok\n", mimetype="text/plain")

    @app.get("/investors")
    @protect(verify, READING)
    def investors() -> Response:
        return _answer(g.token_claims, "name", "committed")

    @app.get("/investors/bank-details")
    @protect(verify, SENSITIVE)
    def bank_details() -> Response:
        return _answer(g.token_claims, "name", "bank", "account")

    @app.post("/investors/bank-details/exports")
    @protect(verify, SENSITIVE)
    def export_bank_details() -> tuple[Response, int]:
        """The whole table as a file; whether this person may have it is the sign-in service's to say."""
        claims: Claims = g.token_claims
        slug = claims.account.slug if claims.account else ""
        done = desk.hand_over(
            _csv(INVESTORS.get(slug, ()), "name", "bank", "account"),
            account=slug,
            person=claims.sub,
            name="Investor bank details",
            scope="All investors",
            media_type="text/csv",
        )
        if isinstance(done, NotTaken):
            return jsonify(error="not_exported", error_description=done.why), done.status
        return jsonify(name="Investor bank details", page=done.page), 202

    @app.errorhandler(Unreachable)
    def desk_is_away(_error: Unreachable) -> tuple[Response, int]:
        return jsonify(error="unavailable", error_description="Exports are unavailable at the moment."), 503

    return app


def _csv(rows: Iterable[dict[str, Any]], *columns: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(column.capitalize() for column in columns)
    # What a spreadsheet would take for a formula is text here (security.md TN-09).
    writer.writerows([f"'{v}" if str(v)[:1] in "=+-@\t\r" else v for v in map(row.get, columns)] for row in rows)
    return text.getvalue().encode()


def _answer(claims: Claims, *columns: str) -> Response:
    slug = claims.account.slug if claims.account else ""
    rows: list[dict[str, Any]] = [{column: row[column] for column in columns} for row in INVESTORS.get(slug, ())]
    response = jsonify(account=slug, token_said={"acr": claims.acr, "amr": list(claims.amr)}, investors=rows)
    response.headers["Cache-Control"] = "no-store"
    return response


def main() -> None:
    """Serve it where the demonstration says."""
    places = Places.read(os.environ)
    verify = TokenVerifier(issuer=url_of(places.sign_in), audience=Sample.read().audience)
    desk = ExportDesk(url_of(places.sign_in), os.environ["INVESTORS_SECRET"], over_network())
    serve(create_app(verify, desk), places.microservice)


if __name__ == "__main__":
    main()
