"""Signing in: from the password page to a session."""
