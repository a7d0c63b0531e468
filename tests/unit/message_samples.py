"""Every message by its kind, and values for all of them; tests/unit/test_messages.py holds them to their rules."""

from __future__ import annotations

VALUES = {
    "account_name": "Northgate Capital Partners",
    "account_short": "Northgate",
    "code": "481502",
    "works_until": "4:41 PM EST",
    "asked_at": "Nov 22, 4:31 PM EST",
    "browser": "Chrome on macOS",
    "portal_host": "portal.northgate.example",
    "host": "login.ims.example",
    "support_email": "support@imscre.com",
    "phone_ending": "42",
    "by": "Dana Whitfield",
    "did": "turned off",
    "state": "off",
    "audience": "Team Members",
    "methods": "Email and SMS",
    "left": "9 are left.",
    "new_address": "d•••@northgate.example",
    "about_name": "Dana Whitfield",
    "what": "reset by email",
    "inviter": "Dana Whitfield",
    "person": "Priya Raman",
    "verb": "has",
    "address": "dana@northgate.example",
    "works_for": "30 minutes",
    "link": "https://login.ims.example/reset/" + "0" * 64,
    "not_me_link": "https://login.ims.example/not-me/" + "0" * 64,
}
CODES = ("sign_in_code", "verify_email_code")
OWN_NOTICES = (
    *("notice_phone_added", "notice_new_device", "notice_password_changed"),
    *("notice_phone_changed", "notice_phone_removed", "notice_email_changed"),
    *("notice_app_added", "notice_app_removed", "notice_recovery_codes", "notice_recovery_code_used"),
)
OTHER_NOTICES = (
    *("notice_member_reset", "notice_invitation_wanted", "notice_mfa"),
    *("notice_data_access", "notice_second_step_reset", "notice_export_ready", "notice_export_failed"),
)
INVITATIONS = ("invitation_new", "invitation_existing")
LINKED = ("reset_password", "verify_email_link", *OWN_NOTICES)
EMAILS = (*CODES, *OTHER_NOTICES, *INVITATIONS, *LINKED)
