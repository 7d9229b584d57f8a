"""Scripts that complete chatcli's command line in a shell."""
