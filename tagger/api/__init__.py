"""The Python API: words in, values out. Each function is a command, or a part of one."""
