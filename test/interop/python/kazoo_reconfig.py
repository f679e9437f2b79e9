"""kazoo changes the members of an ensemble: kazoo_reconfig.py HOSTS JOINING LEAVING MEMBERS [VERSION]. Empty: not given. Prints one JSON document."""
import json
import sys
import time

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException

HOSTS, JOINING, LEAVING, MEMBERS = sys.argv[1:5]
VERSION = int(sys.argv[5]) if len(sys.argv) > 5 else -1
c = KazooClient(hosts=HOSTS, timeout=40)
c.start(timeout=120)
seen = {}
fired = []
try:
    before, stat = c.get("/zookeeper/config", watch=lambda event: fired.append(event.type))
    seen["before"] = before.decode()
    text, stat = c.reconfig(joining=JOINING or None, leaving=LEAVING or None, new_members=MEMBERS or None, from_config=VERSION)
    seen["data"] = text.decode()
    seen["version"] = stat.version
    seen["is its zxid"] = "version=%x" % stat.mzxid == text.decode().split("\n")[-1]
    until = time.time() + 60
    while not fired and time.time() < until:
        time.sleep(0.01)
    seen["watch"] = fired[:1]
except KazooException as e:
    seen["error"] = type(e).__name__
c.stop()
print(json.dumps(seen))
