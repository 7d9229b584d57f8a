"""The values every room shares. Standard library only, no I/O."""
