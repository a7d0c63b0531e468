"""Samples of the pages around the authenticator app and the account chooser, for tests/unit/test_templates.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

# Tables, read across: the formatter would give every value a line of its own.
# fmt: off
APP = SimpleNamespace(value="totp", label="Authenticator app", hint="The code that your app shows.", risk="")
WHY = "You haven’t signed in on this browser before."
RISK = "Texts can be intercepted or rerouted; your authenticator app is safer."
SMS = SimpleNamespace(value="sms", label="Text message (SMS)", hint="To your phone ending in 42", risk=RISK)
BY_TEXT = SimpleNamespace(value="sms", label="Get it by text message")
WRONG = {"errors": {"code": "Check the code and enter it again."}}
REMEMBER = {"can_remember": True, "remember_checked": False, "remember_days": 30, "remember_until": "Dec 22"}
METHOD = {"methods": [SMS, APP], "selected": "totp", "errors": {}, "notice": None, "action": "/sign-in/method",
          "restart_url": None, "why": WHY, "account_asks": False, "sends": False}
APP_CODE = REMEMBER | {
    "why": WHY, "digits": 6, "errors": {}, "others": (BY_TEXT,), "has_recovery_codes": True, "recovery_url": "/r",
    "action": "/sign-in/app", "method_action": "/sign-in/method", "restart_url": None,
}
APP_SETUP = REMEMBER | {"digits": 6, "key": "ABCD EFGH", "qr_url": "/qr.svg", "errors": {}, "action": "/sign-in/app/setup"}
RECOVERY = {"errors": {}, "left": 9, "action": "/sign-in/app/recovery", "back_url": "/sign-in/app"}
ACCOUNT = {"id": "1", "name": "Northgate", "initials": "N", "portal": None, "told": "Last used today. Asks for a code"}
ACCOUNTS = {"email": "dana@northgate.example", "errors": {}, "action": "/accounts", "restart_url": "/sign-in",
            "searchable": False, "accounts": [ACCOUNT, ACCOUNT | {"id": "2", "portal": "Investor", "told": ""}]}

# name of the sample -> template, its variables, the screen in the title
APP_PAGES: dict[str, tuple[str, dict[str, Any], str]] = {
    "method-app": ("login/method.html", METHOD, "Choose how to get your code"),
    "app-code": ("login/app_code.html", APP_CODE, "Enter your code"),
    "app-code-wrong": ("login/app_code.html", APP_CODE | WRONG | {"has_recovery_codes": False}, "Error: Enter your code"),
    "app-setup": ("login/app_setup.html", APP_SETUP, "Set up your authenticator app"),
    "app-setup-wrong": ("login/app_setup.html", APP_SETUP | WRONG, "Error: Set up your authenticator app"),
    "app-setup-late": ("login/app_setup.html", APP_SETUP | {"key": None}, "Set up your authenticator app"),
    "app-recovery-codes": ("login/app_recovery_codes.html", {"codes": ("4k7m-9xqp-2wtz",), "action": "/s"},
        "Save your recovery codes"),
    "recovery-code": ("login/recovery_code.html", RECOVERY, "Use a recovery code"),
    "recovery-code-wrong": ("login/recovery_code.html", RECOVERY | {"errors": {"recovery": "Check it."}},
        "Error: Use a recovery code"),
    "accounts": ("login/accounts.html", ACCOUNTS, "Choose an account"),
    "accounts-searched": ("login/accounts.html", ACCOUNTS | {"searchable": True}, "Choose an account"),
    "accounts-none": ("login/accounts.html", ACCOUNTS | {"accounts": []}, "Choose an account"),
}
# fmt: on
