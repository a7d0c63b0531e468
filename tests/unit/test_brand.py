"""An account's accent becomes colours that can be read, in light and dark (ux.md section 4, Contrast routine)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authsvc.web.brand import NotAColor, brand_css, brand_path, contrast, palette

# accent: on-accent, light accent-ink, dark accent-ink
VECTORS = {
    "#14465e": ("#ffffff", "#14465e", "#54afdb"),
    "#ffd400": ("#0e151a", "#7f6a00", "#ffd400"),
    "#ff6a00": ("#0e151a", "#b84c00", "#ff8229"),
    "#d6001c": ("#ffffff", "#d6001c", "#ff7a8c"),
    "#777777": ("#ffffff", "#6d6d6d", "#a5a5a5"),
    "#ffffff": ("#0e151a", "#6e6e6e", "#ffffff"),
}
LIGHT_SURFACE, DARK_SURFACE = "#ffffff", "#161f26"
accents = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@pytest.mark.parametrize(("accent", "expected"), VECTORS.items())
def test_the_palette_matches_the_published_vectors(accent: str, expected: tuple[str, str, str]) -> None:
    """The test vectors of ux.md section 4."""
    colors = palette(accent)
    assert (colors.light.on_accent, colors.light.accent_ink, colors.dark.accent_ink) == expected


def test_an_accent_that_neither_white_nor_black_can_stand_on_is_darkened() -> None:
    """#777777 becomes #747474; every other vector keeps its own colour in light."""
    assert palette("#777777").light.accent == "#747474"
    assert all(palette(accent).light.accent == accent for accent in VECTORS if accent != "#777777")


@settings(max_examples=150, deadline=None)
@given(accent=accents)
def test_every_accent_gives_readable_text(accent: str) -> None:
    """Text on buttons and on the brand side 4.5; links on sunken 4.5 in light, 6 in dark."""
    colors = palette(accent)
    for shades in (colors.light, colors.dark):
        assert contrast(shades.on_accent, shades.accent) >= 4.5
        assert contrast(shades.on_brand, shades.brand) >= 4.5
    assert contrast(colors.light.accent_ink, "#eef2f4") >= 4.5
    assert contrast(colors.dark.accent_ink, "#1d2830") >= 6


@settings(max_examples=150, deadline=None)
@given(accent=accents)
def test_a_button_can_be_told_from_its_page(accent: str) -> None:
    """An accent under 3:1 on surface gets a border in accent-ink; any other needs none."""
    colors = palette(accent)
    for shades, surface in ((colors.light, LIGHT_SURFACE), (colors.dark, DARK_SURFACE)):
        faint = contrast(shades.accent, surface) < 3
        assert shades.button_edge == (shades.accent_ink if faint else None)


@settings(max_examples=150, deadline=None)
@given(accent=accents)
def test_the_brand_side_is_deep_in_dark(accent: str) -> None:
    """In dark the brand side uses a deepened accent, so that it does not outshine the page."""
    assert contrast(palette(accent).dark.brand, "#e9eff3") >= 12


def test_a_light_accent_flips_the_drawing() -> None:
    """The drawing is white, so a light brand side inverts it; the deepened side in dark does not."""
    light, dark = brand_css("#ffd400").splitlines()
    assert "--art:invert(1)" in light
    assert "--art:none" in dark
    assert "--art:none" in brand_css("#14465e").splitlines()[0]


@settings(max_examples=50, deadline=None)
@given(accent=accents)
def test_the_brand_stylesheet_stays_small(accent: str) -> None:
    """Under 1 KB, one rule per mode and nothing but custom properties."""
    css = brand_css(accent)
    assert len(css.encode()) < 1024
    assert css.count("{") == css.count("}") == 3
    assert css.count(":root{") == 2


@pytest.mark.parametrize(("short", "long"), [("#fd0", "#ffdd00"), ("FD0", "#ffdd00"), ("#FFDD00", "#ffdd00")])
def test_one_color_has_one_stylesheet(short: str, long: str) -> None:
    """However the colour is written, address and content are the same."""
    assert brand_css(short) == brand_css(long)
    assert brand_path("northgate", short) == brand_path("northgate", long)


def test_the_stylesheets_address_names_account_and_content() -> None:
    """/brand/<slug>-<hash>.css: immutable, so a new colour needs a new address."""
    path = brand_path("northgate", "#14465e")
    assert path.startswith("/brand/northgate-")
    assert path.endswith(".css")
    assert path != brand_path("northgate", "#14465f")


@pytest.mark.parametrize("junk", ["", "#12345", "red", "#14465e;}body{display:none", "#14465e\n", "#" + "0" * 50_000])
def test_nothing_but_a_color_reaches_the_stylesheet(junk: str) -> None:
    """Anything else is refused, so that an account's row cannot write CSS."""
    with pytest.raises(NotAColor):
        brand_css(junk)
