"""The two homes of export files: a folder, and S3. Both hold sealed bytes only; the key of each file stands in its row."""

from __future__ import annotations

from authsvc.exports.stores.choose import store_for
from authsvc.exports.stores.trial import try_out

__all__ = ["store_for", "try_out"]
