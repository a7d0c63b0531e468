"""Debian's mod_auth_openidc under Apache, a relying party in C that many portals already run, against the running service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import requests

from tests.support.install import APACHE, APACHE_MODULES
from tests.support.processes import accepts, free_port, poll, running
from tests.support.remote import RemotePerson, Served
from tests.support.service import CLIENT_SECRET, PASSWORD

CLIENT = """
schema: authsvc/config/1
clients:
  - client_id: apache
    client_name: Apache
    client_secret: {{env: PORTAL_SECRET}}
    redirect_uris: ["{site}/private/callback"]
    post_logout_redirect_uris: ["{site}/bye.html"]
    backchannel_logout_uri: "{site}/private/callback?logout=backchannel"
    backchannel_logout_session_required: true
    grant_types: [authorization_code, refresh_token]
    scope: openid profile email offline_access
"""
CONFIGURATION = """
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
DocumentRoot {folder}/site
{modules}
<Directory {folder}/site>
    Require all granted
</Directory>
OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID apache
OIDCClientSecret {secret}
OIDCRedirectURI {site}/private/callback
OIDCScope "openid profile email offline_access"
OIDCPKCEMethod S256
OIDCCryptoPassphrase for-this-test-alone
OIDCInfoHook access_token userinfo
OIDCPathAuthRequestParams account=northgate
<Location /private/>
    AuthType openid-connect
    Require valid-user
    Header set X-Subject "%{{OIDC_CLAIM_sub}}e"
    Header set X-Email "%{{OIDC_CLAIM_email}}e"
    Header set X-Acr "%{{OIDC_CLAIM_acr}}e"
</Location>
"""


@dataclass
class Site:
    """Apache with one private page."""

    url: str
    service: Served

    def visit(self, browser: requests.Session, path: str) -> requests.Response:
        """Fetch a page; redirects within the site and to the sign-in are followed by hand."""
        return browser.get(self.url + path, allow_redirects=False, timeout=10)


@pytest.fixture(scope="module")
def site(live: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Started once; its client is provisioned into the running service."""
    folder, port = tmp_path_factory.mktemp("apache"), free_port()
    url = f"http://127.0.0.1:{port}"
    (folder / "client.yaml").write_text(CLIENT.format(site=url))
    live.run("apply", str(folder / "client.yaml"))
    for name, text in (("bye.html", "<p>Bye.</p>"), ("private/page.html", "<p>Private.</p>")):
        path = folder / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    # Apache gives up root to www-data where it has it; the folder is pytest's own otherwise.
    for part in (folder, *folder.parents[:2], *folder.rglob("*")):
        part.chmod(part.stat().st_mode | 0o055 if part.is_dir() else 0o644)
    modules = "\n".join(f"LoadModule {name}_module {path}" for name, path in APACHE_MODULES.items() if path.exists())
    text = CONFIGURATION.format(
        port=port, folder=folder, site=url, issuer=live.issuer, secret=CLIENT_SECRET, modules=modules
    )
    (folder / "apache.conf").write_text(text)
    command = [str(APACHE), "-X", "-f", str(folder / "apache.conf")]
    with running(command, {}, ready=lambda: accepts(port), deadline_s=20):
        yield Site(url, live)


def sign_in(site: Site, address: str) -> tuple[requests.Session, RemotePerson, requests.Response]:
    """From the private page through the real sign-in and back to it."""
    browser, person = requests.Session(), RemotePerson(site.service.issuer)
    browser.trust_env = False
    asked = site.visit(browser, "/private/page.html")
    assert asked.status_code == 302
    before = site.service.messages_to(address)
    person.open(asked.headers["Location"].removeprefix(site.service.issuer))
    person.submit(email=address, password=PASSWORD)
    person.submit(code=site.service.code_for(address, after=before))
    assert person.left_for is not None
    back = browser.get(person.left_for, allow_redirects=False, timeout=10)
    assert back.headers["Location"] == f"{site.url}/private/page.html", back.text
    return browser, person, site.visit(browser, "/private/page.html")


def test_it_signs_in_with_a_code_and_learns_who_it_is(site: Site, somebody: Callable[[], str]) -> None:
    """Discovery, PKCE, ID token and UserInfo by its own code; the page is open only afterwards."""
    address = somebody()
    _, _, page = sign_in(site, address)
    assert (page.status_code, page.text) == (200, "<p>Private.</p>")
    assert page.headers["X-Email"] == address
    assert page.headers["X-Acr"] == "urn:ims:acr:two-step"
    assert len(page.headers["X-Subject"]) == 32


def test_it_refreshes(site: Site, somebody: Callable[[], str]) -> None:
    """Its refresh hook trades the refresh token for another access token."""
    browser, _, _ = sign_in(site, somebody())
    first = site.visit(browser, "/private/callback?info=json").json()["access_token"]
    answer = browser.get(
        f"{site.url}/private/callback",
        params={"refresh": f"{site.url}/private/page.html", "access_token": first},
        allow_redirects=False,
        timeout=10,
    )
    assert answer.headers["Location"] == f"{site.url}/private/page.html"
    assert site.visit(browser, "/private/callback?info=json").json()["access_token"] != first


def test_it_signs_out_here_and_there(site: Site, somebody: Callable[[], str]) -> None:
    """RP-Initiated Logout: back at the site's own page, and the session at the sign-in is gone."""
    browser, person, _ = sign_in(site, somebody())
    out = browser.get(
        f"{site.url}/private/callback", params={"logout": f"{site.url}/bye.html"}, allow_redirects=False, timeout=10
    )
    assert out.headers["Location"].startswith(f"{site.service.issuer}/oauth/logout?")
    person.open(out.headers["Location"].removeprefix(site.service.issuer))
    assert person.left_for is not None
    assert person.left_for.startswith(f"{site.url}/bye.html")
    assert person.open("/").h1 == "Sign in"
    assert site.visit(browser, "/private/page.html").status_code == 302


def test_it_hears_of_a_sign_out_that_it_did_not_ask_for(site: Site, somebody: Callable[[], str]) -> None:
    """Back-Channel Logout 1.0: Dana signs out at the sign-in, the worker posts a logout token, and Apache, by its own reading
    of it, ends her session there and nobody else's.
    """
    browser, person, _ = sign_in(site, somebody())
    other, _, _ = sign_in(site, somebody())
    person.open("/sign-out")
    person.submit()
    assert person.here.h1 == "Sign in"
    poll(lambda: site.visit(browser, "/private/page.html").status_code == 302, what="the end of Apache's session")
    assert site.visit(other, "/private/page.html").status_code == 200
