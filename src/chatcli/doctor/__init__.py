"""Finding out what is wrong: one file a check, and a table of them in ``checks``. Wiring, beside ``app``."""
