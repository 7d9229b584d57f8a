"""Diagnosis: checks of this machine and of the network, in one table. Wiring, beside ``app``."""
