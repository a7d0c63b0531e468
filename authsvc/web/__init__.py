"""HTTP plumbing shared by every page and endpoint."""
