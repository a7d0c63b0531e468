"""Being signed in, and what a sign-in is for."""
