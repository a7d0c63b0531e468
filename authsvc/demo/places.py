"""Where the parts of the demonstration are, and whose portal it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from importlib.resources import files
from typing import Any, Self

import yaml

from authsvc.errors import ConfigurationError

PORTS = "AUTHSVC_DEMO_PORTS"
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Places:
    """The four ports, all on loopback: the service and what stands around it."""

    sign_in: int = 8000
    portal: int = 8001
    microservice: int = 8002
    inbox: int = 8003

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """The ports of AUTHSVC_DEMO_PORTS (four, comma-separated, in the order above). Raises: ConfigurationError."""
        given = environ.get(PORTS, "")
        if not given:
            return cls()
        parts = [part.strip() for part in given.split(",")]
        if len(parts) != 4 or not all(part.isdecimal() and 0 < int(part) < 65536 for part in parts):
            raise ConfigurationError([f"{PORTS} must be four ports such as 8000,8001,8002,8003"])
        if len(set(parts)) != 4:
            raise ConfigurationError([f"{PORTS} must be four different ports"])
        return cls(*map(int, parts))

    def as_environment(self) -> dict[str, str]:
        """What tells a child process the same."""
        return {PORTS: ",".join(map(str, astuple(self)))}


def url_of(port: int) -> str:
    """The address of a port."""
    return f"http://{HOST}:{port}"


@dataclass(frozen=True)
class Sample:
    """What the small programs know of demo.yaml: one account, its first person, its client and its API."""

    slug: str
    name: str
    accent: str
    time_zone: str
    email: str
    client_id: str
    scope: str
    audience: str

    @classmethod
    def read(cls) -> Self:
        """The sample as it is shipped."""
        content: dict[str, Any] = yaml.safe_load(template())
        account, client, api = content["accounts"][0], content["clients"][0], content["resource_servers"][0]
        return cls(
            slug=account["slug"],
            name=account["name"],
            accent=account["accent"],
            time_zone=account["time_zone"],
            email=account["members"][0]["email"],
            client_id=client["client_id"],
            # The portal lives as long as the sign-in does, so it asks for no offline_access.
            scope="openid profile email investors.read notifications.read",
            audience=api["identifier"],
        )


def template() -> str:
    """demo.yaml, written for the default ports."""
    return (files("authsvc.demo") / "demo.yaml").read_text()


def provisioning(places: Places) -> str:
    """demo.yaml for these ports: redirect addresses are compared to the letter, so they must be the portal's own."""
    return template().replace(url_of(Places().portal), url_of(places.portal))
