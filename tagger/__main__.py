"""Run `python -m tagger`, or `tagger` itself."""

import signal


def main() -> None:
    """Run the command line. A signal during its import ends the process: there is nothing to put back yet."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # under nohup it stays ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tagger.cli.run import main as run

    run()


if __name__ == "__main__":
    main()
