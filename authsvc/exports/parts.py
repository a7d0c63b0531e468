"""The use cases of exports, built together: they share one `Life`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from authsvc.exports.downloads import Downloads
from authsvc.exports.handover import HandOvers
from authsvc.exports.life import Life
from authsvc.exports.models import Kind
from authsvc.exports.requests import Requests
from authsvc.exports.sources import DevicesAndSessions, MfaStatus, Source, TeamMembers


@dataclass(frozen=True)
class Exports:
    """What views, commands and the worker need. `sources`: kind to what it is built from."""

    life: Life
    sources: Mapping[str, Source]
    requests: Requests
    downloads: Downloads
    hand_overs: HandOvers

    @classmethod
    def over(cls, life: Life, *, activity: Source) -> Self:
        """All of them. `activity` is above this package, beside its page."""
        sources: dict[str, Source] = {
            Kind.TEAM_MEMBERS: TeamMembers(),
            Kind.SIGN_IN_ACTIVITY: activity,
            Kind.MFA_STATUS: MfaStatus(),
            Kind.DEVICES_AND_SESSIONS: DevicesAndSessions(),
        }
        return cls(life, sources, Requests(life), Downloads(life), HandOvers(life))
