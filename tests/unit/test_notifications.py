"""What a notification says, and where it may lead."""

from __future__ import annotations

import pytest

from authsvc.notifications import links
from authsvc.notifications.kinds import Kind, WrongValues, short, words

PORTAL = "https://portal.ims.test"


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/",
        "http://portal.ims.test/",
        f"{PORTAL}.evil.example/",
        f"{PORTAL}@evil.example/",
        "https://me:me@portal.ims.test/",
        f"{PORTAL}:444/",
        f"{PORTAL}\\@evil.example/",
        "https:portal.ims.test/",
        "//portal.ims.test/",
        "/profile",
        "javascript:alert(1)",
        f"{PORTAL}/a b",
        f"{PORTAL}/\n",
        f"{PORTAL}/\0",
        f"{PORTAL}/\ud800",
        f"{PORTAL}/{'x' * 500}",
        "",
    ],
)
def test_az06_a_notification_of_others_leads_to_the_accounts_portal_alone(link: str) -> None:
    """What a browser would read as another place is refused."""
    assert not links.is_at(link, PORTAL)


def test_it_may_lead_anywhere_in_the_portal() -> None:
    """To the letter, but for case; any path, query and fragment."""
    for link in (PORTAL, f"{PORTAL}/k-1?year=2026&of=a%20b#top", "HTTPS://Portal.IMS.test/x"):
        assert links.is_at(link, f"{PORTAL}/home")
    assert links.is_at("http://127.0.0.1:8001/x", "http://127.0.0.1:8001")


def test_our_own_notifications_lead_to_our_own_pages() -> None:
    """A path, and nothing that a browser takes for a host."""
    assert links.is_ours("/profile/exports/1/file")
    for link in (PORTAL, "//evil.example", "profile", "/\\evil.example", "/\t/evil.example", ""):
        assert not links.is_ours(link)


def test_the_words_are_a_closed_catalogue() -> None:
    """Other values than a kind has words for are a bug; long ones are cut; braces in a value are text."""
    with pytest.raises(WrongValues):
        short(Kind.NEW_DEVICE, {"name": "Edge"})
    found = words(Kind.EXPORT_READY, short(Kind.EXPORT_READY, {"name": "{by}" + "x" * 999}))
    assert (found.title, len(found.text), found.label) == ("Your export is ready.", 201, "Download")
    assert found.text.startswith("{by}xxx")
