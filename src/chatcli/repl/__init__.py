"""The interactive conversation: its loop and slash commands, over a frontend."""
