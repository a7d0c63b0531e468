"""Files come in over real HTTP; the service is killed, its disk is full, the client goes. Nothing half is ever offered."""

from __future__ import annotations

import hashlib
import http.client
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import requests

from tests.support.processes import poll
from tests.support.remote import RemotePerson, Served, served
from tests.support.service import PASSWORD

ADDRESS = "dana@northgate.example"
SECRET = "crm-secret-0123456789"
PROVISIONING = f"""
schema: authsvc/config/1
accounts:
  - slug: northgate
    name: Northgate Capital Partners
    portal_url: https://portal.northgate.example
    mfa: {{team: {{enabled: false}}}}
    members:
      - email: {ADDRESS}
        name: Dana Whitfield
        sensitive_data_access: true
        email_verified: true
        password: {{env: DEMO_PASSWORD}}
clients:
  - client_id: crm
    client_name: CRM
    client_secret: {{env: CRM_SECRET}}
    token_endpoint_auth_method: client_secret_basic
    grant_types: [client_credentials]
    scope: members.read exports.write
"""
MIB = 1 << 20
CONTENT = os.urandom(8 * MIB)


@dataclass
class Crm:
    """A service of IMS that hands a file over to Dana."""

    service: Served
    http: requests.Session
    person: str = ""

    @classmethod
    def at(cls, service: Served) -> Crm:
        """With a token of its own."""
        session = requests.Session()
        session.trust_env = False
        form = {"grant_type": "client_credentials", "resource": service.issuer}
        token = session.post(f"{service.issuer}/oauth/token", data=form, auth=("crm", SECRET), timeout=60).json()
        session.headers["Authorization"] = f"Bearer {token['access_token']}"
        [dana] = session.get(f"{service.issuer}/api/v1/members?account=northgate", timeout=60).json()["items"]
        return cls(service, session, dana["person"])

    def announce(self, name: str) -> str:
        """The id of a new export of CONTENT."""
        said = self.http.post(
            f"{self.service.issuer}/api/v1/exports",
            json={
                "account": "northgate",
                "person": self.person,
                "name": name,
                "media_type": "application/zip",
                "size": len(CONTENT),
                "sha256": hashlib.sha256(CONTENT).hexdigest(),
            },
            timeout=60,
        )
        assert said.status_code == 201, said.text
        return str(said.json()["id"])

    def status(self, export_id: str) -> str:
        """As it is told."""
        said = self.http.get(f"{self.service.issuer}/api/v1/exports/{export_id}", timeout=60)
        return str(said.json()["status"])

    def send(self, export_id: str, content: bytes = CONTENT) -> requests.Response:
        """All of it."""
        url = f"{self.service.issuer}/api/v1/exports/{export_id}/file"
        return self.http.put(url, data=content, headers={"Content-Type": "application/zip"}, timeout=120)

    def begin(self, export_id: str) -> http.client.HTTPConnection:
        """Half of it, over a connection that stays open; answered once so much has arrived."""
        where = urlsplit(self.service.issuer)
        connection = http.client.HTTPConnection(where.hostname or "", where.port or 80, timeout=60)
        connection.putrequest("PUT", f"/api/v1/exports/{export_id}/file")
        connection.putheader("Authorization", str(self.http.headers["Authorization"]))
        connection.putheader("Content-Type", "application/zip")
        connection.putheader("Content-Length", str(len(CONTENT)))
        connection.endheaders(CONTENT[: len(CONTENT) // 2])
        half = len(CONTENT) // 2 - 2 * MIB
        poll(lambda: any(file.stat().st_size > half for file in self.lying()), 60, what="half of the file")
        return connection

    def lying(self) -> list[Path]:
        """Every file in the store, whole or half."""
        folder = self.service.folder / "var/exports"
        return list(folder.iterdir()) if folder.exists() else []


class Dana(RemotePerson):
    """At My Profile > Exports."""

    def sees(self, name: str) -> str:
        """What the list says of an export."""
        text = self.open("/profile/exports").text
        row = text[text.rindex(name) :]  # the bell tells of it first
        return next(word for word in ("Processing", "Ready", "Failed", "Expired") if word in row)

    def download(self, export_id: str) -> bytes:
        """A click on "Download"."""
        return self.http.get(f"{self.issuer}/profile/exports/{export_id}/file", timeout=60).content


def test_tn10_whatever_happens_to_a_transfer_only_the_whole_file_is_offered(tmp_path: Path) -> None:
    """The client goes in the middle; the web worker is killed in the middle; the disk is full. And each is sent again, whole.

    Each time the person reads "Processing", which is true, and a click on a file that is not there gives none.
    """
    with served(tmp_path, PROVISIONING, CRM_SECRET=SECRET) as service:
        crm, dana = Crm.at(service), Dana(service.issuer, may_retry=True)
        dana.open("/sign-in")
        dana.submit(email=ADDRESS, password=PASSWORD)

        def is_only_processing(name: str, export_id: str) -> None:
            assert (dana.sees(name), crm.status(export_id)) == ("Processing", "processing")
            assert b"<h1" in dana.download(export_id)

        left = crm.announce("Left by its client")
        connection = crm.begin(left)
        is_only_processing("Left by its client", left)
        connection.close()
        poll(lambda: not crm.lying(), 60, what="the end of the half file")
        is_only_processing("Left by its client", left)

        killed = crm.announce("Killed in the middle")
        connection = crm.begin(killed)
        for worker in service.web_workers():
            worker.kill()
        connection.close()
        assert [file.name.endswith(".half") for file in crm.lying()] == [True]
        is_only_processing("Killed in the middle", killed)

        full = crm.announce("On a full disk")
        workers = poll(lambda: [one for one in service.web_workers() if one.is_running()], 60, what="a new worker")
        for worker in workers:
            worker.rlimit(psutil.RLIMIT_FSIZE, (5 * MIB, psutil.RLIM_INFINITY))
        refused = crm.send(full)
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:ims:problem:unavailable")
        assert "Retry-After" in refused.headers
        is_only_processing("On a full disk", full)
        for worker in workers:
            worker.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))

        for name, export_id in (
            ("Left by its client", left),
            ("Killed in the middle", killed),
            ("On a full disk", full),
        ):
            assert crm.send(export_id).json()["status"] == "ready"
            assert dana.sees(name) == "Ready"
            assert dana.download(export_id) == CONTENT
        assert [file.name.endswith(".half") for file in crm.lying()] == [False] * 3
        # A refusal is read although the client is still sending: the rest is not wanted.
        assert crm.send(full).json()["type"] == "urn:ims:problem:export-over"
