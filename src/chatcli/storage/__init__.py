"""Storage on disk, independent of its content: private files, locks, append-only JSON lines, and caches."""
