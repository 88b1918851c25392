"""Run `python -m tagger`."""

from tagger.cli.run import main

main()
