"""The command line: from arguments to what runs, and from what happened to an exit code."""
