"""Import of sessions from other programs and from chatcli's own export. One file per source, and a table of them."""
