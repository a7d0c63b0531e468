"""Keys and instants as an operator reads them, and as --json has them."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from authsvc.keyring.ring import Rotation
from authsvc.keyring.schedule import KeyEntry, KeyState, RotationRules, never_signs, state, utc_text
from authsvc.keyring.urgent import is_noticed_everywhere


def local_and_utc(at: datetime | None, *, zone: tzinfo | None = None) -> str:
    """`at` in `zone` (default: this machine's), for a person, and in UTC, as logs have it. None: no end set."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z} ({utc_text(at)})" if at else "no end set"


def span(length: timedelta) -> str:
    """In the largest unit that is whole, as in "5 minutes", "90 seconds", "14 days"."""
    seconds = int(length.total_seconds())
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            return counted(seconds // size, unit)
    return counted(seconds, "second")


def counted(number: int, thing: str) -> str:
    """As in "1 session", "2 keys", "3 token families"."""
    plural = f"{thing[:-1]}ies" if thing.endswith("y") and thing[-2] not in "aeiou" else f"{thing}s"
    return f"{number:,} {thing if number == 1 else plural}"


def rotate_by(entry: KeyEntry, now: datetime, every: timedelta) -> datetime | None:
    """When a successor should sign; None where one is arranged already or `entry` does not sign."""
    return entry.use_from + every if state(entry, now) is KeyState.ACTIVE and entry.use_until is None else None


def entry_as_json(entry: KeyEntry, now: datetime, every: timedelta) -> dict[str, str | None]:
    """One key for machines; instants in UTC."""
    instants = {
        "publish_from": entry.publish_from,
        "use_from": entry.use_from,
        "use_until": entry.use_until,
        "publish_until": entry.publish_until,
        "rotate_by": rotate_by(entry, now, every),
    }
    told = {name: utc_text(at) if at else None for name, at in instants.items()}
    in_kms = {"kms": entry.private} if entry.private.startswith("arn:") else {}
    return {
        "kid": entry.kid,
        "use": entry.use,
        "algorithm": entry.algorithm,
        "state": state(entry, now),
        **told,
        **in_kms,
    }


def entry_as_text(entry: KeyEntry, now: datetime, every: timedelta) -> str:
    """One key in a few lines."""
    if never_signs(entry):
        return (
            f"{entry.kid}  {entry.algorithm:<5}  {state(entry, now)}, never signs\n"
            f"  published from   {local_and_utc(entry.publish_from)}\n"
            f"  published until  {local_and_utc(entry.publish_until)}"
        )
    lines = [
        f"{entry.kid}  {entry.algorithm:<5}  {state(entry, now)}",
        f"  published from   {local_and_utc(entry.publish_from)}",
        f"  signs from       {local_and_utc(entry.use_from)}",
        f"  signs until      {local_and_utc(entry.use_until)}",
        f"  published until  {local_and_utc(entry.publish_until)}",
    ]
    if due := rotate_by(entry, now, every):
        lines.append(f"  rotate by        {local_and_utc(due)}")
    if entry.private.startswith("arn:"):
        lines.append(f"  in AWS KMS       {entry.private}")
    return "\n".join(lines)


def rotation_as_json(rotation: Rotation, now: datetime, every: timedelta) -> dict[str, object]:
    """A rotation for machines."""
    new, old = rotation.successor, rotation.predecessor
    return {
        "successor": entry_as_json(new, now, every),
        "predecessor": entry_as_json(old, now, every) if old else None,
    }


def rotation_as_text(rotation: Rotation, rules: RotationRules) -> str:
    """A rotation in words."""
    new, old = rotation.successor, rotation.predecessor
    in_time = (
        "so that every verifier has it in time"
        if is_noticed_everywhere(new, rules)
        else "but not every verifier has it in time"
    )
    if old is None:
        return f"{new.algorithm}: first key {new.kid}\n  It is published and signs from now on."
    return (
        f"{new.algorithm}: new key {new.kid}\n"
        f"  It is published now, {in_time}.\n"
        f"  It signs from {local_and_utc(new.use_from)}.\n"
        f"  Until then key {old.kid} signs. That one stays published\n"
        f"  until {local_and_utc(old.publish_until)}, so that its last tokens stay valid."
    )
