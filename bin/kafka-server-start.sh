#!/bin/sh
# Starts a broker: kafka-server-start.sh [-daemon] server.properties [--override property=value]*
self=$(realpath "$0" 2>/dev/null || readlink -f "$0") && base=$(dirname "$(dirname "$self")")
if [ ! -f "$base/dist/cli/kafka-server-start.js" ]; then
  echo "Ottla is not built yet: run 'npm ci' in $base" >&2
  exit 1
fi
# KAFKA_HEAP_OPTS: its -Xmx bounds the heap of Node.
heap=$(printf '%s' "${KAFKA_HEAP_OPTS:-}" | sed -n 's/.*-Xmx\([0-9][0-9]*\)\([gGmM]\).*/\1 \2/p')
case $heap in
  *[gG]) heap=--max-old-space-size=$((${heap% *} * 1024)) ;;
  *[mM]) heap=--max-old-space-size=${heap% *} ;;
esac
# Buffers of frames, fetches and codecs come and go by the megabyte: without these, glibc gives each back to the system.
MALLOC_MMAP_THRESHOLD_=${MALLOC_MMAP_THRESHOLD_:-268435456}
MALLOC_TRIM_THRESHOLD_=${MALLOC_TRIM_THRESHOLD_:-268435456}
export MALLOC_MMAP_THRESHOLD_ MALLOC_TRIM_THRESHOLD_
# shellcheck disable=SC2086
exec node $heap "$base/dist/cli/kafka-server-start.js" "$@"
