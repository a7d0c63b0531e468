"""The closed catalogue of audit events and the fields each may carry besides the common ones.

Common to all: time, person, account, session, client, remote address, browser, request id, operator, policy hash.
Fields hold names, counts and reasons; never a code, a token, a password or a full address.
"""

from __future__ import annotations

from enum import StrEnum


class Event(StrEnum):
    """What may be recorded. The value is stored; renaming one breaks searches, so add instead."""

    ACCOUNT_CREATED = "account.created"
    ACCOUNT_CHANGED = "account.changed"
    MEMBER_CREATED = "member.created"
    MEMBER_CHANGED = "member.changed"
    MEMBER_DEACTIVATED = "member.deactivated"
    MEMBER_REACTIVATED = "member.reactivated"
    MEMBER_ROLE_CHANGED = "member.role_changed"
    MEMBER_SIGNED_OUT = "member.signed_out"
    SECOND_STEP_RESET = "member.second_step_reset"
    INVITATION_SENT = "invitation.sent"
    INVITATION_WITHDRAWN = "invitation.withdrawn"
    INVITATION_ACCEPTED = "invitation.accepted"
    DATA_ACCESS_REQUESTED = "data_access.requested"
    DATA_ACCESS_GRANTED = "data_access.granted"
    DATA_ACCESS_REMOVED = "data_access.removed"
    ACCESS_REFUSED = "access.refused"
    CLIENT_CREATED = "client.created"
    CLIENT_CHANGED = "client.changed"
    RESOURCE_SERVER_CHANGED = "resource_server.changed"
    PASSWORD_WRONG = "password.wrong"
    PASSWORD_CHANGED = "password.changed"
    PASSWORD_REHASHED = "password.rehashed"
    SIGN_IN_THROTTLED = "sign_in.throttled"
    SIGN_IN_REFUSED = "sign_in.refused"
    CODE_REQUESTED = "code.requested"
    CODE_SENT = "code.sent"
    CODE_NOT_DELIVERED = "code.not_delivered"
    CODE_WRONG = "code.wrong"
    CODE_ACCEPTED = "code.accepted"
    CODE_TRIES_EXHAUSTED = "code.tries_exhausted"
    EMAIL_VERIFIED = "email.verified"
    EMAIL_VERIFICATION_SKIPPED = "email.verification_skipped"
    PHONE_ADDED = "phone.added"
    PASSWORD_RESET_REQUESTED = "password.reset_requested"
    NOT_ME = "person.not_me"
    INVITATION_WANTED = "invitation.wanted"
    LINK_SENT = "link.sent"
    LINK_NOT_DELIVERED = "link.not_delivered"
    MFA_EMAIL_FALLBACK = "mfa.email_fallback"
    DEVICE_REMEMBERED = "device.remembered"
    DEVICE_USED = "device.used"
    DEVICE_ENDED = "device.ended"
    REMEMBERING_ENDED = "device.all_ended"
    SESSION_STARTED = "session.started"
    SESSION_ENDED = "session.ended"
    CODE_ISSUED = "authorization.code_issued"
    AUTHORIZATION_REFUSED = "authorization.refused"
    TOKEN_ISSUED = "token.issued"
    TOKEN_REFRESHED = "token.refreshed"
    CODE_REUSED = "token.code_reused"
    REFRESH_REUSED = "token.refresh_reused"
    FAMILY_REVOKED = "token.family_revoked"
    CLIENT_REFUSED = "client.authentication_failed"
    KEY_ROTATED = "key.rotated"
    KEY_WITHDRAWN = "key.withdrawn"
    KEYS_ENDED = "key.descendants_ended"
    KEYS_REHEARSED = "key.rehearsed"
    KEYS_RESEALED = "key.resealed"
    KEYS_RESTORED = "key.restored"
    RESTORE_CLEANED = "database.cleaned_after_restore"


#: The fields each event may carry; tests/house keeps call sites and this table in step.
FIELDS: dict[Event, frozenset[str]] = {
    Event.ACCOUNT_CREATED: frozenset({"slug"}),
    Event.ACCOUNT_CHANGED: frozenset({"fields"}),
    Event.MEMBER_CREATED: frozenset({"audience", "role", "by"}),
    Event.MEMBER_CHANGED: frozenset({"fields", "by"}),
    # The person of these rows is whom it was done to; `by` is the user id of whoever did it, or "support".
    Event.MEMBER_DEACTIVATED: frozenset({"by"}),
    Event.MEMBER_REACTIVATED: frozenset({"by"}),
    Event.MEMBER_ROLE_CHANGED: frozenset({"by", "before", "after"}),
    Event.MEMBER_SIGNED_OUT: frozenset({"by", "sessions"}),
    Event.SECOND_STEP_RESET: frozenset({"by"}),
    Event.INVITATION_SENT: frozenset({"by"}),
    Event.INVITATION_WITHDRAWN: frozenset({"by", "reason"}),
    Event.INVITATION_ACCEPTED: frozenset(),
    Event.DATA_ACCESS_REQUESTED: frozenset({"request_id"}),
    Event.DATA_ACCESS_GRANTED: frozenset({"by", "request_id"}),
    Event.DATA_ACCESS_REMOVED: frozenset({"by"}),
    Event.ACCESS_REFUSED: frozenset({"what"}),
    Event.CLIENT_CREATED: frozenset(),
    Event.CLIENT_CHANGED: frozenset({"fields"}),
    Event.RESOURCE_SERVER_CHANGED: frozenset({"identifier"}),
    Event.PASSWORD_WRONG: frozenset({"reason"}),
    Event.PASSWORD_CHANGED: frozenset({"by"}),
    Event.PASSWORD_REHASHED: frozenset(),
    Event.SIGN_IN_THROTTLED: frozenset({"limit"}),
    Event.SIGN_IN_REFUSED: frozenset({"reason"}),
    Event.CODE_REQUESTED: frozenset({"channel", "purpose", "resend"}),
    Event.CODE_SENT: frozenset({"channel", "purpose"}),
    Event.CODE_NOT_DELIVERED: frozenset({"channel", "purpose", "reason"}),
    Event.CODE_WRONG: frozenset({"channel", "purpose", "reason"}),
    Event.CODE_ACCEPTED: frozenset({"channel", "purpose"}),
    Event.CODE_TRIES_EXHAUSTED: frozenset({"channel", "purpose"}),
    Event.EMAIL_VERIFIED: frozenset({"by"}),
    Event.EMAIL_VERIFICATION_SKIPPED: frozenset(),
    Event.PHONE_ADDED: frozenset({"ending"}),
    Event.PASSWORD_RESET_REQUESTED: frozenset(),
    Event.NOT_ME: frozenset({"notice"}),
    Event.INVITATION_WANTED: frozenset(),
    Event.LINK_SENT: frozenset({"purpose"}),
    Event.LINK_NOT_DELIVERED: frozenset({"purpose", "reason"}),
    Event.MFA_EMAIL_FALLBACK: frozenset({"reason"}),
    Event.DEVICE_REMEMBERED: frozenset({"device_id", "until"}),
    Event.DEVICE_USED: frozenset({"device_id", "generation"}),
    Event.DEVICE_ENDED: frozenset({"device_id", "reason"}),
    Event.REMEMBERING_ENDED: frozenset({"reason", "memberships"}),
    Event.SESSION_STARTED: frozenset({"acr", "amr", "device_id", "raised_from"}),
    Event.SESSION_ENDED: frozenset({"reason"}),
    Event.CODE_ISSUED: frozenset({"scope", "acr"}),
    Event.AUTHORIZATION_REFUSED: frozenset({"error", "reason"}),
    Event.TOKEN_ISSUED: frozenset({"grant", "scope", "family_id"}),
    Event.TOKEN_REFRESHED: frozenset({"family_id", "retry"}),
    Event.CODE_REUSED: frozenset({"family_id"}),
    Event.REFRESH_REUSED: frozenset({"family_id"}),
    Event.FAMILY_REVOKED: frozenset({"family_id", "reason"}),
    Event.CLIENT_REFUSED: frozenset({"reason", "endpoint"}),
    Event.KEY_ROTATED: frozenset({"algorithm", "kid", "cause"}),
    Event.KEY_WITHDRAWN: frozenset({"algorithm", "kid", "successor"}),
    Event.KEYS_ENDED: frozenset({"kid", "sessions", "families", "clients", "devices"}),
    Event.KEYS_REHEARSED: frozenset({"algorithm", "kid", "verifiers", "accepted"}),
    Event.KEYS_RESEALED: frozenset({"resealed"}),
    Event.KEYS_RESTORED: frozenset({"keys", "lost"}),
    Event.RESTORE_CLEANED: frozenset(
        {"sessions", "families", "codes", "challenges", "attempts", "requests", "links", "devices"}
    ),
}
