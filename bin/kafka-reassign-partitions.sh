#!/bin/sh
# Moves replicas to other brokers and log directories, and follows, throttles or takes back what moves.
self=$(realpath "$0" 2>/dev/null || readlink -f "$0") && base=$(dirname "$(dirname "$self")")
if [ ! -f "$base/dist/cli/kafka-reassign-partitions.js" ]; then
  echo "Ottla is not built yet: run 'npm ci' in $base" >&2
  exit 1
fi
exec node "$base/dist/cli/kafka-reassign-partitions.js" "$@"
