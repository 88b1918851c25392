"""One command on many repositories: their names, the result of each, and the summary.

`names`, `entry`, `plan`, `tally` and `metrics` are pure; `lines` and `journal` read and write files. Nothing here knows
a registry, and nothing keeps all results.
"""
