"""An account's brand: one accent colour in, colours that stay readable in light and dark out (ux.md section 4).

The admin picks one colour; every pair of text and background that follows from it reaches its WCAG contrast here, so no
page has to care. The green switch and the status colours never follow the brand.
"""

from __future__ import annotations

import colorsys
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from authsvc.errors import AuthsvcError, Kind

_TEXT = 4.5  # WCAG 2.2, 1.4.3: text on its background
_LINK_IN_DARK = 6.0  # a link among light text needs more than the minimum to be seen as one
_EDGE = 3.0  # WCAG 2.2, 1.4.11: what shows where a control ends
_BUTTON_IN_DARK = 2.0  # below this a button melts into a dark page
_BRAND_SIDE_IN_DARK = 12.0  # a large solid side must not outshine a dark page

_WHITE = "#ffffff"
_NEAR_BLACK = "#0e151a"
_DARK_INK = "#e9eff3"  # --ink in dark
_STEP = 0.01
_HEX = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")


class NotAColor(AuthsvcError):
    """An accent is a color in hexadecimal, like #14465e."""

    kind = Kind.INVALID


@dataclass(frozen=True)
class Shades:
    """One mode's colours, each as #rrggbb. `button_edge` is None where the button's own fill shows its border."""

    accent: str
    on_accent: str
    accent_ink: str
    button_edge: str | None
    brand: str
    on_brand: str


@dataclass(frozen=True)
class Palette:
    """What follows from one accent, for both modes."""

    light: Shades
    dark: Shades


def palette(accent: str) -> Palette:
    """The readable colours that come closest to `accent` (#rgb or #rrggbb).

    Raises: NotAColor.
    """
    accent = _normal(accent)
    return Palette(
        light=_shades(accent, surface="#ffffff", ink=_darker(accent, on="#eef2f4", ratio=_TEXT)),
        dark=_shades(
            _lighter(accent, on="#161f26", ratio=_BUTTON_IN_DARK),
            surface="#161f26",
            ink=_lighter(accent, on="#1d2830", ratio=_LINK_IN_DARK),
            brand=_darker(accent, on=_DARK_INK, ratio=_BRAND_SIDE_IN_DARK),
        ),
    )


def brand_css(accent: str) -> str:
    """The stylesheet of an account with this accent: custom properties only, under 1 KB.

    Raises: NotAColor.
    """
    colors = palette(accent)
    light, dark = (f":root{{{_declarations(shades)}}}" for shades in (colors.light, colors.dark))
    return f"{light}\n@media (prefers-color-scheme:dark){{{dark}}}\n"


def brand_path(slug: str, accent: str) -> str:
    """Where that stylesheet is served. The name changes with the content, so it may be cached for ever.

    Raises: NotAColor.
    """
    return f"/brand/{slug}-{hashlib.sha256(brand_css(accent).encode()).hexdigest()[:8]}.css"


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _shades(button: str, *, surface: str, ink: str, brand: str | None = None) -> Shades:
    """Settle the button and, where `brand` is None, let the brand side look like it."""
    if max(contrast(button, _WHITE), contrast(button, _NEAR_BLACK)) < _TEXT:
        button = _darker(button, on=_WHITE, ratio=_TEXT)
    on_button = _WHITE if contrast(button, _WHITE) >= _TEXT else _NEAR_BLACK
    return Shades(
        accent=button,
        on_accent=on_button,
        accent_ink=ink,
        button_edge=ink if contrast(button, surface) < _EDGE else None,
        brand=brand or button,
        on_brand=_DARK_INK if brand else on_button,
    )


def _declarations(shades: Shades) -> str:
    """The rule's content. A light brand side inverts the white drawing; under dark text, hovering lightens."""
    return ";".join(
        (
            f"--accent:{shades.accent}",
            f"--on-accent:{shades.on_accent}",
            f"--accent-ink:{shades.accent_ink}",
            f"--rim:{shades.button_edge or 'transparent'}",
            f"--shade:{'rgb(255 255 255/.2)' if shades.on_accent == _NEAR_BLACK else 'rgb(0 0 0/.14)'}",
            f"--brand:{shades.brand}",
            f"--on-brand:{shades.on_brand}",
            f"--art:{'invert(1)' if shades.on_brand == _NEAR_BLACK else 'none'}",
        )
    )


def _normal(color: str) -> str:
    """`color` as #rrggbb in small letters. The only gate between an account's row and a stylesheet."""
    match = _HEX.fullmatch(color)
    if match is None:
        raise NotAColor(detail=f"accent of {len(color)} characters")
    digits = match[1].lower()
    return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))


def _darker(color: str, *, on: str, ratio: float) -> str:
    return _moved(color, lambda lightness: max(0.0, lightness - _STEP), on=on, ratio=ratio)


def _lighter(color: str, *, on: str, ratio: float) -> str:
    return _moved(color, lambda lightness: min(1.0, lightness + _STEP), on=on, ratio=ratio)


def _moved(color: str, step: Callable[[float], float], *, on: str, ratio: float) -> str:
    """The first colour of the same hue, lightness moved step by step, that reaches `ratio` on `on`.

    Every pair used here is met by black or white at the latest, so the walk ends.
    """
    hue, lightness, saturation = colorsys.rgb_to_hls(*_channels(color))
    candidate = color
    while contrast(candidate, on) < ratio:
        lightness = step(lightness)
        candidate = _hexadecimal(*colorsys.hls_to_rgb(hue, lightness, saturation))
    return candidate


def _channels(color: str) -> tuple[float, float, float]:
    return int(color[1:3], 16) / 255, int(color[3:5], 16) / 255, int(color[5:7], 16) / 255


def _hexadecimal(*channels: float) -> str:
    return "#" + "".join(f"{round(min(1.0, max(0.0, channel)) * 255):02x}" for channel in channels)


def _luminance(color: str) -> float:
    """Relative luminance (WCAG 2.2, definitions)."""
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in _channels(color)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
