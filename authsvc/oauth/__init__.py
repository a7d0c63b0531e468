"""OAuth 2.0 and OpenID Connect, on Authlib's hooks. Below views.py nothing knows Flask."""
