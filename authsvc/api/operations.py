"""Every operation of the account API: the one table of routes, scopes, models and use cases."""

from __future__ import annotations

from authsvc.api import accounts, browsers, clients, data_access, exports, members, notifications, trail
from authsvc.api.operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    *accounts.OPERATIONS,
    *members.OPERATIONS,
    *data_access.OPERATIONS,
    *browsers.OPERATIONS,
    *exports.OPERATIONS,
    *trail.OPERATIONS,
    *clients.OPERATIONS,
    *notifications.OPERATIONS,
)
