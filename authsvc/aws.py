"""How AWS is asked, whatever for: bounded waits, and clients that are made when first needed."""

from __future__ import annotations

import os
import threading
from typing import Any

#: Black-holed calls with boto3's defaults take 180 s (security.md 4.3).
CONNECT_S, ANSWER_S = 2, 3


class AwsClients:
    """The clients of one service, one for each region, made anew after a fork. Safe for threads."""

    def __init__(self, service: str, *, endpoint_url: str = "", tries: int = 2, answer_s: int = ANSWER_S) -> None:
        """`endpoint_url`: another address than AWS's. `tries`: 1 for what must not be done twice when an answer is lost."""
        self._service, self._endpoint_url, self._tries, self._answer_s = service, endpoint_url, tries, answer_s
        self._clients: dict[tuple[int, str], Any] = {}
        self._making = threading.Lock()

    def client(self, region: str = "") -> Any:
        """The boto3 client of `region`; empty: as boto3 is configured. Raises: botocore's BotoCoreError."""
        # By process: sockets that were open at a fork belong to two processes.
        known = (os.getpid(), region)
        with self._making:
            if known not in self._clients:
                # Here and not above: 0.3 s of imports that only installations on AWS pay.
                from boto3.session import Session
                from botocore.config import Config

                config = Config(
                    connect_timeout=CONNECT_S,
                    read_timeout=self._answer_s,
                    retries={"mode": "standard", "total_max_attempts": self._tries},
                    max_pool_connections=50,
                    tcp_keepalive=True,
                    # A server at an address of its own has no names for buckets.
                    s3={"addressing_style": "path"} if self._endpoint_url else {},
                )
                self._clients[known] = Session().client(
                    self._service, region_name=region or None, endpoint_url=self._endpoint_url or None, config=config
                )
            return self._clients[known]


def configured_region() -> str:
    """The region that this machine's AWS configuration names, or empty."""
    from boto3.session import Session

    return Session().region_name or ""
