"""What each SQL and Redis store promises, on SQLite and on PostgreSQL."""
