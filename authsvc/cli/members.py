"""`authsvc member`: what support does for one person (domain D12, D18). The operator in the trail is the OS user."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from authsvc.account_settings import data_access
from authsvc.account_settings.acting import SUPPORT, Outcome, Result
from authsvc.accounts import team
from authsvc.accounts.models import Account, Audience, Membership
from authsvc.accounts.queries import account_by_slug, user_by_email
from authsvc.accounts.team import Part
from authsvc.cli.context import LazyServices
from authsvc.web import facts

WHY_NOT = {
    Outcome.ALREADY: "Nothing to do: it is so already.",
    Outcome.NOT_FOUND: "There is no such request, or it was withdrawn. `authsvc member show` lists what waits.",
    Outcome.SAME_OPERATOR: "You made this request yourself. Another operator must approve it.",
    Outcome.EXPIRED: "The request has expired. Make a new one with `authsvc member request-data-access`.",
    Outcome.NOT_JOINED: "They have not accepted their invitation yet.",
    Outcome.INACTIVE: "They are inactive. `authsvc member reactivate` lets them in again.",
    Outcome.OTHER_MODEL: "This account uses roles: one of its Super Admins changes Sensitive Data Access.",
    Outcome.LAST_SUPER_ADMIN: "They are the account's only Super Admin. Make another one first.",
}
#: As in `tail`: more than a screen is asked for with --json.
MANY = 10_000


@dataclass(frozen=True)
class Report:
    """Says what came of it: a sentence, or one JSON object."""

    as_json: bool

    def say(self, sentence: str, **facts_of_it: Any) -> None:
        """Success."""
        click.echo(json.dumps({"outcome": "done", **facts_of_it}) if self.as_json else sentence)

    def refuse(self, outcome: Outcome) -> NoReturn:
        """What was not done, on stderr; exit status 1."""
        if self.as_json:
            click.echo(json.dumps({"outcome": outcome.value}))
        click.echo(WHY_NOT.get(outcome, f"Refused: {outcome.value}."), err=True)
        sys.exit(1)

    def close(self, result: Result, sentence: str, **facts_of_it: Any) -> None:
        """Either of them. What is so already is a success: a command may be repeated."""
        if not result.is_done:
            self.refuse(result.outcome)
        if result.outcome is Outcome.ALREADY:
            sentence = WHY_NOT[Outcome.ALREADY]
        if self.as_json:
            facts_of_it["changed"] = result.outcome is Outcome.DONE
        self.say(sentence, **facts_of_it)


def _named(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="The result as one JSON object."),
        click.option("--email", required=True, help="The person's address."),
        click.option("--account", "slug", required=True, help="The account's slug."),
    ):
        command = option(command)
    return command


@click.group()
def member() -> None:
    """Look at the people of an account, and help one who is locked out."""


@member.command("list")
@click.option("--account", "slug", required=True, help="The account's slug.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_command(needs: LazyServices, slug: str, as_json: bool) -> None:
    """The team: active, waiting, inactive."""
    with needs.services.database.transaction(read_only=True) as tx:
        account = find_account(tx, slug)
        people = [one for part in Part for one in team.members(tx, account.id, part, limit=MANY)]
        for one in people:
            shown = _shown(one)
            if as_json:
                click.echo(json.dumps(shown))
            else:
                click.echo(
                    f"{shown['state']:<9} {shown['role']:<13} {'data access' if shown['data_access'] else '':<12}"
                    f"{'' if shown['email_verified'] else 'NOT VERIFIED':<13}{shown['email']}"
                )


@member.command()
@_named
@click.pass_obj
def show(needs: LazyServices, slug: str, email: str, as_json: bool) -> None:
    """One person: state, role, what they have, what waits."""
    s = needs.services
    with s.database.transaction(read_only=True) as tx:
        one = find_member(tx, slug, email)
        shown = _shown(one)
        waiting = data_access.waiting_requests(tx, one.id, now=s.clock.now())
        requests = [
            {"id": row.id, "requested_by": row.requested_by, "expires_at": row.expires_at.isoformat()}
            for row in waiting
        ]
    if as_json:
        click.echo(json.dumps({**shown, "data_access_requests": requests}))
        return
    for name, value in shown.items():
        click.echo(f"{name.replace('_', ' '):<16} {_words(value)}")
    for row in requests:
        click.echo(
            f"{'waits':<16} data access, asked for by {row['requested_by']}: {row['id']}, until {row['expires_at']}"
        )


@member.command("request-data-access")
@_named
@click.pass_obj
def request_data_access(needs: LazyServices, slug: str, email: str, as_json: bool) -> None:
    """First act: ask for Sensitive Data Access on somebody's behalf. Another operator approves it."""
    report, operator = Report(as_json), facts.current().operator
    with needs.services.database.transaction() as tx:
        result = needs.services.data_access.request(tx, find_member(tx, slug, email), operator=operator)
    if not result.is_done:
        report.refuse(result.outcome)
    until = result.until.isoformat() if result.until else None
    if result.made is None:
        report.say("Nothing to do: they have Sensitive Data Access already.", changed=False)
    elif result.outcome is Outcome.ALREADY:
        report.say(
            f"It was asked for before. Another operator runs: authsvc member approve-data-access {result.made}",
            id=result.made,
            expires_at=until,
            changed=False,
        )
    else:
        report.say(
            f"Asked for, until {until}. Another operator runs: authsvc member approve-data-access {result.made}",
            id=result.made,
            expires_at=until,
            changed=True,
        )


@member.command("approve-data-access")
@click.argument("request_id")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
@click.pass_obj
def approve_data_access(needs: LazyServices, request_id: str, as_json: bool) -> None:
    """Second act, by another operator: grant it. The person and everybody who has it are told by mail."""
    with needs.services.database.transaction() as tx:
        result = needs.services.data_access.approve(tx, request_id, operator=facts.current().operator)
    Report(as_json).close(result, "Granted. The person and everybody who has it are told by mail.", id=result.made)


@member.command("remove-data-access")
@_named
@click.pass_obj
def remove_data_access(needs: LazyServices, slug: str, email: str, as_json: bool) -> None:
    """Take Sensitive Data Access away, and end requests for it. It holds at the next request."""
    with needs.services.database.transaction() as tx:
        result = needs.services.data_access.remove(tx, find_member(tx, slug, email))
    Report(as_json).close(result, "Removed. It holds from their next request on.")


@member.command("reset-mfa")
@_named
@click.pass_obj
def reset_mfa(needs: LazyServices, slug: str, email: str, as_json: bool) -> None:
    """Remove phone, authenticator app, recovery codes and remembered devices; never the address. The person is told."""
    with needs.services.database.transaction() as tx:
        result = needs.services.resets.reset_second_step(tx, find_member(tx, slug, email), actor=SUPPORT)
    Report(as_json).close(result, "Reset. They are asked for an emailed code next time, and were told by mail.")


@member.command("sign-out")
@_named
@click.pass_obj
def sign_out(needs: LazyServices, slug: str, email: str, as_json: bool) -> None:
    """End every session of this person in this account, and with them their tokens."""
    with needs.services.database.transaction() as tx:
        result = needs.services.members.sign_out_everywhere(tx, find_member(tx, slug, email), actor=SUPPORT)
    Report(as_json).close(result, f"Signed out: {result.count} sessions ended.", sessions=result.count)


@member.command()
@_named
@click.pass_obj
def deactivate(needs: LazyServices, slug: str, email: str, as_json: bool) -> None:
    """Switch a leaver inactive: signed out, forgotten, invitations they sent void."""
    with needs.services.database.transaction() as tx:
        result = needs.services.members.deactivate(tx, find_member(tx, slug, email), actor=SUPPORT)
    Report(as_json).close(result, "Inactive, and signed out.")


@member.command()
@_named
@click.pass_obj
def reactivate(needs: LazyServices, slug: str, email: str, as_json: bool) -> None:
    """Let somebody in again; everything is asked anew."""
    with needs.services.database.transaction() as tx:
        result = needs.services.members.reactivate(tx, find_member(tx, slug, email), actor=SUPPORT)
    Report(as_json).close(result, "Active again. They sign in with their password.")


def find_account(tx: Session, slug: str) -> Account:
    """The account. Ends the command with one sentence when there is none."""
    if (account := account_by_slug(tx, slug)) is None:
        raise click.ClickException("There is no account with this slug. `authsvc account list` names them all.")
    return account


def find_member(tx: Session, slug: str, email: str) -> Membership:
    """The Team Member. Ends the command with one sentence when there is none."""
    account, user = find_account(tx, slug), user_by_email(tx, email)
    found = (
        user
        and tx.scalars(
            select(Membership).where(
                Membership.user_id == user.id, Membership.account_id == account.id, Membership.audience == Audience.TEAM
            )
        ).one_or_none()
    )
    if not found:
        raise click.ClickException("Nobody of this address is in the team. `authsvc member list` names everybody.")
    return found


def _shown(one: Membership) -> dict[str, Any]:
    user = one.user
    return {
        "id": one.id,
        "email": user.email.address,
        "name": user.name,
        "state": team.part_of(one).value,
        "role": one.role,
        "data_access": one.sensitive_data_access,
        "email_verified": user.email.verified_at is not None,
        "phone_ending": user.phone.e164[-2:] if user.phone else None,
        "last_sign_in": one.last_sign_in_at.isoformat() if one.last_sign_in_at else None,
    }


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
