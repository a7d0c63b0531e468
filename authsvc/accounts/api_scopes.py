"""The scopes of this service itself: what a machine, or a person through a client, may do through the account API.

They stand below oauth/ and api/, which both need them: the one lists them in discovery, the other asks for them. A client is
registered for them like for any other scope; a token for them has the issuer as its `aud`.
"""

from __future__ import annotations

#: Each with what it opens, for the API's document.
API_SCOPES = {
    "accounts.read": "See accounts and how many people they have",
    "members.read": "See Team Members, and what a sign-in would ask of them",
    "members.write": "Add, invite, deactivate and reactivate Team Members, sign them out, start resets",
    "data_access.request": "Ask for Sensitive Data Access on somebody's behalf",
    "data_access.approve": "Approve what another operator asked for, and take Sensitive Data Access away",
    "sessions.read": "See where Team Members are signed in, and their remembered devices",
    "sessions.write": "End sessions and remembered devices",
    "exports.write": "Hand over files for people with Sensitive Data Access, and see what became of them",
    "audit.read": "Read the audit trail",
    "clients.read": "See the registered clients",
    "clients.write": "Register, change and end clients that have none of these scopes",
    "notifications.write": "Add to people's notifications",
    "notifications.read": "See one's own notifications, and mark them seen",
}

#: Those that mean something in a person's token; a machine has no bell.
PERSONS_SCOPES = frozenset({"notifications.read"})
