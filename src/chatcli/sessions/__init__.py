"""Conversations on disk: records, their replay, the append-only log, and the folder of sessions."""
