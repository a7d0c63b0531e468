"""How strict this installation is: policies/*.yaml, read once at start into frozen objects, all mistakes at once."""
