"""What is on disk, whatever it holds: private files, locks, JSON lines that are only added to, and caches."""
