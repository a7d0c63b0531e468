"""The bell: what a person is told inside the product, beside the mails about security."""

from authsvc.notifications.kinds import Kind
from authsvc.notifications.notify import Bell, Item, Notifications

__all__ = ["Bell", "Item", "Kind", "Notifications"]
