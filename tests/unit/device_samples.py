"""The pages that let a device in, with what they are shown with; tests/unit/test_templates.py holds them to the rules of all."""

from __future__ import annotations

from typing import Any

from authsvc.web.text import Time

ENTER = {"email": "dana@northgate.example", "typed": "", "errors": {}, "action": "/device"}
CONFIRM = {
    "client": "IMS kiosk",
    "code": "WDJB-MJHT",
    "asks": ["Know that it’s you, and which account you’re in", "See your email address"],
    "email": "dana@northgate.example",
    "account": "Northgate",
    "asked_at": Time("4:31 PM EST", "2026-11-22T16:31:00-05:00"),
    "address": "198.51.100.7",
    "is_near": True,
    "hidden": {"id": "1"},
    "action": "/device/confirm",
    "someone_else_url": "/sign-out",
}
WRONG = {"typed": "BCDF-XXXX", "errors": {"user_code": "Check the code and enter it again."}}
END = {"heading": "You said no", "text": "The device was not signed in."}

# name of the sample -> template, its variables, the screen in the title
DEVICE_PAGES: dict[str, tuple[str, dict[str, Any], str]] = {
    "device": ("device/enter.html", ENTER, "Connect a device"),
    "device-wrong": ("device/enter.html", ENTER | WRONG, "Error: Connect a device"),
    "device-confirm": ("device/confirm.html", CONFIRM, "Let this device in?"),
    "device-confirm-far": ("device/confirm.html", CONFIRM | {"is_near": False}, "Let this device in?"),
    "device-end": ("device/end.html", END, "You said no"),
}
