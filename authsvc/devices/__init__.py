"""Remembered devices: 30 days without a code, for one person in one account on one browser."""
