#!/bin/sh
# The release step of a CI job: build, preview, release.
# Usage: REGISTRY=registry.local:5000 examples/release.sh IMAGE VERSION
set -eu
image=$1
version=$2

# What would happen, and why; this writes nothing.
tagger release "$image" "$version" --registry "$REGISTRY" --dry-run

# All of the right tags, verified, or nothing moved: the exit code says which.
#   0 done    1 failed, and the floating tags are where they were    2 bad input    3 refused    4 some tags are named
tagger release "$image" "$version" --registry "$REGISTRY" --json >release.json

# A digest names the released image for good; a tag may move with the next release.
sed -n 's/^ *"digest": "\(.*\)",$/\1/p' release.json | sed "s|^|docker pull $REGISTRY/$image@|"
