#!/bin/sh
# The release step of a CI job: build, preview, release.
# Usage: REGISTRY=registry.local:5000 examples/release.sh IMAGE VERSION
set -eu
image=$1
version=$2

# Show what would happen, and why. This writes nothing.
tagger release "$image" "$version" --registry "$REGISTRY" --dry-run

# The exit code says how it ended:
#   0 done    1 failed, floating tags unchanged    2 bad input    3 refused    4 failed, some tags are misplaced
#   6 a gate failed, no tag moved    7 done, but a command after it failed
tagger release "$image" "$version" --registry "$REGISTRY" --json >release.json

# The digest always names this image. A tag may move with the next release.
sed -n 's/^ *"digest": "\(.*\)",$/\1/p' release.json | sed "s|^|docker pull $REGISTRY/$image@|"
