"""The alphabet of text messages (3GPP TS 23.038, 6.2.1). With one character outside it a segment holds 70."""

from __future__ import annotations

import re
import unicodedata

SEGMENT_SEPTETS = 160

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")  # each sent as escape and character, so two septets

# What compatibility decomposition does not bring near the alphabet.
_NEAREST = str.maketrans(
    {
        "‘": "'",
        "’": "'",
        "“": '"',
        "”": '"',
        "–": "-",
        "—": "-",
        "−": "-",
        "…": "...",
        "•": "-",
        "œ": "oe",
        "Œ": "OE",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "Đ": "D",
        "ð": "d",
        "Ð": "D",
        "þ": "th",
        "Þ": "Th",
        "ı": "i",
        "€": "EUR",
    }
)
# What phones turn into a link, or read as the line that binds a code to a site. Only our own last line may be that.
_LINKING = re.compile(r"[@#/:\\]|(?<=\S)\.(?=\S)")


def septets(text: str) -> int | None:
    """How many of a segment's 160 septets `text` takes, or None when it has a character outside the alphabet."""
    total = 0
    for char in text:
        if char in _BASIC:
            total += 1
        elif char in _EXTENSION:
            total += 2
        else:
            return None
    return total


def plain_name(name: str) -> str:
    """`name` in characters of one septet each: letters lose what the alphabet lacks, the rest is dropped. May be empty.

    It cannot become a link or the domain-bound line of another site.
    """
    nearest = "".join(map(_nearest, unicodedata.normalize("NFC", name)))
    return " ".join(_LINKING.sub(" ", nearest).split())


def _nearest(char: str) -> str:
    if char in _BASIC:
        return char
    decomposed = unicodedata.normalize("NFKD", char.translate(_NEAREST))
    return "".join(part for part in decomposed if part in _BASIC)
