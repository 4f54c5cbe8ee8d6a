"""
The libraries that are measured, each in a file of its own, and all in the same mode: a message
is delivered as text (or what JSON makes of it) to a callback, or to a loop where there is none.

Each file has `echo`, `flood` and `hold`, as far as the library can.
"""
