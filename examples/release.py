"""Release an image from Python, and print where each tag points now.

Usage: python examples/release.py IMAGE VERSION REGISTRY
"""

import sys

import tagger


def main() -> int:
    """Release, and return the exit code of the command."""
    image, version, registry = sys.argv[1:]
    try:
        done = tagger.release(image, version, registry=registry)
    except tagger.TaggerError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for repository in done.repositories:
        for change in repository.changes:
            print(f"{change.action:9} {repository.repository}:{change.tag} {change.after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
