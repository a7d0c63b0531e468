"""My Profile: what a person sees and changes about their own sign-in (ux.md S16-S18)."""
