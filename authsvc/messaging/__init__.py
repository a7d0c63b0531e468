"""Emails and text messages: their words, and the senders that carry them."""
