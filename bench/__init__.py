"""Benchmarks: what one request costs the server, measured so that it can be measured again. README.md says how."""
