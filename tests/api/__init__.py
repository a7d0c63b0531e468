"""The account API: each operation, who may not call it, and what it can be sent."""
