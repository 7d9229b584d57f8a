"""Text made safe to show and to send: what acts on a terminal, and keys. Standard library only."""
