"""Plan a release against many tags in memory, or only sort them: `python -m benchmarks.planning plan 1000`."""

from __future__ import annotations

import sys


def main(what: str, number: int) -> None:
    """Plan or sort a number of versions, starting from the text of their tags."""
    words = [f"{n % 7}.{n // 7 % 100}.{n // 700}" for n in range(number)]
    if what == "sort":
        import semver

        sorted(semver.Version.parse(word) for word in words)
        return
    from tagger.names import Digest
    from tagger.rules.plan import Observed, plan
    from tagger.rules.resolve import Published
    from tagger.rules.scheme import Scheme
    from tagger.rules.version import Version

    held = Digest(f"sha256:{'0' * 64}")
    published = Published.of(words, Scheme())
    observed = Observed(published, dict.fromkeys(published.tags, held))
    plan(Version.parse("6.99.100000"), Digest(f"sha256:{'1' * 64}"), observed)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
