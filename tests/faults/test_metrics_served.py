"""The running service: metrics on their own port, whatever becomes of the processes that count; and what is closed (PL-05)."""

from __future__ import annotations

import re
from pathlib import Path

import requests

from tests.support.processes import free_port, poll
from tests.support.remote import served

PROVISIONING = "schema: authsvc/config/1\naccounts: []\n"
REQUESTS = 30


def test_pl_05_metrics_have_a_port_of_their_own_and_outlive_their_processes(tmp_path: Path) -> None:
    """Two web processes and the worker are added up; a killed one's counts stay, its gauges go; nothing is left behind.

    On the public port: no /metrics, no TRACE, no console, no repository, and no header makes the issuer another.
    """
    port, folder = free_port(), tmp_path / "tmp"
    folder.mkdir()
    settings = {"AUTHSVC_METRICS_BIND": f"127.0.0.1:{port}", "AUTHSVC_WORKERS": "2", "TMPDIR": str(folder)}
    with served(tmp_path, PROVISIONING, **settings) as service, requests.Session() as http:
        http.trust_env = False

        def scrape() -> str:
            return http.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text

        def counted(route: str) -> float:
            found = re.search(rf'_count{{method="GET",route="{route}",status="2xx"}} (\S+)', scrape())
            return float(found[1]) if found else 0.0

        def ask(times: int) -> None:
            for _ in range(times):
                # A connection each, so that both processes get some.
                assert requests.get(f"{service.issuer}/oauth/jwks", timeout=30).status_code == 200

        ask(REQUESTS)
        poll(lambda: counted("/oauth/jwks") == REQUESTS, 60, what="every request in the metrics")
        assert 'authsvc_not_ready{reason="database"} 0.0' in scrape()
        victim = service.web_workers()[0]
        victim.kill()
        poll(lambda: not list(folder.glob(f"*/gauge_*_{victim.pid}.db")), 60, what="the end of its gauges")
        ask(5)
        poll(lambda: counted("/oauth/jwks") == REQUESTS + 5, 60, what="the counts of both lives")

        for path in ("/metrics", "/.git/config", "/console", "/debug", "/oauth/jwks/.."):
            answer = http.get(service.issuer + path, timeout=30)
            assert answer.status_code == 404, path
            assert "authsvc_" not in answer.text
        trace = http.request("TRACE", f"{service.issuer}/oauth/jwks", headers={"X-Echo": "echo-me"}, timeout=30)
        assert (trace.status_code, "echo-me" in trace.text) == (405, False)
        lied_to = {
            "X-Forwarded-Proto": "ftp",
            "X-Forwarded-Host": "evil.example",
            "Forwarded": "proto=ftp;host=evil.example",
        }
        document = http.get(f"{service.issuer}/.well-known/openid-configuration", headers=lied_to, timeout=30).json()
        assert document["issuer"] == service.issuer
        assert "evil.example" not in str(document)
        assert "Werkzeug" not in http.get(f"{service.issuer}/sign-in?__debugger__=yes", timeout=30).text
        service.process.process.terminate()
        poll(lambda: service.process.process.poll() is not None, 120, what="an orderly end")
        assert list(folder.iterdir()) == []
