"""What people and CI read: text, tables, live progress, JSON, Markdown, and the files of GitHub Actions."""
