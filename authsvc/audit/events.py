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
    ACCOUNT_CLOSED = "account.closed"
    ACCOUNT_REOPENED = "account.reopened"
    MEMBER_CREATED = "member.created"
    MEMBER_CHANGED = "member.changed"
    MEMBER_DEACTIVATED = "member.deactivated"
    MEMBER_REACTIVATED = "member.reactivated"
    MEMBER_ROLE_CHANGED = "member.role_changed"
    MEMBER_SIGNED_OUT = "member.signed_out"
    SECOND_STEP_RESET = "member.second_step_reset"
    PASSWORD_LINK_WANTED = "member.password_link"
    INVITATION_SENT = "invitation.sent"
    INVITATION_WITHDRAWN = "invitation.withdrawn"
    INVITATION_ACCEPTED = "invitation.accepted"
    DATA_ACCESS_REQUESTED = "data_access.requested"
    DATA_ACCESS_GRANTED = "data_access.granted"
    DATA_ACCESS_REMOVED = "data_access.removed"
    ACCESS_REFUSED = "access.refused"
    CLIENT_CREATED = "client.created"
    CLIENT_CHANGED = "client.changed"
    CLIENT_SECRET_ROTATED = "client.secret_rotated"
    CLIENT_DEACTIVATED = "client.deactivated"
    CLIENT_REACTIVATED = "client.reactivated"
    REGISTRATION_OPENED = "client.initial_access_token_created"
    REGISTRATION_REFUSED = "client.registration_refused"
    LOGOUT_SENT = "logout.sent"
    LOGOUT_FAILED = "logout.failed"
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
    REMINDERS_SENT = "email.reminders_sent"
    PHONE_ADDED = "phone.added"
    LINK_SENT = "link.sent"
    LINK_NOT_DELIVERED = "link.not_delivered"
    APP_ADDED = "app.added"
    APP_REMOVED = "app.removed"
    RECOVERY_CODES_MADE = "recovery_codes.made"
    RECOVERY_CODE_USED = "recovery_code.used"
    EMAIL_CHANGE_BEGUN = "email.change_begun"
    EMAIL_CHANGE_CANCELLED = "email.change_cancelled"
    EMAIL_CHANGED = "email.changed"
    EMAIL_CHANGE_REFUSED = "email.change_refused"
    PHONE_CHANGED = "phone.changed"
    PHONE_REMOVED = "phone.removed"
    PASSWORD_RESET_REQUESTED = "password.reset_requested"
    NOT_ME = "person.not_me"
    INVITATION_WANTED = "invitation.wanted"
    MFA_EMAIL_FALLBACK = "mfa.email_fallback"
    MFA_TURNED_ON = "mfa.turned_on"
    MFA_TURNED_OFF = "mfa.turned_off"
    MFA_CHANGED = "mfa.changed"
    DEVICE_REMEMBERED = "device.remembered"
    DEVICE_USED = "device.used"
    DEVICE_ENDED = "device.ended"
    REMEMBERING_ENDED = "device.all_ended"
    SESSION_STARTED = "session.started"
    SESSION_ENDED = "session.ended"
    EVERYONE_SIGNED_OUT = "session.everyone_signed_out"
    CODE_ISSUED = "authorization.code_issued"
    AUTHORIZATION_REFUSED = "authorization.refused"
    CONSENT_GRANTED = "consent.granted"
    CONSENT_DENIED = "consent.denied"
    TOKEN_ISSUED = "token.issued"
    TOKEN_REFRESHED = "token.refreshed"
    CODE_REUSED = "token.code_reused"
    REFRESH_REUSED = "token.refresh_reused"
    FAMILY_REVOKED = "token.family_revoked"
    TOKEN_REVOKED = "token.revoked"
    DEVICE_APPROVED = "device_grant.approved"
    DEVICE_DENIED = "device_grant.denied"
    DEVICE_USER_CODE_WRONG = "device_grant.user_code_wrong"
    DEVICE_CODE_REUSED = "device_grant.code_reused"
    CLIENT_REFUSED = "client.authentication_failed"
    KEY_ROTATED = "key.rotated"
    KEY_WITHDRAWN = "key.withdrawn"
    KEYS_ENDED = "key.descendants_ended"
    KEYS_REHEARSED = "key.rehearsed"
    KEYS_RESEALED = "key.resealed"
    KEYS_RESTORED = "key.restored"
    RESTORE_CLEANED = "database.cleaned_after_restore"
    EXPORT_REQUESTED = "export.requested"
    EXPORT_REFUSED = "export.refused"
    EXPORT_STARTED = "export.started"
    EXPORT_READY = "export.ready"
    EXPORT_FAILED = "export.failed"
    EXPORT_DOWNLOADED = "export.downloaded"
    EXPORT_EXPIRED = "export.expired"
    EXPORT_PURGED = "export.file_deleted"


#: The fields each event may carry; tests/house keeps call sites and this table in step.
FIELDS: dict[Event, frozenset[str]] = {
    Event.ACCOUNT_CREATED: frozenset({"slug"}),
    Event.ACCOUNT_CHANGED: frozenset({"fields"}),
    Event.CLIENT_CREATED: frozenset({"by"}),
    Event.CLIENT_CHANGED: frozenset({"fields", "by"}),
    Event.CLIENT_SECRET_ROTATED: frozenset({"overlap_hours"}),
    Event.CLIENT_DEACTIVATED: frozenset({"families", "by"}),
    Event.CLIENT_REACTIVATED: frozenset(),
    Event.REGISTRATION_OPENED: frozenset({"uses", "until"}),
    Event.REGISTRATION_REFUSED: frozenset({"reason"}),
    Event.LOGOUT_SENT: frozenset({"attempts"}),
    Event.LOGOUT_FAILED: frozenset({"attempts", "reason"}),
    Event.ACCOUNT_CLOSED: frozenset({"sessions"}),
    Event.ACCOUNT_REOPENED: frozenset(),
    Event.MEMBER_CREATED: frozenset({"audience", "role", "by"}),
    Event.MEMBER_CHANGED: frozenset({"fields", "by"}),
    # The person of these rows is whom it was done to; `by` is the user id of whoever did it, or "support".
    Event.MEMBER_DEACTIVATED: frozenset({"by"}),
    Event.MEMBER_REACTIVATED: frozenset({"by"}),
    Event.MEMBER_ROLE_CHANGED: frozenset({"by", "before", "after"}),
    Event.MEMBER_SIGNED_OUT: frozenset({"by", "sessions"}),
    Event.SECOND_STEP_RESET: frozenset({"by"}),
    Event.PASSWORD_LINK_WANTED: frozenset({"by"}),
    Event.INVITATION_SENT: frozenset({"by"}),
    Event.INVITATION_WITHDRAWN: frozenset({"by", "reason"}),
    Event.INVITATION_ACCEPTED: frozenset(),
    Event.DATA_ACCESS_REQUESTED: frozenset({"request_id"}),
    Event.DATA_ACCESS_GRANTED: frozenset({"by", "request_id"}),
    Event.DATA_ACCESS_REMOVED: frozenset({"by"}),
    Event.ACCESS_REFUSED: frozenset({"what"}),
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
    Event.REMINDERS_SENT: frozenset({"audience", "people"}),
    Event.PHONE_ADDED: frozenset({"ending"}),
    Event.LINK_SENT: frozenset({"purpose"}),
    Event.LINK_NOT_DELIVERED: frozenset({"purpose", "reason"}),
    Event.APP_ADDED: frozenset({"replaces"}),
    Event.APP_REMOVED: frozenset(),
    Event.RECOVERY_CODES_MADE: frozenset({"count"}),
    Event.RECOVERY_CODE_USED: frozenset({"left"}),
    Event.EMAIL_CHANGE_BEGUN: frozenset(),
    Event.EMAIL_CHANGE_CANCELLED: frozenset(),
    Event.EMAIL_CHANGED: frozenset(),
    Event.EMAIL_CHANGE_REFUSED: frozenset({"reason"}),
    Event.PHONE_CHANGED: frozenset({"ending"}),
    Event.PHONE_REMOVED: frozenset({"ending"}),
    Event.PASSWORD_RESET_REQUESTED: frozenset(),
    Event.NOT_ME: frozenset({"notice"}),
    Event.INVITATION_WANTED: frozenset(),
    Event.MFA_EMAIL_FALLBACK: frozenset({"reason"}),
    Event.MFA_TURNED_ON: frozenset({"audience", "methods", "remember_device"}),
    Event.MFA_TURNED_OFF: frozenset({"audience", "methods", "remember_device"}),
    Event.MFA_CHANGED: frozenset({"audience", "methods", "remember_device"}),
    Event.DEVICE_REMEMBERED: frozenset({"device_id", "until"}),
    Event.DEVICE_USED: frozenset({"device_id", "generation"}),
    Event.DEVICE_ENDED: frozenset({"device_id", "reason"}),
    Event.REMEMBERING_ENDED: frozenset({"reason", "memberships"}),
    Event.SESSION_STARTED: frozenset({"acr", "amr", "device_id", "raised_from"}),
    Event.SESSION_ENDED: frozenset({"reason"}),
    Event.EVERYONE_SIGNED_OUT: frozenset({"audience", "sessions"}),
    Event.CODE_ISSUED: frozenset({"scope", "acr"}),
    Event.AUTHORIZATION_REFUSED: frozenset({"error", "reason"}),
    Event.CONSENT_GRANTED: frozenset({"scope"}),
    Event.CONSENT_DENIED: frozenset({"scope"}),
    Event.TOKEN_ISSUED: frozenset({"grant", "scope", "family_id"}),
    Event.TOKEN_REFRESHED: frozenset({"family_id", "retry"}),
    Event.CODE_REUSED: frozenset({"family_id"}),
    Event.REFRESH_REUSED: frozenset({"family_id"}),
    Event.FAMILY_REVOKED: frozenset({"family_id", "reason"}),
    Event.TOKEN_REVOKED: frozenset(),
    Event.DEVICE_APPROVED: frozenset({"scope", "acr", "family_id"}),
    Event.DEVICE_DENIED: frozenset(),
    Event.DEVICE_USER_CODE_WRONG: frozenset({"reason"}),
    Event.DEVICE_CODE_REUSED: frozenset({"family_id"}),
    Event.CLIENT_REFUSED: frozenset({"reason", "endpoint"}),
    Event.KEY_ROTATED: frozenset({"algorithm", "kid", "cause"}),
    Event.KEY_WITHDRAWN: frozenset({"algorithm", "kid", "successor"}),
    Event.KEYS_ENDED: frozenset({"kid", "sessions", "families", "clients", "devices"}),
    Event.KEYS_REHEARSED: frozenset({"algorithm", "kid", "verifiers", "accepted"}),
    Event.KEYS_RESEALED: frozenset({"resealed"}),
    Event.KEYS_RESTORED: frozenset({"keys", "lost"}),
    Event.RESTORE_CLEANED: frozenset(
        {
            *("sessions", "families", "codes", "challenges", "attempts", "requests", "links", "devices"),
            *("invitations", "recovery_codes"),
        }
    ),
    # `name` is what the page calls it; nothing of what is in it.
    Event.EXPORT_REQUESTED: frozenset({"export_id", "name", "again"}),
    Event.EXPORT_REFUSED: frozenset({"name", "reason"}),
    Event.EXPORT_STARTED: frozenset({"export_id", "name"}),
    Event.EXPORT_READY: frozenset({"export_id", "name", "size"}),
    Event.EXPORT_FAILED: frozenset({"export_id", "name", "reason"}),
    Event.EXPORT_DOWNLOADED: frozenset({"export_id", "name"}),
    Event.EXPORT_EXPIRED: frozenset({"export_id", "name", "reason"}),
    Event.EXPORT_PURGED: frozenset({"export_id", "name"}),
}
