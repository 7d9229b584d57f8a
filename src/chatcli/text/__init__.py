"""Text for display and search: sanitizing, redaction of keys, shortening, framing, scripts. Standard library only."""
