"""The server itself: what arrives on its sockets, and how it starts and stops."""
