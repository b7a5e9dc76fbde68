#!/bin/sh
# Builds the node's image with everything pinned by digest, and writes digests.env for compose.yaml. Digests are those that
# the registries give at this moment: look at the difference to the last ones before you publish measurements of them.
#
#   NODE_TAG=docker.io/library/node:24-slim \
#   UPSTREAM_TAG=docker.io/vllm/vllm-openai:VERSION \
#   NVATTEST_TAG=registry.example/nvattest:VERSION \
#   UPSTREAM_EXECUTABLE=/usr/bin/python3.12 ./build.sh
set -eu
umask 022
cd "$(dirname "$0")"
: "${NODE_TAG:?a Node 24 image}" "${UPSTREAM_TAG:?an image of vLLM, SGLang or llama-server}"
: "${NVATTEST_TAG:?an image with /usr/bin/nvattest}" "${UPSTREAM_EXECUTABLE:?path of the upstream's program in its image}"
command -v skopeo >/dev/null || { echo "skopeo is needed to resolve digests" >&2; exit 1; }

pin() {
  case "${1##*/}" in *:*) ;; *) echo "no tag: $1" >&2; exit 1 ;; esac
  digest=$(skopeo inspect --format '{{.Digest}}' "docker://$1")
  echo "$digest" | grep -Eq '^sha256:[0-9a-f]{64}$' || { echo "no digest for $1" >&2; exit 1; }
  echo "${1%:*}@$digest"
}

NODE_IMAGE=$(pin "$NODE_TAG")
UPSTREAM_IMAGE=$(pin "$UPSTREAM_TAG")
NVATTEST_IMAGE=$(pin "$NVATTEST_TAG")

# The sources are those of the commit, which others can fetch, and nothing else that lies around here.
SOURCE_COMMIT=$(git rev-parse HEAD)
sources=$(mktemp -d)
trap 'rm -rf "$sources"' EXIT
git -C ../.. archive HEAD | tar -x -C "$sources"

# Fixed times, so that the same sources give the same image.
SOURCE_DATE_EPOCH=0 podman build --timestamp 0 --iidfile node.iid \
  --ignorefile Containerfile.dockerignore -f Containerfile \
  --build-arg "NODE_IMAGE=$NODE_IMAGE" --build-arg "NVATTEST_IMAGE=$NVATTEST_IMAGE" "$sources"

cat > digests.env <<END
SOURCE_COMMIT=$SOURCE_COMMIT
UPSTREAM_IMAGE=$UPSTREAM_IMAGE
UPSTREAM_EXECUTABLE=$UPSTREAM_EXECUTABLE
NODE_IMAGE_BUILT=$(cat node.iid)
END
rm node.iid
echo "Written: digests.env"
