"""Scripts that complete chatcli's command line in a shell. One file a shell, and a table of them."""
