"""Which home AUTHSVC_EXPORTS_URL names."""

from __future__ import annotations

import re
from pathlib import Path

from authsvc.crypto.seal import Sealer
from authsvc.errors import ConfigurationError
from authsvc.exports.files import FileStore
from authsvc.exports.stores.directory import DirectoryStore
from authsvc.exports.stores.s3 import S3Store
from authsvc.exports.stores.sealing import FileKeys
from authsvc.settings import EXPORTS_HOME


def store_for(url: str, *, sealer: Sealer, aws_endpoint_url: str = "") -> FileStore:
    """The home at `url`: `dir:PATH[?shared]` or `s3://BUCKET[/PREFIX][?kms_key_id=KEY]`. Nothing is opened yet.

    Raises: ConfigurationError.
    """
    found = re.fullmatch(EXPORTS_HOME, url)
    if found is None:
        raise ConfigurationError(["AUTHSVC_EXPORTS_URL must be dir:PATH or s3://BUCKET/PREFIX"])
    keys = FileKeys(sealer)
    if found["folder"]:
        return DirectoryStore(Path(found["folder"]), keys)
    return S3Store(
        found["bucket"],
        (found["prefix"] or "").rstrip("/"),
        keys,
        kms_key_id=found["kms_key_id"] or "",
        endpoint_url=aws_endpoint_url,
    )
