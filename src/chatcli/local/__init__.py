"""The embedded model: its weights, its engine in a child process, and local servers."""
