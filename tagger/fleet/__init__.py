"""One command on many repositories: which ones, what is decided of each, and how it all went.

`names`, `entry`, `plan`, `tally` and `metrics` are pure; `lines` and `journal` read and write files. Nothing here knows
a registry, and nothing keeps a list of results.
"""
