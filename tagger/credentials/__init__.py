"""Docker's own configuration on this machine: logins, credential helpers and contexts.

The Engine and the registry both read it.
"""
