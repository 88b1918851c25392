"""Documents of the OCI image specification as values: manifests, indexes, referrers, placeholders.

Nothing here opens a file, a socket or a process.
"""
