"""A terminal chat client for OpenAI-compatible models."""

__version__ = "0.1.0"
