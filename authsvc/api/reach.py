"""What a caller may touch: the accounts in its row filter every query (security.md TN-13).

Whatever belongs to another account is not found, like what is not there; the trail tells the two apart (TN-01, TN-02).
"""

from __future__ import annotations

from typing import NoReturn

from sqlalchemy import Select, select

from authsvc.accounts import team
from authsvc.accounts.models import Account, Membership
from authsvc.accounts.queries import account_by_slug
from authsvc.api.operation import Asked, Call, Refused
from authsvc.crypto.tokens import is_id


def may_touch(asked: Asked, account: Account) -> bool:
    """Whether this account is in the caller's row."""
    return asked.caller.accounts is None or account.slug in asked.caller.accounts


def accounts_within(asked: Asked) -> Select[Account]:
    """The accounts that the caller may touch."""
    found = select(Account)
    return found if asked.caller.accounts is None else found.where(Account.slug.in_(asked.caller.accounts))


def account(call: Call, slug: str) -> Account:
    """The account. Raises: Refused."""
    found = account_by_slug(call.tx, slug)
    return found if found is not None and _reached(call, found, "account") else _nothing()


def member(call: Call, membership_id: str) -> Membership:
    """The Team Member. Raises: Refused."""
    found = team.anywhere(call.tx, membership_id)
    return found if found is not None and _reached(call, found.account, "member") else _nothing()


def membership_of(call: Call, membership_id: str, *, kind: str) -> Membership:
    """The membership that a row of this kind belongs to, whichever its audience. Raises: Refused."""
    found = call.tx.get(Membership, membership_id)
    return found if found is not None and _reached(call, found.account, kind) else _nothing()


def row_id(call: Call, name: str) -> str:
    """The id in the path, if it can be one: a path may hold anything. Raises: Refused."""
    return call.ids[name] if is_id(call.ids[name]) else _nothing()


def every_account(asked: Asked) -> None:
    """Go on only if the caller is bound to no account: clients belong to none. Raises: Refused."""
    if asked.caller.accounts is not None:
        raise Refused(
            403, "Clients belong to no account, and this client may touch some accounts alone.", name="accounts-limited"
        )


def _reached(call: Call, found: Account, kind: str) -> bool:
    if not may_touch(call, found):
        raise Refused(404, foreign=kind)
    return True


def _nothing() -> NoReturn:
    raise Refused(404)
