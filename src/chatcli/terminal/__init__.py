"""The terminal frontend: one application at the bottom of the screen, finished text above it."""
