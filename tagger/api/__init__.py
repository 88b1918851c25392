"""The Python API: what the commands do, with words in and values out; each function is a command, or a part of one."""
