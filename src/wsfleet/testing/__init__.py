"""Test servers and faults (extra `testing`)."""
