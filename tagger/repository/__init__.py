"""One repository: read its tags, compare them with the rules, and change them until they agree.

It works on the `Tags` protocol and knows no HTTP.
"""
