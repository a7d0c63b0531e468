from __future__ import annotations
import json, base64
from tests.support.service import *

def show(tag, r):
    print(tag, r.status_code, dict(r.headers).get("Location","")[:300], r.get_data(as_text=True)[:200].replace("\n"," ") if "html" not in (r.content_type or "") else "(html)")

def test_probe(service):
    service.member(service.account())
    service.client()
    service.client("machine", grant_types=["client_credentials"], scope="investors.read openid", redirect_uris=[])
    show("cc cold", service.token(client=("machine", CLIENT_SECRET), grant_type="client_credentials"))
    v, ch = pkce()
    p = service.person()
    def auth(**c):
        return p.client.get("/oauth/authorize", base_url=ISSUER, query_string=service.authorization_request(ch, **c))
    p.open("/oauth/authorize", **service.authorization_request(ch)); p.submit(email=DANA, password=PASSWORD)
    t = service.redeem(p, v)
    print(service.claims(t["id_token"])); print(service.claims(t["access_token"]))
    show("no scope", auth(scope=None))
    show("unknown scope", auth(scope="openid admin"))
    show("extra unicode", auth(extra="é"))
    show("extra nul", auth(extra="\0"))
    show("valueless", auth(max_age="", resource="", account="", response_mode="", request=""))
    show("long nonce", auth(nonce="n"*600))
    show("nul nonce", auth(nonce="n\0"))
    show("nul hint", service.machine().get("/oauth/authorize", base_url=ISSUER, query_string=service.authorization_request(ch, login_hint="a\0b")))
    show("nul request", service.machine().get("/oauth/authorize", base_url=ISSUER, query_string={"request": "\0"*32}, headers={"Cookie": "__Host-browser=abc"}))
    show("basic nul", service.token(client=("%00a", "x"), grant_type="refresh_token"))
    show("missing grant", service.token())
    show("empty code", service.token(grant_type="authorization_code", code=""))
    deep = base64.urlsafe_b64encode(b"["*9000).rstrip(b"=").decode()
    for tok in (deep+".e30.x", base64.urlsafe_b64encode(b'[]').decode().rstrip("=")+".e30.x", base64.urlsafe_b64encode(b'["alg"]').decode().rstrip("=")+".e30.x",
        base64.urlsafe_b64encode(b'{"alg":["ES256"],"kid":"x"}').decode().rstrip("=")+".e30.x", base64.urlsafe_b64encode(b'{"alg":{},"kid":"x"}').decode().rstrip("=")+".e30.x",
        base64.urlsafe_b64encode(b'{"alg":"ES256","kid":["x"]}').decode().rstrip("=")+".e30.x", base64.urlsafe_b64encode(b'"alg"').decode().rstrip("=")+".e30.x", base64.urlsafe_b64encode(b'7').decode().rstrip("=")+".e30.x","\xe9.a.b"):
        show("ui", service.machine().get("/oauth/userinfo", base_url=ISSUER, headers={"Authorization": "Bearer "+tok}))
        show("lo", p.client.get("/oauth/logout", base_url=ISSUER, query_string={"id_token_hint": tok[:8000]}))
    show("logout hint", service.person().client.get("/oauth/logout", base_url=ISSUER, query_string={"id_token_hint": t["id_token"], "post_logout_redirect_uri": f"{PORTAL}/", "state": "x y"}))
    show("logout hint+client", service.person().client.get("/oauth/logout", base_url=ISSUER, query_string={"client_id": "ims-portal", "id_token_hint": t["id_token"], "post_logout_redirect_uri": f"{PORTAL}/", "state": "x y"}))
    show("logout access token", p.client.get("/oauth/logout", base_url=ISSUER, query_string={"id_token_hint": t["access_token"]}))
    show("post authorize", p.client.post("/oauth/authorize", base_url=ISSUER, data=service.authorization_request(ch)))
    show("session still?", auth(prompt="none"))
