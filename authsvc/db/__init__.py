"""The database: engine and transactions, the base of all tables, migrations."""

from authsvc.db.base import Base
from authsvc.db.engine import Database, DatabaseUnavailable, TransactionAlreadyOpen, after_commit

__all__ = ["Base", "Database", "DatabaseUnavailable", "TransactionAlreadyOpen", "after_commit"]
