"""The steps of a release, its rollback, and its outcome."""
