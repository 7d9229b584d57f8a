"""The embedded model: its weights, its engine in a process of its own, and servers found on this machine."""
