"""The words of every message, and that no account's name can turn them into something else (ux.md S25)."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import authsvc.messaging
from authsvc.accounts.notices import ABOUT_OTHERS
from authsvc.messaging.gsm7 import plain_name, septets
from authsvc.messaging.message import Channel
from authsvc.messaging.render import (
    MessageCannotBeWritten,
    NotOneTextMessage,
    Rendered,
    render,
    require_one_segment,
)
from tests.unit.message_samples import CODES, EMAILS, LINKED, OTHER_NOTICES, OWN_NOTICES, VALUES

TEXTS = ("sign_in_code", "phone_code")
NASTY_NAMES = (
    "<script>alert(1)</script>",
    "Northgate\r\nBcc: thief@evil.example",
    "Northgate\u2028Bcc: thief@evil.example",
    "N" * 200,
    "North gate " * 18,
    "\N{BUILDING CONSTRUCTION}\N{VARIATION SELECTOR-16} Towers",
    "\N{OFFICE BUILDING}",
    "Ωmega",
    "{{ 7 * 7 }}{% include 'x' %}",
    "=?utf-8?q?Northgate=0D=0ABcc:_thief@evil.example?=",
    "\x1b[31mred\x00",
    "\N{RIGHT-TO-LEFT OVERRIDE}moc.live",
    'A "quoted", <name@x.example>; & Co',
    "lone \ud800 surrogate",
    "   ",
    "",
)


def email(name: str, **changed: str) -> Rendered:
    return render(name, "email", **VALUES | changed)


def text_message(name: str, **changed: str) -> str:
    return render(name, "sms", **VALUES | changed).text


class Elements(HTMLParser):
    """What a mail program would build from the HTML: elements, attributes and the words between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: set[str] = set()
        self.words = ""
        self._is_hidden = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self._is_hidden = tag in ("style", "title")

    def handle_endtag(self, tag: str) -> None:
        self._is_hidden = False

    def handle_data(self, data: str) -> None:
        if not self._is_hidden:
            self.words += data


def lines_of(words: str) -> list[str]:
    return [line.strip() for line in words.splitlines() if line.strip()]


def test_the_sign_in_code_mail_says_exactly_this() -> None:
    """ux.md S25, word for word, the account's name above."""
    mail = email("sign_in_code")

    assert mail.subject == "481502 is your Northgate sign-in code"
    assert mail.sender_name == "Northgate Capital Partners via IMS"
    assert mail.text == (
        "Northgate Capital Partners\n"
        "\n"
        "481502\n"
        "\n"
        "It works until 4:41 PM EST, once.\n"
        "Asked for on Nov 22, 4:31 PM EST from Chrome on macOS.\n"
        "\n"
        "Not you? Someone knows your password. Change it at portal.northgate.example, then tell support@imscre.com."
        " Never give this code to anyone; we will never ask for it."
    )


def test_the_sign_in_code_text_message_says_exactly_this() -> None:
    """ux.md S25: the last line binds the code to the issuer's host, which phones then fill in on that host only."""
    assert text_message("sign_in_code") == (
        "481502 is your Northgate sign-in code. Don't share it.\n\n@login.ims.example #481502"
    )


def test_the_text_message_to_a_new_number_says_exactly_this() -> None:
    """The code that proves a number says so, because it may reach a stranger's phone."""
    assert text_message("phone_code") == (
        "481502 is your Northgate code to confirm this number. Don't share it.\n\n@login.ims.example #481502"
    )


@pytest.mark.parametrize(
    ("name", "subject", "said"),
    [
        (
            "verify_email_code",
            "481502 is your Northgate code to verify your email",
            "Someone is using your email address.",
        ),
        (
            "notice_phone_added",
            "Phone number added for signing in to Northgate",
            "The phone number ending in 42 was added",
        ),
        (
            "notice_app_added",
            "Authenticator app added for signing in to Northgate",
            "An authenticator app was set up for your sign-in codes on Nov 22, 4:31 PM EST",
        ),
        (
            "notice_app_removed",
            "Authenticator app removed from signing in to Northgate",
            "Your authenticator app and its recovery codes were removed",
        ),
        (
            "notice_recovery_codes",
            "New recovery codes for signing in to Northgate",
            "The old ones no longer work.",
        ),
        (
            "notice_recovery_code_used",
            "A recovery code was used to sign in to Northgate",
            "in place of your authenticator app on Nov 22, 4:31 PM EST from Edge on Windows. 9 are left.",
        ),
        ("notice_new_device", "New sign-in from Edge on Windows", "You signed in to Northgate on Nov 22, 4:31 PM EST"),
    ],
)
def test_the_other_mails_say_what_happened_and_what_to_do(name: str, subject: str, said: str) -> None:
    """A subject that says what it is, and a "Not you?" that names the one who helps (S25, NIST SP 800-63B-4, 4)."""
    mail = email(name, browser="Edge on Windows", device="Edge on Windows")

    assert mail.subject == subject
    assert said in mail.text
    assert "from Edge on Windows" in mail.text
    assert "Not you?" in mail.text
    assert "support@imscre.com" in mail.text


@pytest.mark.parametrize("name", EMAILS)
def test_html_and_text_say_the_same(name: str) -> None:
    """S25: "Body, text and HTML alike"."""
    mail = email(name)

    assert lines_of(Elements(mail.html).words) == lines_of(mail.text)


@pytest.mark.parametrize("name", EMAILS)
@pytest.mark.parametrize("account", NASTY_NAMES)
def test_no_account_name_adds_an_element_or_a_line(name: str, account: str) -> None:
    """PL-06, RC-05: the account wrote its name; whatever it is, the mail keeps its shape."""
    plain = email(name)
    mail = email(name, account_name=account, account_short=account, browser=account)

    assert Elements(mail.html).names == Elements(plain.html).names
    assert len(mail.text.splitlines()) == len(plain.text.splitlines())
    for line in (mail.subject, mail.sender_name):
        assert len(line.splitlines()) == 1
        assert line.isprintable()
        assert "=?" not in line
        assert len(line) <= 160
    for part in (mail.subject, mail.text, mail.html, mail.sender_name):
        part.encode("utf-8")


@pytest.mark.parametrize("name", LINKED)
def test_a_mail_with_a_link_has_one_button_and_the_bare_address(name: str) -> None:
    """S25. It leads to us alone, fetches nothing, and the address stands alone in its line, so that nothing cuts it."""
    mail = email(name)
    elements = Elements(mail.html)
    link = VALUES["not_me_link" if name in OWN_NOTICES else "link"]

    assert elements.names.count("a") == 1
    assert set(re.findall(r'href="([^"]*)"', mail.html)) == {link}
    assert not {"img", "link", "script", "iframe", "form"} & set(elements.names)
    assert mail.text.splitlines().count(link) == 1


def test_every_notice_offers_this_was_not_me() -> None:
    """NIST SP 800-63B-4 4: whoever did it, the owner of the address can end it from the mail."""
    folder = Path(authsvc.messaging.__file__).parent / "templates"
    notices = {path.name for path in folder.glob("notice_*")}
    silent = {name for name in notices if "not_me_link" not in (folder / name / "body.txt").read_text()}
    assert silent == ABOUT_OTHERS


@pytest.mark.parametrize("name", [*CODES, *OTHER_NOTICES])
def test_a_mail_fetches_nothing_and_links_nowhere(name: str) -> None:
    """S25: no images, no links but plain text host. Nothing in it reports that it was opened."""
    elements = Elements(email(name).html)

    assert not {"a", "img", "link", "script", "iframe", "form"} & set(elements.names)
    assert not {"href", "src", "background", "action", "srcset"} & elements.attributes
    assert "url(" not in email(name).html
    assert "http" not in email(name).html


@pytest.mark.parametrize("name", ["sign_in_code", "verify_email_code"])
def test_a_code_stands_alone_in_large_digits(name: str) -> None:
    """S25: on its own line, 32 px, without a space, so that a double click copies it."""
    mail = email(name)

    assert "481502" in mail.text.splitlines()
    assert re.search(r"<p [^>]*font-size: 32px[^>]*>481502</p>", mail.html)


@pytest.mark.parametrize("name", EMAILS)
def test_a_mail_is_readable_in_light_and_dark(name: str) -> None:
    """Every color that is written inline has its dark counterpart, for mail programs that ask for dark."""
    html = email(name).html
    styled = set(re.findall(r'class="([\w-]+)"', html))

    assert '<meta name="color-scheme" content="light dark">' in html
    dark = html[html.index("prefers-color-scheme: dark") : html.index("</style>")]
    assert {rule for rule in styled if f".{rule} {{" not in dark} == set()


def test_a_name_without_a_printable_letter_becomes_the_products() -> None:
    """A subject with a hole in it looks like fraud."""
    mail = email("sign_in_code", account_name="\x00\r\n", account_short="\x00")

    assert mail.subject == "481502 is your IMS sign-in code"
    assert mail.sender_name == "IMS"


def test_a_markup_type_is_escaped_like_any_value() -> None:
    """A value that claims to be safe HTML already is not believed."""

    class ClaimsToBeSafe(str):
        def __html__(self) -> str:
            return str(self)

    assert "<b>" not in email("sign_in_code", account_name=ClaimsToBeSafe("<b>Northgate</b>")).html


def test_a_name_is_never_read_as_a_template() -> None:
    """PL-06: braces are letters like any other."""
    mail = email("sign_in_code", account_name="{{ 7 * 7 }}{% include 'x' %}", account_short="{{ 7 * 7 }}")

    assert mail.subject == "481502 is your {{ 7 * 7 }} sign-in code"
    assert mail.text.startswith("{{ 7 * 7 }}{% include 'x' %}\n")


def test_a_megabyte_of_name_is_cut_not_sent() -> None:
    """PL-04: length first."""
    mail = email("sign_in_code", account_name="N" * 1_000_000, account_short="N" * 1_000_000, browser="B" * 1_000_000)

    assert len(mail.text) < 1000
    assert mail.subject == "481502 is your " + "N" * 39 + "… sign-in code"


@pytest.mark.parametrize("channel", get_args(Channel))
def test_a_missing_value_is_an_error_not_a_gap(channel: Channel) -> None:
    """A message with a hole is worse than none: it names the template and the value's name, no value."""
    with pytest.raises(MessageCannotBeWritten, match="sign_in_code/") as caught:
        render("sign_in_code", channel, **{name: value for name, value in VALUES.items() if name != "code"})

    assert "Northgate" not in str(caught.value) + caught.value.detail


@pytest.mark.parametrize(
    ("name", "channel"), [("no_such", "email"), ("notice_new_device", "sms"), ("phone_code", "email")]
)
def test_an_unknown_message_is_an_error(name: str, channel: Channel) -> None:
    """Not every message exists on every channel."""
    with pytest.raises(MessageCannotBeWritten, match=name):
        render(name, channel, **VALUES)


def test_a_log_line_shows_no_word_of_a_message() -> None:
    """MF-10: the code stands nowhere but in the message."""
    assert "481502" not in repr(email("sign_in_code"))


# Text messages


@settings(deadline=None, max_examples=300)
@given(short=st.text(max_size=250), name=st.sampled_from(TEXTS))
@example(short="Ωmega", name="sign_in_code")
@example(short="[]{}~^|\\€" * 10, name="phone_code")
@example(short="\N{OFFICE BUILDING}", name="sign_in_code")
@example(short="Ltd\r\n\r\n@evil.example #000000", name="sign_in_code")
@example(short="ﬃ" * 250, name="sign_in_code")
def test_every_text_message_is_one_segment_and_ends_with_our_host(short: str, name: str) -> None:
    """S25: GSM-7, 160 septets, and no other host than ours on the line that phones read."""
    message = text_message(name, account_short=short)
    lines = message.splitlines()

    length = septets(message)
    assert length is not None
    assert length <= 160
    assert message.startswith("481502 is your ")
    assert lines[1:] == ["", "@login.ims.example #481502"]
    assert "@" not in lines[0]
    assert "#" not in lines[0]
    assert "//" not in lines[0]
    assert "  " not in lines[0]
    assert not re.search(r"\S\.\S", lines[0])


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Ωmega", "Ωmega"),
        ("Société Générale", "Société Générale"),
        ("Ångström & Ñandú", "Ångström & Ñandu"),
        ("Łódź’s “Best” – Fund", 'Lodz\'s "Best" - Fund'),
        ("Ｆｕｌｌ width", "Full width"),
        ("evil.example/x", "evil example x"),
        ("Acme Inc.", "Acme Inc."),
        ("北京", ""),
        ("\N{OFFICE BUILDING} Towers", "Towers"),
        ("e\N{COMBINING ACUTE ACCENT}", "é"),
    ],
)
def test_a_name_comes_as_near_as_the_alphabet_allows(name: str, plain: str) -> None:
    """Letters lose what GSM-7 lacks; what has no likeness is dropped; nothing becomes a link."""
    assert plain_name(name) == plain


@pytest.mark.parametrize(
    ("text", "length"),
    [("", 0), ("a" * 160, 160), ("@£$¥Ω\n", 6), ("[€]", 6), ("’", None), ("ç", None), ("\N{OFFICE BUILDING}", None)],
)
def test_septets_are_counted_as_a_phone_network_does(text: str, length: int | None) -> None:
    """3GPP TS 23.038, 6.2.1: the extension table costs two; anything else is not in the alphabet."""
    assert septets(text) == length


def test_a_long_name_is_cut_to_exactly_one_segment() -> None:
    """What gives way is the name, never the host or the code."""
    message = text_message("sign_in_code", account_short="N" * 40, host="login." + "h" * 60 + ".example")

    assert septets(message) == 160


@pytest.mark.parametrize("host", ["h" * 120 + ".example", "bücher.example", "日本.example"])
def test_a_host_that_cannot_be_texted_is_an_error_that_names_the_template(host: str) -> None:
    """The host is never changed to fit: a code bound to another host is not filled in, or filled in elsewhere."""
    if host == "bücher.example":  # in the alphabet, so it is for the issuer's settings to refuse
        assert text_message("sign_in_code", host=host).endswith("@bücher.example #481502")
        return
    with pytest.raises(NotOneTextMessage, match=r"sign_in_code/sms\.txt") as caught:
        text_message("sign_in_code", host=host)

    assert "481502" not in str(caught.value)


def test_one_segment_is_required_without_repeating_the_text() -> None:
    """The error goes to the log; the text holds a code."""
    assert require_one_segment("a" * 160, template="t") == "a" * 160
    for text in ("481502" + "a" * 155, "481502 ’"):
        with pytest.raises(NotOneTextMessage, match="t ") as caught:
            require_one_segment(text, template="t")
        assert "481502" not in str(caught.value)
