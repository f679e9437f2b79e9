"""kazoo under faults: history_client.py HOSTS FOLDER REGISTERS. Works until FOLDER/stop is there, and rests, with FOLDER/resting to say so, while
FOLDER/rest is; prints what was asked and told as one JSON document."""
import json
import os
import sys
import time

from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError, NodeExistsError, NoNodeError
from kazoo.protocol.states import KazooState

HOSTS, FOLDER, REGISTERS = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
STOP, REST, RESTING = (os.path.join(FOLDER, name) for name in ("stop", "rest", "resting"))
SET = "/kazoo"
operations = []
sessions = 1


class Client(KazooClient):
    """Notes each reply's zxid: kazoo keeps it, in the thread that reads replies, before it tells of the reply."""

    told = []

    @property
    def last_zxid(self):
        return self._last_told

    @last_zxid.setter
    def last_zxid(self, zxid):
        self._last_told = zxid
        self.told.append(zxid)


def ask(kind, path, value, call, shown, **more):
    operation = dict(client="kazoo %d" % sessions, kind=kind, path=path, value=value, begun=time.monotonic_ns(), ended=0, outcome="unknown", zxid=0, header=None, **more)
    operations.append(operation)
    result = call()

    def done(result):
        operation["ended"] = time.monotonic_ns()
        error = result.exception
        if error is None:
            operation["outcome"] = "ok"
            operation.update(shown(result.value))
        elif isinstance(error, (BadVersionError, NodeExistsError, NoNodeError)):
            operation["outcome"] = "refused"

    result.rawlink(done)
    return result, operation


def write(path, value, version=-1):
    more = {} if version == -1 else {"expected": version}
    return ask("write", path, value, lambda: client.set_async(path, value.encode(), version), lambda stat: {"zxid": stat.mzxid, "version": stat.version}, **more)


def read(path):
    return ask("read", path, "", lambda: client.get_async(path), lambda got: {"value": got[0].decode(), "zxid": got[1].mzxid, "version": got[1].version})


def add(value):
    return ask("add", SET, value, lambda: client.create_async(SET + "/" + value, b"", include_data=True), lambda made: {"zxid": made[1].czxid})


def children():
    return ask("list", SET, "", lambda: client.get_children_async(SET, include_data=True), lambda got: {"names": got[0], "zxid": got[1].pzxid})


def wait(asked):
    for result, operation in asked:
        result.wait(30)
    # The callbacks run in a thread of their own, after the waiters are woken.
    while any(result.ready() and not operation["ended"] for result, operation in asked):
        time.sleep(0.001)


client = Client(hosts=HOSTS, timeout=20)


def on(state):
    global sessions
    if state == KazooState.LOST:
        sessions += 1


client.add_listener(on)
client.start(timeout=120)
round = 0
while not os.path.exists(STOP):
    if os.path.exists(REST):
        open(RESTING, "w").close()
        while os.path.exists(REST) and not os.path.exists(STOP):
            time.sleep(0.005)
        os.remove(RESTING)
    path = REGISTERS[round % len(REGISTERS)]
    value = "kazoo-%d" % round
    first = read(path)
    wait([first])
    version = first[1].get("version", 0)
    asked = [write(path, value + "-a"), read(path), write(path, value + "-c", version), read(REGISTERS[(round + 1) % len(REGISTERS)])]
    if round % 20 == 0:
        asked.append(children())
    # Last, because kazoo tells of a creation by way of a second callback, after what came behind it.
    asked.append(add(value))
    wait(asked)
    # Alone on its way: the zxid that kazoo has kept is that reply's.
    alone = read(path)
    wait([alone])
    if alone[1]["outcome"] == "ok":
        alone[1]["header"] = client.last_zxid
    round += 1
    time.sleep(0.004)
expired = sessions - 1
for operation in operations:
    # One that nobody answered by the end may happen yet.
    if not operation["ended"]:
        operation["ended"] = time.monotonic_ns()
client.stop()
json.dump({"operations": operations, "expired": expired, "backwards": [[a, b] for a, b in zip(client.told, client.told[1:]) if 0 < b < a]}, sys.stdout)
