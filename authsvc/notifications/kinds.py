"""What a notification may be about: a closed catalogue, each kind with its words (ux.md S23). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from authsvc.errors import AuthsvcError


class Kind(StrEnum):
    """The value is stored; renaming one breaks what is stored, so add instead."""

    EXPORT_READY = "export_ready"
    EXPORT_FAILED = "export_failed"
    NEW_DEVICE = "new_device"
    MFA_TURNED_ON = "mfa_turned_on"
    MFA_TURNED_OFF = "mfa_turned_off"
    #: Of another IMS service, in its own words, through /api/v1/notifications.
    PORTAL = "portal"


#: Those that other services may add; the rest this service adds alone.
OF_OTHERS = frozenset({Kind.PORTAL})


@dataclass(frozen=True)
class Words:
    """One notification as it is read: a title, a sentence or nothing, and what its link is called."""

    title: str
    text: str
    label: str


@dataclass(frozen=True)
class _Template:
    """Words with names in braces: what stands for them is text, and never looked through for braces itself."""

    values: frozenset[str]
    words: Words


def _kind(title: str, text: str, label: str, *values: str) -> _Template:
    return _Template(frozenset(values), Words(title, text, label))


_KINDS: dict[Kind, _Template] = {
    Kind.EXPORT_READY: _kind("Your export is ready.", "{name}.", "Download", "name"),
    Kind.EXPORT_FAILED: _kind("Your export failed.", "{name}. Nothing was exported.", "See exports", "name"),
    Kind.NEW_DEVICE: _kind("New sign-in from {browser}.", "", "Review", "browser"),
    Kind.MFA_TURNED_ON: _kind(
        "Multi-Factor Authentication was turned on.",
        "For {audience}, by {by}. Methods: {methods}.",
        "Review",
        *("audience", "by", "methods"),
    ),
    Kind.MFA_TURNED_OFF: _kind(
        "Multi-Factor Authentication was turned off.", "For {audience}, by {by}.", "Review", "audience", "by"
    ),
    Kind.PORTAL: _kind("{title}", "{text}", "{label}", "title", "text", "label"),
}

#: Longer values are cut: a bell holds sentences.
LONGEST_VALUE = 200


class WrongValues(AuthsvcError):
    """A kind of notification was given other values than it has words for."""


def short(kind: Kind, values: Mapping[str, str]) -> dict[str, str]:
    """The values as they are kept. Raises: WrongValues."""
    if values.keys() != _KINDS[kind].values:
        raise WrongValues(detail=kind)
    return {
        name: text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…" for name, text in values.items()
    }


def words(kind: Kind, values: Mapping[str, str]) -> Words:
    """One notification in words."""
    said = _KINDS[kind].words
    return Words(*(part.format_map(values) for part in (said.title, said.text, said.label)))
