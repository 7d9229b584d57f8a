"""The conversation at a terminal: one application at the bottom of the screen, finished text above it."""
