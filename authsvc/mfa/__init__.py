"""The second step: what is required, which codes are out, who may skip."""
