#!/bin/sh
# Stops the ZooKeeper servers that the scripts here of this user have started.
self=$(realpath "$0" 2>/dev/null || readlink -f "$0") && base=$(dirname "$(dirname "$self")")
if [ ! -f "$base/dist/cli/zookeeper-server-stop.js" ]; then
  echo "Ottla is not built yet: run 'npm ci' in $base" >&2
  exit 1
fi
exec node "$base/dist/cli/zookeeper-server-stop.js" "$@"
