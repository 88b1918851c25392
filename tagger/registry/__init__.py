"""The registry's HTTP API, from the socket up to one repository.

Only this folder knows URLs, headers and status codes.
"""
