"""Every page, rendered without the app: structure, labels, no inline code, weight (ux.md sections 2 to 5)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import authsvc
from authsvc.web.brand import brand_css
from authsvc.web.text import Time
from tests.support.page_samples import APP_PAGES, RISK, WHY
from tests.unit.device_samples import DEVICE_PAGES

ROOT = Path(authsvc.__file__).parent
STATIC = ROOT / "static"
ENVIRONMENT = Environment(
    loader=FileSystemLoader([ROOT / "templates", ROOT / "login/templates", ROOT / "oauth/templates"]),
    autoescape=True,
    undefined=StrictUndefined,
)
CSRF = Markup('<input type="hidden" name="csrf_token" value="sample">')
UNTIL = Time("4:41 PM EST", "2026-11-22T16:41:00-05:00")

# Tables, read across: the formatter would give every value a line of its own.
# fmt: off
PAGE = SimpleNamespace(
    account_name="Northgate Capital Partners", account_short="Northgate", portal_host="portal.northgate.example",
    brand_css="/brand/northgate-00000000.css", logo_url="/static/logo.svg", help_url="/help", privacy_url="/privacy",
)
SMS = SimpleNamespace(value="sms", label="Text message (SMS)", hint="To your phone ending in 42", risk=RISK)
EMAIL = SimpleNamespace(value="email", label="Email", hint="To d•••@northgate.example", risk="")
WRONG = {"errors": {"code": "Check the code and enter it again. 3 tries left."}}
EXPIRED = {"errors": {"expired": "That code has expired. Send a new one."}, "wait_s": 0}
FOREIGN = "Enter a US number. Numbers from other countries aren’t supported at this time."
BLOCKED = "Your carrier is blocking our texts to this number. Reply START to the last one, or get the code by email."
CODE_STATE = {"works_until": UNTIL, "digits": 6, "errors": {}, "notice": None, "warning": None, "wait_s": 30}
SIGN_IN = {"email": "", "errors": {}, "heading_error": None, "failed": False, "note": None, "forgot_url": "/forgot",
           "throttled": False, "action": "/sign-in"}
REFUSED = SIGN_IN | {"failed": True, "heading_error": "We couldn’t sign you in", "email": "dana@northgate.example"}
METHOD = {"methods": [SMS, EMAIL], "selected": "sms", "errors": {}, "notice": None, "action": "/sign-in/method",
          "restart_url": "/sign-in?restart=1", "why": WHY, "account_asks": True, "sends": True}
CODE = CODE_STATE | {
    "channel": "email", "target": "d•••@northgate.example", "title": "Enter your code", "why": None,
    "can_remember": True, "remember_checked": False, "remember_days": 30, "remember_until": "Dec 22",
    "others": (SimpleNamespace(value="sms", label="Get it by text message"),), "change_phone_url": None,
    "action": "/sign-in/code", "method_action": "/sign-in/method", "restart_url": "/sign-in?restart=1",
}
TEXTED = CODE | {"channel": "sms", "title": "Check your phone", "target": "your phone ending in 42",
                 "can_remember": False, "others": (), "change_phone_url": "/sign-in/phone",
                 "warning": BLOCKED, "wait_s": 0}
PHONE = {"phone": "", "errors": {}, "can_use_email": True, "may_decline": False, "action": "/sign-in/phone",
         "method_action": "/sign-in/method"}
VERIFY = CODE_STATE | {"target": "dana@northgate.example", "skippable": True, "action": "/sign-in/verify"}
STOPPED = {"again_at": "4:46 PM EST", "restart_url": "/sign-in", "forgot_url": "/forgot"}
LINK = {"heading": "This link has expired", "text": "Sign in and we’ll send a new one.",
        "button_label": "Go to sign in", "button_url": "/sign-in", "second_label": None, "second_url": None}
SIGN_OUT = {"email": "dana@northgate.example", "device_until": "Dec 22", "stay_url": "/", "action": "/sign-out",
            "hidden": {"state": "xyz"}}
SENT = {"works_for": "30 minutes", "notice": None, "warning": None, "can_send_again": True, "action": "/", "other_url": "/"}
RESET = {"email": "dana@northgate.example", "min_length": 15, "errors": {}, "action": "/", "who": "new", "inviter": "Marcus",
         "joins_as": "a Team Member", "name": "", "happened": "Somebody signed in as you."}
ERROR = {"heading": "Page not found", "text": "Check the address for a typing mistake.", "reference": "4F7K-22QX",
         "button_label": "Go to sign in", "button_url": "/sign-in"}
BARE = {"heading": "Something went wrong on our side", "text": "Nothing was changed. Try again in a minute.",
        "reference": "4F7K-22QX", "css_url": "/static/auth.css"}

# name of the sample -> template, its variables, the screen in the title
PAGES: dict[str, tuple[str, dict[str, Any], str]] = {
    "sign-in": ("login/sign_in.html", SIGN_IN, "Sign in"),
    "sign-in-noted": ("login/sign_in.html", SIGN_IN | {"note": "You’re signed out."}, "Sign in"),
    "sign-in-refused": ("login/sign_in.html", REFUSED, "Error: Sign in"),
    "sign-in-empty": ("login/sign_in.html", SIGN_IN | {"errors": {
        "email": "Enter your email address", "password": "Enter your password"}}, "Error: Sign in"),
    "sign-in-throttled": ("login/sign_in.html", SIGN_IN | {"heading_error": "Too many tries."}, "Error: Sign in"),
    "method": ("login/method.html", METHOD, "Choose how to get your code"),
    "method-unsent": ("login/method.html", METHOD | {"notice": "We couldn’t send it."}, "Choose how to get your code"),
    "method-none": ("login/method.html", METHOD | {
        "selected": None, "errors": {"method": "Choose text message or email"}}, "Error: Choose how to get your code"),
    "code": ("login/code.html", CODE, "Enter your code"),
    "code-wrong": ("login/code.html", CODE | WRONG | {"remember_checked": True}, "Error: Enter your code"),
    "code-expired": ("login/code.html", CODE | EXPIRED, "Error: Enter your code"),
    "code-resent": ("login/code.html", CODE | {"notice": "We sent a new code.", "why": "Why."}, "Enter your code"),
    "code-texted": ("login/code.html", TEXTED, "Check your phone"),
    "phone": ("login/phone.html", PHONE, "Add your phone number"),
    "phone-foreign": ("login/phone.html", PHONE | {"phone": "+44 20 7946 0000", "errors": {"phone": FOREIGN}},
        "Error: Add your phone number"),
    "verify": ("login/verify.html", VERIFY, "Verify your email"),
    "verify-wrong": ("login/verify.html", VERIFY | WRONG | {"skippable": False}, "Error: Verify your email"),
    "verify-expired": ("login/verify.html", VERIFY | EXPIRED, "Error: Verify your email"),
    "too-many-codes": ("login/too_many_codes.html", STOPPED, "Too many wrong codes"),
    "link-expired": ("link_unusable.html", LINK, "This link has expired"),
    "link-used": ("link_unusable.html", LINK | {"second_label": "Reset", "second_url": "/"}, LINK["heading"]),
    "sign-out": ("login/sign_out.html", SIGN_OUT, "Sign out"),
    "signed-in": ("login/signed_in.html", SIGN_OUT | {"portal_url": "/p", "sign_out_url": "/o"}, "You’re signed in"),
    "forgot": ("login/forgot.html", SIGN_IN | {"sign_in_url": "/"}, "Reset your password"),
    "forgot-sent": ("login/forgot_sent.html", SENT, "Check your email"),
    "reset": ("login/reset.html", RESET | {"errors": {"password": "Enter a new password"}}, "Error: Choose a new password"),
    "invite": ("login/invite.html", RESET, "Join Northgate Capital Partners"),
    "not-me": ("login/not_me.html", RESET, "Was this not you?"),
    "error": ("error.html", ERROR, "Page not found"),
    "error-no-way-out": ("error.html", ERROR | {"button_label": None, "button_url": None}, "Page not found"), **DEVICE_PAGES,
}
PAGES |= APP_PAGES
# fmt: on
EVERY = [*PAGES, "error-bare"]
FAILED = [name for name, (_, _, screen) in PAGES.items() if screen.startswith("Error: ")]


@dataclass
class Element:
    """One start tag, with the text inside it and the form it belongs to."""

    tag: str
    attributes: dict[str, str]
    form: Element | None = None
    text: str = ""


@dataclass
class Document(HTMLParser):
    """A page as a flat list of elements; enough to ask what a browser would be told."""

    html: str
    elements: list[Element] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        form = next((element for element in self.open if element.tag == "form"), None)
        element = Element(tag, {name: value or "" for name, value in attrs}, form)
        self.elements.append(element)
        if tag not in {"meta", "link", "input", "img", "br"}:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        return [e for e in self.elements if e.tag == tag and attributes.items() <= e.attributes.items()]

    def by_id(self, identifier: str) -> Element:
        (element,) = (e for e in self.elements if e.attributes.get("id") == identifier)
        return element


def render(template: str, **variables: object) -> str:
    """The page as the app renders it."""
    return ENVIRONMENT.get_template(template).render(
        page=PAGE, asset=lambda name: f"/static/{name}", csrf_field=CSRF, **variables
    )


def html_of(name: str) -> str:
    """One of the samples, rendered. The bare error page is given nothing but its own four variables."""
    return (
        ENVIRONMENT.get_template("error_bare.html").render(BARE)
        if name == "error-bare"
        else render(PAGES[name][0], **PAGES[name][1])
    )


def opened(name: str) -> Document:
    """One of the samples, parsed."""
    return Document(html_of(name))


@pytest.mark.parametrize("name", EVERY)
def test_every_page_has_its_landmarks_and_one_heading(name: str) -> None:
    """Rule 7: lang, one h1, header, main, footer, a skip link that leads somewhere; zoom stays allowed."""
    document = opened(name)
    assert not document.open
    assert document.all("html", lang="en")
    assert (
        len(document.all("h1"))
        == len(document.all("main"))
        == len(document.all("header"))
        == len(document.all("footer"))
        == 1
    )
    assert document.all("a", href="#main", **{"class": "skip"})
    assert document.all("meta", name="viewport", content="width=device-width, initial-scale=1")


@pytest.mark.parametrize("name", PAGES)
def test_every_title_names_screen_and_account(name: str) -> None:
    """Rule 7: `{Screen} – {Account}`, with `Error: ` in front after a failed form."""
    (title,) = opened(name).all("title")
    assert title.text == f"{PAGES[name][2]} – Northgate Capital Partners"


@pytest.mark.parametrize("name", EVERY)
def test_no_page_has_inline_code(name: str) -> None:
    """`default-src 'none'`, no unsafe-inline: no inline script, style, handler or style attribute."""
    document = opened(name)
    assert not document.all("style")
    assert all(element.attributes.get("src") and not element.text for element in document.all("script"))
    assert not [a for element in document.elements for a in element.attributes if a == "style" or a.startswith("on")]


@pytest.mark.parametrize("name", EVERY)
def test_every_input_has_a_label_and_every_reference_a_target(name: str) -> None:
    """Rule 9, and ids that hints, errors and labels point at exist exactly once."""
    document = opened(name)
    labelled = {label.attributes["for"] for label in document.all("label")}
    shown = [e for e in document.all("input") if e.attributes["type"] != "hidden"]
    assert {e.attributes["id"] for e in shown} == labelled
    assert not [e for e in document.elements if "placeholder" in e.attributes or "autofocus" in e.attributes]
    for element in document.elements:
        for attribute in (
            "for",
            "form",
            "aria-describedby",
            "aria-labelledby",
            "aria-controls",
            "data-for",
            "data-say",
        ):
            for target in element.attributes.get(attribute, "").split():
                document.by_id(target)
        if element.attributes.get("href", "").startswith("#"):
            document.by_id(element.attributes["href"][1:])


@pytest.mark.parametrize("name", EVERY)
def test_every_form_is_posted_once_and_carries_its_csrf_token(name: str) -> None:
    """Rules 3 and 8: POST with the token, our own error words, and a busy text on every submit button."""
    document = opened(name)
    for form in document.all("form"):
        assert form.attributes["method"] == "post"
        assert {"novalidate", "data-once", "action"} <= form.attributes.keys()
        assert [e for e in document.all("input", name="csrf_token") if e.form is form]
        assert [e for e in document.all("button", type="submit") if e.form is form]
    assert all(button.attributes["data-busy"].endswith("…") for button in document.all("button", type="submit"))


@pytest.mark.parametrize("name", FAILED)
def test_an_error_is_said_first_and_again_at_its_field(name: str) -> None:
    """Rule 8: an alert that takes the focus, linked to the field; the same sentence there, tied to it."""
    document = opened(name)
    (summary,) = document.all("div", role="alert", tabindex="-1")
    errors: dict[str, str] = PAGES[name][1]["errors"]
    for message in errors.values():
        assert message in summary.text
        (shown,) = (e for e in document.all("p") if e.text == message)
        described = [
            e
            for e in document.all("input")
            if shown.attributes["id"] in e.attributes.get("aria-describedby", "").split()
        ]
        assert described
        assert all(e.attributes["type"] == "radio" or e.attributes["aria-invalid"] == "true" for e in described)


def test_sign_in_is_one_form_that_password_managers_understand() -> None:
    """S1: stable names and ids, username and current-password, paste and long passwords allowed."""
    document = opened("sign-in")
    email, password = document.by_id("email"), document.by_id("password")
    assert email.form is password.form is not None
    expected = {
        "type": "email",
        "name": "email",
        "autocomplete": "username",
        "inputmode": "email",
        "autocapitalize": "none",
    }
    assert expected.items() <= email.attributes.items()
    assert {
        "type": "password",
        "name": "password",
        "autocomplete": "current-password",
    }.items() <= password.attributes.items()
    assert not {"maxlength", "value"} & password.attributes.keys()
    (peek,) = document.all("button", type="button")
    assert {"hidden", "aria-controls"} <= peek.attributes.keys()


def test_a_refused_sign_in_marks_both_fields_and_keeps_only_the_email() -> None:
    """S1: the same words whatever was wrong; the password comes back empty."""
    document = opened("sign-in-refused")
    for identifier in ("email", "password"):
        assert document.by_id(identifier).attributes["aria-invalid"] == "true"
        assert document.by_id(identifier).attributes["aria-describedby"] == "refused"
    assert document.by_id("refused").text == "Check your email and password, then try again."
    assert document.by_id("email").attributes["value"] == "dana@northgate.example"
    assert "value" not in document.by_id("password").attributes


@pytest.mark.parametrize(("name", "texted"), [("code", False), ("code-texted", True), ("verify", False)])
def test_the_code_field_takes_a_pasted_code(name: str, texted: bool) -> None:
    """S4: one text field, numeric keypad, one-time-code, no maxlength; Android's offer only for texted codes."""
    code = opened(name).by_id("code").attributes
    assert {
        "type": "text",
        "inputmode": "numeric",
        "autocomplete": "one-time-code",
        "data-digits": "6",
    }.items() <= code.items()
    assert "maxlength" not in code
    assert ("data-webotp" in code) is texted


def test_remember_me_is_offered_unticked_and_survives_an_error() -> None:
    """S4, D5: off at first; a tick is kept; absent where the account forbids it."""
    assert "checked" not in opened("code").by_id("remember").attributes
    assert "checked" in opened("code-wrong").by_id("remember").attributes
    assert "Remember Me on this device for 30 days" in html_of("code")
    assert "Remember Me" not in html_of("code-texted")


def test_the_wait_for_another_code_is_shown_silently_and_without_blocking() -> None:
    """S4: the button works without script; the countdown is no live region, its end is announced in another."""
    document = opened("code")
    (wait,) = (e for e in document.all("p") if "data-wait" in e.attributes)
    assert "role" not in wait.attributes
    assert document.by_id(wait.attributes["data-say"]).attributes["role"] == "status"
    resend = document.by_id(wait.attributes["data-for"])
    assert not {"disabled", "aria-disabled"} & resend.attributes.keys()
    assert (resend.attributes["name"], resend.attributes["value"]) == ("resend", "1")
    assert "data-wait" not in html_of("code-texted")


@pytest.mark.parametrize("name", ["code-expired", "verify-expired"])
def test_an_expired_code_brings_the_button_into_the_message(name: str) -> None:
    """S4: "That code has expired. Send a new one." with the button there; it submits the resend form."""
    in_message, in_section = opened(name).all("button", name="resend")
    assert in_section.form is not None
    assert in_message.attributes["form"] == in_section.form.attributes["id"]


def test_the_method_chosen_last_is_ticked() -> None:
    """S3: radio group `method`, one ticked or, at worst, none."""
    assert [radio.attributes["value"] for radio in opened("method").all("input", name="method", checked="")] == ["sms"]
    assert not opened("method-none").all("input", name="method", checked="")


def test_the_phone_field_keeps_what_was_typed() -> None:
    """S5: type, autocomplete and inputmode tel, id `tel`, name `phone`."""
    phone = opened("phone-foreign").by_id("tel").attributes
    assert {
        "type": "tel",
        "name": "phone",
        "autocomplete": "tel",
        "inputmode": "tel",
        "value": "+44 20 7946 0000",
    }.items() <= phone.items()


def test_skip_for_now_is_offered_only_when_it_may_be() -> None:
    """D17, E2: the three buttons by their names; no skip once Multi-Factor Authentication is on."""
    buttons = [button.text for button in opened("verify").all("button", type="submit")]
    assert buttons == ["Verify Email", "Skip For Now", "Resend Code"]
    assert "Skip For Now" not in html_of("verify-wrong")


@pytest.mark.parametrize(
    ("name", "shown", "said"), [("code-texted", "ending in 42", "ending in 4 2"), ("code", "d•••@", "d, then")]
)
def test_a_masked_address_is_said_without_bullets(name: str, shown: str, said: str) -> None:
    """Rule 12: what is shown is hidden from screen readers, which get the digits one by one."""
    document = opened(name)
    assert [e for e in document.all("span", **{"aria-hidden": "true"}) if shown in e.text]
    assert [e for e in document.all("span", **{"class": "vh"}) if said in e.text]


def test_text_from_people_is_inert() -> None:
    """security.md PL-06: names, addresses and hidden values are escaped wherever they land."""
    evil = '"><script>alert(1)</script>{{ 7*7 }}'
    html = render("login/sign_in.html", **(SIGN_IN | {"email": evil, "note": evil, "action": evil}))
    html += render("login/sign_out.html", **(SIGN_OUT | {"email": evil, "hidden": {evil: evil}}))
    assert "<script>" not in html
    assert "49" not in html


def test_the_sign_in_page_stays_within_its_weight() -> None:
    """ux.md section 4: 30 KB uncompressed on a first visit, with 450 bytes of headers for each of its six answers."""
    files = ("auth.css", "auth.js", "facade.svg", "logo-ims.svg")
    bodies = sum((STATIC / name).stat().st_size for name in files) + len(brand_css("#ffd400").encode())
    assert bodies + len(html_of("sign-in-refused").encode()) + 6 * 450 <= 30_000


@pytest.mark.parametrize("name", ["auth.css", "settings.css", "auth.js", "facade.svg", "logo-ims.svg", "logo.svg"])
def test_static_files_load_nothing_from_elsewhere(name: str) -> None:
    """No third party, no web font, no data: address that the policy would block."""
    text = (STATIC / name).read_text("utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|//[a-z]|data:|@import|url\(", text)
