"""The audit trail: who did what, when and from where. A table, not a log."""

from authsvc.audit.events import Event
from authsvc.audit.log import AuditLog

__all__ = ["AuditLog", "Event"]
