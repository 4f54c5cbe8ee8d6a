"""One socket: bytes on one side, messages on the other. Knows no client."""
