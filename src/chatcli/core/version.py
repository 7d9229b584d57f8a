"""The version of the program; in ``core`` so that every room can import it."""

__version__ = "0.1.0"
