"""My Profile: what a person sees and changes about themselves (ux.md S16 to S19)."""
