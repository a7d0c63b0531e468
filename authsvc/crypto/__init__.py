"""Secrets: opaque tokens and their digests, sealed fields, password hashes."""
