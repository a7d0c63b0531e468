"""A small MaxMind DB file, written as its specification has it (MaxMind DB 2.0). Real ones are somebody's data."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

MARKER = b"\xab\xcd\xefMaxMind.com"


def city(name: str | None, country: tuple[str, str], *, area: str | None = None) -> dict[str, Any]:
    """A row as GeoLite2-City has it; `country`: code and name, `area`: the code of the state."""
    row: dict[str, Any] = {"country": {"iso_code": country[0], "names": {"de": "Anderswo", "en": country[1]}}}
    if name is not None:
        row["city"] = {"names": {"en": name}}
    if area is not None:
        row["subdivisions"] = [{"iso_code": area, "names": {"en": "The State"}}]
    return row


def write(file: Path, rows: dict[str, Any], *, kind: str = "GeoLite2-City", ip_version: int = 6) -> Path:
    """`rows`: network -> row. A v4 network lies at ::/96 of a v6 file."""
    tree: list[list[int | None]] = [[None, None]]
    data, leaves = b"", []
    for network, row in rows.items():
        node, bits = 0, _bits(network, ip_version)
        for bit in bits[:-1]:
            if tree[node][bit] is None:
                tree[node][bit] = len(tree)
                tree.append([None, None])
            node = tree[node][bit] or 0
        leaves.append((node, bits[-1], len(data)))
        data += _encode(row)
    count = len(tree)
    for node, bit, at in leaves:
        tree[node][bit] = count + 16 + at
    nodes = b"".join((count if side is None else side).to_bytes(3, "big") for node in tree for side in node)
    metadata = {
        "node_count": _number(count, 6),
        "record_size": _number(24, 5),
        "ip_version": _number(ip_version, 5),
        "database_type": _encode(kind),
        "languages": _encode(["en"]),
        "binary_format_major_version": _number(2, 5),
        "binary_format_minor_version": _number(0, 5),
        "build_epoch": _number(1, 9),
        "description": _encode({"en": "for tests"}),
    }
    fields = b"".join(_encode(name) + value for name, value in metadata.items())
    file.write_bytes(nodes + b"\0" * 16 + data + MARKER + _control(7, len(metadata)) + fields)
    return file


def _bits(network: str, ip_version: int) -> list[int]:
    parsed = ip_network(network)
    text = f"{int(parsed.network_address):0{parsed.max_prefixlen}b}"[: parsed.prefixlen]
    if ip_version == 6 and parsed.version == 4:
        text = "0" * 96 + text
    return [int(bit) for bit in text]


def _encode(value: Any) -> bytes:
    if isinstance(value, str):
        raw = value.encode()
        return _control(2, len(raw)) + raw
    if isinstance(value, dict):
        return _control(7, len(value)) + b"".join(_encode(key) + _encode(one) for key, one in value.items())
    if isinstance(value, list):
        return _control(11, len(value)) + b"".join(map(_encode, value))
    return _number(value, 6)


def _number(value: int, kind: int) -> bytes:
    raw = value.to_bytes({5: 2, 6: 4, 9: 8}[kind], "big")
    return _control(kind, len(raw)) + raw


def _control(kind: int, size: int) -> bytes:
    first, extended = (kind << 5, b"") if kind < 8 else (0, bytes([kind - 7]))
    if size < 29:
        return bytes([first | size]) + extended
    return bytes([first | 29]) + extended + bytes([size - 29])
