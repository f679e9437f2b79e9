#!/bin/sh
# A ZooKeeper server: zkServer.sh [--config DIR] {start|start-foreground|stop|restart|status|version|print-cmd} [zoo.cfg]
self=$(realpath "$0" 2>/dev/null || readlink -f "$0") && base=$(dirname "$(dirname "$self")")
if [ ! -f "$base/dist/cli/zk-server.js" ]; then
  echo "Ottla is not built yet: run 'npm ci' in $base" >&2
  exit 1
fi
# The heap of Node: ZK_SERVER_HEAP in MB, or an -Xmx in SERVER_JVMFLAGS.
heap=$(printf '%s' "-Xmx${ZK_SERVER_HEAP:-}m ${SERVER_JVMFLAGS:-}" | sed -n 's/.*-Xmx\([0-9][0-9]*\)\([gGmM]\).*/\1 \2/p')
case $heap in
  *[gG]) heap=--max-old-space-size=$((${heap% *} * 1024)) ;;
  *[mM]) heap=--max-old-space-size=${heap% *} ;;
esac
# shellcheck disable=SC2086
exec node $heap "$base/dist/cli/zk-server.js" "$@"
