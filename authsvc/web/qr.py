"""QR codes, as pictures that our pages may show: the policy allows no inline styles and no data: addresses."""

from __future__ import annotations

import io

import segno


def svg(text: str) -> bytes:
    """`text` as an SVG, black on white with its quiet zone, so that a camera reads it in dark mode too."""
    out = io.BytesIO()
    segno.make(text, micro=False, error="m").save(out, kind="svg", border=4, dark="#000", light="#fff", omitsize=True)
    return out.getvalue()
