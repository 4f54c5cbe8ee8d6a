"""One connection kept alive: its life, its reconnecting, and what is said over it."""
