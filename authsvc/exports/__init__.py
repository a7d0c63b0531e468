"""Sensitive exports: asked for by one person, built here or handed over by a client, sealed, and theirs alone."""
