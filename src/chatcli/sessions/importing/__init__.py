"""Conversations of other programs, and of chatcli's own export, as sessions. One file a source, and a table of them."""
