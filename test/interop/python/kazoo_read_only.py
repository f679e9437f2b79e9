"""kazoo at a server without a quorum: kazoo_read_only.py HOST:PORT PATH. Prints one JSON document: what it saw."""
import json
import sys
import time

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError

HOSTS, PATH = sys.argv[1:3]
seen = {}


def error(call, *args, **options):
    try:
        return call(*args, **options)
    except KazooException as e:
        return type(e).__name__


c = KazooClient(hosts=HOSTS, timeout=40, read_only=True)
c.start(timeout=120)
seen["state"] = str(c.client_state)
seen["get"] = c.get(PATH)[0].decode()
seen["children"] = c.get_children(PATH)
seen["exists"] = c.exists(PATH + "/none") is None
seen["create"] = error(c.create, PATH + "/x", b"")
seen["set"] = error(c.set, PATH, b"other")
seen["delete"] = error(c.delete, PATH)
seen["sync"] = error(c.sync, PATH)
seen["isro"] = c.command(b"isro")
# Longer than the session lasts without pings.
time.sleep(1)
seen["still"] = c.get(PATH)[0].decode()
c.stop()

w = KazooClient(hosts=HOSTS, timeout=40)
try:
    w.start(timeout=3)
    seen["writer"] = "connected"
except KazooTimeoutError:
    seen["writer"] = "turned away"
print(json.dumps(seen))
