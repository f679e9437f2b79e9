#!/bin/sh
# Shows what lies in the files of a partition.
self=$(realpath "$0" 2>/dev/null || readlink -f "$0") && base=$(dirname "$(dirname "$self")")
if [ ! -f "$base/dist/cli/kafka-dump-log.js" ]; then
  echo "Ottla is not built yet: run 'npm ci' in $base" >&2
  exit 1
fi
exec node "$base/dist/cli/kafka-dump-log.js" "$@"
