"""Markdown while it streams: its blocks, what stands in them, and how a terminal shows both."""
