"""The tag rules as pure functions: what a version is, which tags follow it, what a release moves, and what may go.

Nothing here opens a file, a socket or a process.
"""
