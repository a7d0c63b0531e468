"""Work to be done soon, as rows: queued in the transaction that wants it, leased by a worker, never lost."""

from authsvc.jobs.queue import Queue

__all__ = ["Queue"]
