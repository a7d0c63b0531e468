"""Admin Settings and Investor Settings: what an account's admins see and change (ux.md S20-S22, S24)."""
