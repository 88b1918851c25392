"""The settings from the command line, the environment and a file, in this order, and the source of each value.

The file is `tagger.toml`, or `pyproject.toml` with a table `[tool.tagger]`. tagger looks for them in this order, in the
working directory and each folder above it up to the one with `.git`, and reads only the first that it finds. Outside a
checkout only the working directory counts. A file of another user is refused, so that nobody else controls a release.

A table `[images.NAME]` is for a repository that builds several images: its keys replace those at the top of the file
for the image of that name, whole values at a time.
"""
