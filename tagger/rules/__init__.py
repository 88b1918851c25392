"""The rules of the tags, as pure functions: what a version is, which tags follow it, and what a release moves.

Nothing here opens a file, a socket or a process.
"""
