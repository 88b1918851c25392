#!/bin/sh
# A lab that shows and deletes four tags of one image with nothing but the registry's HTTP API.
#
# First give the registry a name, and tell the Engine that it speaks plain HTTP:
#
#   /etc/hosts                 127.0.0.1  registry.local
#   /etc/docker/daemon.json    {"insecure-registries": ["registry.local:5000"]}     then restart the Engine
#
# A name that resolves to 127.0.0.1 works without the second; any other address needs it.
# The registry must allow deletes: storage.delete.enabled: true, or REGISTRY_STORAGE_DELETE_ENABLED=true.
#
# Usage: examples/lab.sh          needs docker, curl, and an image named image-gallery
set -eu
registry=registry.local:5000
repository=gallery/ui
api=http://$registry/v2/$repository

say() { printf '\n# %s\n' "$*"; }

say "1. Tag and push by hand: one 'docker image tag' and one 'docker image push' for each of four tags."
for tag in 2.1.105 2.1 2 latest; do
    docker image tag image-gallery "$registry/$repository:$tag"
    docker image push --quiet "$registry/$repository:$tag"
done

say "2. Do the same for the next version with one command, which also checks before and after."
tagger release image-gallery 2.1.106 --registry "$registry" --repository "$repository"

say "3. Ask the registry for its list of tags."
curl --silent --show-error --fail "$api/tags/list"

say "4. See where each tag points: the digest is in a header of the manifest."
# The Accept header names the manifest formats that we understand. Without it, this registry converts the manifest to its
# oldest format, which has another digest, and that digest cannot be deleted.
accept='application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json'
digest_of() {
    curl --silent --show-error --fail --head --header "Accept: $accept" "$api/manifests/$1" |
        tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p'
}
for tag in 2.1.106 2.1 2 latest; do
    echo "$tag  $(digest_of "$tag")"
done
echo "without Accept: $(curl --silent --head "$api/manifests/latest" | tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p')"

say "5. Delete over HTTP: deleting a digest also deletes every tag that points to it."
# All tags of one image share one digest, so one DELETE removes them all: here, everything pushed above.
# 'tagger rm' would first move 2.1, 2 and latest back to the next version, and remove only what you name.
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
