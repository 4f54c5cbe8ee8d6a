"""Many clients: supervised, scored, and routed over."""
