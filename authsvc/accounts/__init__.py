"""Accounts, the people in them, their email addresses, phones and passwords."""
