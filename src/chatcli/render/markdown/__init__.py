"""Streaming Markdown: its blocks, their inline content, and their rendering on a terminal."""
