#!/bin/sh
# A lab: four tags of one image, seen and deleted through the registry's HTTP API alone.
#
# Before it, make the registry's name known, and tell the Engine that it speaks plain HTTP:
#
#   /etc/hosts                 127.0.0.1  registry.local
#   /etc/docker/daemon.json    {"insecure-registries": ["registry.local:5000"]}     then restart the Engine
#
# (A name that resolves to 127.0.0.1 is allowed even without the second; any other address needs it.)
# The registry has to allow deletes: storage.delete.enabled: true, or REGISTRY_STORAGE_DELETE_ENABLED=true.
#
# Usage: examples/lab.sh          needs docker, curl, and an image named image-gallery
set -eu
registry=registry.local:5000
repository=gallery/ui
api=http://$registry/v2/$repository

say() { printf '\n# %s\n' "$*"; }

say "1. Tag and push by hand: each of the four tags is one 'docker image tag' and one 'docker image push'."
for tag in 2.1.105 2.1 2 latest; do
    docker image tag image-gallery "$registry/$repository:$tag"
    docker image push --quiet "$registry/$repository:$tag"
done

say "2. The same for the next version, as one command, which also looks before and after."
tagger release image-gallery 2.1.106 --registry "$registry" --repository "$repository"

say "3. Every tag exists: the registry's own list, asked over HTTP."
curl --silent --show-error --fail "$api/tags/list"

say "4. Where a tag points: the digest is in a header of the manifest."
# The Accept header names the kinds of manifest that we understand. Without it a registry of this age converts the
# manifest to its oldest format on the fly, and that has another digest, one that cannot be deleted.
accept='application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json'
digest_of() {
    curl --silent --show-error --fail --head --header "Accept: $accept" "$api/manifests/$1" |
        tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p'
}
for tag in 2.1.106 2.1 2 latest; do
    echo "$tag  $(digest_of "$tag")"
done
echo "without Accept: $(curl --silent --head "$api/manifests/latest" | tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p')"

say "5. Delete through the HTTP API: a manifest goes by its digest, and with it every tag that points at it."
# All tags of one image share one digest, so one DELETE takes them all: here everything that was pushed above.
# 'tagger rm' would first let 2.1, 2 and latest fall back to the next version, and take only what was named.
for tag in 2.1.106 2.1.105; do
    digest=$(digest_of "$tag")
    if [ -n "$digest" ]; then
        curl --silent --show-error --fail --request DELETE --output /dev/null \
            --write-out "DELETE $tag by its digest: HTTP %{http_code}\n" "$api/manifests/$digest"
    else
        echo "$tag is gone already: it shared its digest"
    fi
done

say "6. Nothing is left."
curl --silent --show-error "$api/tags/list"
