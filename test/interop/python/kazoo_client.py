"""kazoo at a ZooKeeper: kazoo_client.py CASE HOST:PORT PARENT. Prints one JSON document: what the case saw."""
import json
import socket
import subprocess
import sys
import threading
import time

from kazoo import security
from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import KazooException, SessionExpiredError
from kazoo.recipe.watchers import ChildrenWatch, DataWatch

CASE, HOSTS, PARENT = sys.argv[1:4]
clients = []


def client(**options):
    c = KazooClient(hosts=HOSTS, timeout=options.pop("timeout", 40), **options)
    c.start(timeout=120)
    clients.append(c)
    return c


def error(call, *args, **options):
    try:
        return call(*args, **options)
    except KazooException as e:
        return type(e).__name__


def wait(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def path(*names):
    return "/".join((PARENT,) + names)


def nodes():
    c = client()
    seen = {"created": c.create(path("a"), b"one"), "again": error(c.create, path("a")), "orphan": error(c.create, path("x", "y"))}
    data, stat = c.get(path("a"))
    seen["get"] = [data.decode(), stat.version, stat.cversion, stat.aversion, stat.dataLength, stat.numChildren, stat.ephemeralOwner]
    seen["fresh"] = stat.czxid == stat.mzxid == stat.pzxid and stat.ctime == stat.mtime
    seen["set"] = c.set(path("a"), b"two!", version=0).version
    seen["stale"] = error(c.set, path("a"), b"three", version=0)
    after = c.exists(path("a"))
    seen["moved"] = after.mzxid > after.czxid and after.mtime >= after.ctime
    seen["sequence"] = [c.create(path("a", "s-"), sequence=True)[len(path("a")) + 1:] for _ in range(3)]
    c.delete(path("a", "s-0000000001"))
    seen["sequence"].append(c.create(path("a", "s-"), sequence=True)[len(path("a")) + 1:])
    seen["children"] = sorted(c.get_children(path("a")))
    children, stat = c.get_children(path("a"), include_data=True)
    seen["parent"] = [len(children), stat.numChildren, stat.cversion, stat.version]
    seen["full"] = error(c.delete, path("a"))
    seen["ephemeral"] = c.create(path("e"), b"", ephemeral=True, include_data=True)[1].ephemeralOwner == c.client_id[0]
    seen["barren"] = error(c.create, path("e", "child"))
    seen["none"] = [error(c.get, path("no")), error(c.delete, path("no")), error(c.set, path("no"), b""), c.exists(path("no"))]
    seen["wrong version"] = error(c.delete, path("e"), version=7)
    c.create(path("big"), b"x" * 900_000)
    seen["big"] = len(c.get(path("big"))[0])
    seen["empty"] = [c.create(path("nothing"), b""), c.get(path("nothing"))[0].decode()]
    seen["unicode"] = [c.create(path("jégmező"), "ä".encode()), c.get(path("jégmező"))[0].decode()]
    c.delete(path("a"), recursive=True)
    seen["left"] = sorted(c.get_children(PARENT))
    return seen


def watches():
    c, other = client(), client()
    events = []

    def on(event):
        events.append([event.type, event.path[len(PARENT):], event.state])

    seen = {}
    c.exists(path("w"), watch=on)
    other.create(path("w"), b"0")
    wait(lambda: len(events) == 1)
    c.get(path("w"), watch=on)
    other.set(path("w"), b"1")
    other.set(path("w"), b"2")
    wait(lambda: len(events) == 2)
    c.get_children(path("w"), watch=on)
    c.get(path("w"), watch=on)
    other.create(path("w", "c"))
    wait(lambda: len(events) == 3)
    other.delete(path("w", "c"))
    other.delete(path("w"))
    wait(lambda: len(events) == 4)
    other.create(path("w"))
    c.sync(PARENT)
    seen["one-shot"] = list(events)

    values, children = [], []
    DataWatch(c, path("d"), lambda data, stat: values.append(None if data is None else data.decode()))
    other.create(path("d"), b"1")
    wait(lambda: values[-1] == "1")
    other.set(path("d"), b"2")
    wait(lambda: values[-1] == "2")
    other.delete(path("d"))
    wait(lambda: values[-1] is None)
    seen["DataWatch"] = values
    ChildrenWatch(c, path("w"), lambda names: children.append(sorted(names)))
    other.create(path("w", "z"))
    wait(lambda: len(children) == 2)
    seen["ChildrenWatch"] = children
    return seen


def transactions():
    c = client()
    c.create(path("a"), b"0")

    def commit(*operations):
        t = c.transaction()
        for name, *args in operations:
            getattr(t, name)(*args)
        return [type(r).__name__ if isinstance(r, Exception) else r if isinstance(r, (str, bool)) else r.version for r in t.commit()]

    return {
        "done": commit(("create", path("b"), b"b"), ("set_data", path("a"), b"1"), ("check", path("a"), 1), ("delete", path("b")), ("create", path("c"), b"c")),
        "undone": commit(("create", path("d")), ("set_data", path("a"), b"2"), ("check", path("a"), 9), ("delete", path("c"))),
        "state": [c.get(path("a"))[0].decode(), sorted(c.get_children(PARENT))],
        "one zxid": c.exists(path("a")).mzxid == c.exists(path("c")).czxid,
        "empty": commit(),
    }


def acls():
    owner, stranger = client(), client()
    owner.add_auth("digest", "me:secret")
    mine = [security.make_digest_acl("me", "secret", all=True)]
    owner.create(path("mine"), b"x", acl=mine)
    seen = {
        "acl": [[a.perms, a.id.scheme, a.id.id] for a in owner.get_acls(path("mine"))[0]],
        "stranger": [error(stranger.get, path("mine")), error(stranger.set, path("mine"), b""), error(stranger.create, path("mine", "x")), error(stranger.get_children, path("mine"))],
        "exists": error(stranger.exists, path("mine")),
        "invalid": error(owner.create, path("bad"), b"", acl=[security.make_acl("digest", "nonsense", all=True)]),
        "auth": None,
    }
    owner.create(path("auth"), b"", acl=security.CREATOR_ALL_ACL)
    seen["auth"] = [[a.perms, a.id.scheme, a.id.id] for a in owner.get_acls(path("auth"))[0]]
    seen["nobody"] = error(stranger.create, path("nobody"), b"", acl=security.CREATOR_ALL_ACL)
    stranger.add_auth("digest", "me:secret")
    seen["now"] = stranger.get(path("mine"))[0].decode()
    seen["read only"] = [owner.set_acls(path("mine"), security.READ_ACL_UNSAFE).aversion, error(owner.set, path("mine"), b""), owner.get(path("mine"))[0].decode()]
    owner.create(path("ip"), b"", acl=[security.make_acl("ip", "127.0.0.0/8", all=True)])
    owner.create(path("far"), b"", acl=[security.make_acl("ip", "10.1.2.3", all=True)])
    seen["ip"] = [owner.get(path("ip"))[0].decode(), error(owner.get, path("far"))]
    return seen


def lock():
    inside, most, order = [0], [0], []
    guard = threading.Lock()

    def work(i):
        c = client()
        for _ in range(5):
            with c.Lock(path("lock"), f"worker {i}"):
                with guard:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    order.append(i)
                value = int(c.get(path("counter"))[0])
                c.set(path("counter"), str(value + 1).encode())
                with guard:
                    inside[0] -= 1

    first = client()
    first.create(path("counter"), b"0")
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    held = first.Lock(path("second"), "holder")
    held.acquire()
    waiting = client().Lock(path("second"), "waiting")
    # At an ensemble, what others did may not have come to this client's server yet.
    first.sync(PARENT)
    return {
        "counter": int(first.get(path("counter"))[0]),
        "at once": most[0],
        "turns": sorted(order),
        "left": first.get_children(path("lock")),
        "taken": waiting.acquire(blocking=False),
        "holder": held.contenders(),
        "freed": [held.release(), waiting.acquire(timeout=60)],
    }


def election():
    led, threads, people = [], [], [client() for _ in range(3)]
    go_on = [threading.Event() for _ in people]

    def lead(i):
        led.append(i)
        go_on[i].wait(120)

    for i, c in enumerate(people):
        e = c.Election(path("election"), f"candidate {i}")
        t = threading.Thread(target=e.run, args=(lead, i))
        t.start()
        threads.append(t)
        wait(lambda: len(e.contenders()) == i + 1)
    contenders = e.contenders()
    for i, _ in enumerate(people):
        wait(lambda: len(led) == i + 1)
        go_on[led[-1]].set()
    [t.join(120) for t in threads]
    return {"contenders": contenders, "led": led}


def queues():
    a, b = client(), client()
    q, r = a.Queue(path("queue")), b.Queue(path("queue"))
    for i in range(5):
        q.put(f"{i}".encode(), priority=100 - i if i < 2 else 100)
    b.sync(PARENT)
    seen = {"length": len(r), "queue": [(q, r)[i % 2].get().decode() for i in range(5)], "empty": q.get()}
    l, m = a.LockingQueue(path("locking")), b.LockingQueue(path("locking"))
    l.put_all([b"x", b"y"])
    b.sync(PARENT)
    seen["locking"] = [l.get(60).decode(), m.get(60).decode(), l.holds_lock(), l.consume(), m.consume(), len(l)]
    return seen


def barriers():
    c, d = client(), client()
    barrier = c.Barrier(path("barrier"))
    barrier.create()
    d.sync(PARENT)
    seen = {"closed": d.Barrier(path("barrier")).wait(0.2)}
    threading.Timer(0.2, barrier.remove).start()
    seen["open"] = d.Barrier(path("barrier")).wait(120)
    steps = []

    def take(i):
        double = client().DoubleBarrier(path("double"), 3, f"m{i}")
        double.enter()
        steps.append("in")
        double.leave()
        steps.append("out")

    threads = [threading.Thread(target=take, args=(i,)) for i in range(3)]
    [t.start() for t in threads]
    [t.join(120) for t in threads]
    seen["double"] = steps[:3], len(steps)
    semaphore = c.Semaphore(path("semaphore"), max_leases=2)
    others = [client().Semaphore(path("semaphore"), max_leases=2) for _ in range(2)]
    seen["semaphore"] = [semaphore.acquire(), others[0].acquire(), others[1].acquire(blocking=False), semaphore.release(), others[1].acquire(timeout=60)]
    party = [x.Party(path("party"), f"{i}") for i, x in enumerate((c, d))]
    [p.join() for p in party]
    c.sync(PARENT)
    seen["party"] = sorted(party[0])
    counters = [x.Counter(path("count")) for x in (c, d)]
    counters[0] += 5
    counters[1] -= 2
    c.sync(PARENT)
    seen["count"] = counters[0].value
    return seen


def expiry():
    """A session is taken over with its id and password and closed there: for its first owner it has expired."""
    c, other = client(), client()
    states, gone = [], threading.Event()
    c.add_listener(lambda state: states.append(state))
    c.create(path("mine"), b"", ephemeral=True)
    other.exists(path("mine"), watch=lambda event: gone.set() if event.type == "DELETED" else None)
    old = c.client_id
    thief = client(client_id=old)
    same = thief.client_id[0] == old[0]
    thief.stop()
    seen = {"same session": same, "watch": gone.wait(120), "ephemeral": other.exists(path("mine"))}
    wait(lambda: KazooState.LOST in states and states[-1] == KazooState.CONNECTED)
    seen["states"] = [s for s in states if s != KazooState.SUSPENDED]
    seen["new session"] = c.client_id[0] != old[0]
    c.create(path("mine"), b"", ephemeral=True)
    seen["works"] = other.exists(path("mine")).ephemeralOwner == c.client_id[0]
    return seen


def silence():
    """A client that says nothing more is expired by the server, and not before its timeout: a stopped process, its socket open."""
    import os
    import signal

    other, gone = client(), threading.Event()
    program = "import sys, time; from kazoo.client import KazooClient; c = KazooClient(sys.argv[1], timeout=2); c.start(timeout=120); c.create(sys.argv[2], b'', ephemeral=True); print('ready', flush=True); time.sleep(600)"
    # A machine that stands still for so long ends such a session, too: then another one is tried.
    for attempt in range(5):
        child = subprocess.Popen([sys.executable, "-c", program, HOSTS, path(f"mine{attempt}")], stdout=subprocess.PIPE, text=True)
        child.stdout.readline()
        time.sleep(3)
        kept = other.exists(path(f"mine{attempt}"), watch=lambda event: gone.set()) is not None
        if kept:
            break
        child.kill()
    seen = {"kept by pings": kept}
    os.kill(child.pid, signal.SIGSTOP)
    began = time.monotonic()
    seen["gone"] = gone.wait(120)
    seen["not early"] = time.monotonic() - began > 0.9
    child.kill()
    return seen


def move():
    """A cut connection comes back with the same session; ephemerals stay and watches are set again."""
    c, other = client(), client()
    events, states = [], []
    c.add_listener(lambda state: states.append(state))
    c.create(path("mine"), b"", ephemeral=True)
    c.create(path("plain"), b"")
    DataWatch(c, path("plain"), lambda data, stat: events.append(data.decode()))
    before = c.client_id
    for i in range(3):
        c._connection._socket.shutdown(socket.SHUT_RDWR)
        wait(lambda: states.count(KazooState.SUSPENDED) == i + 1 and states[-1] == KazooState.CONNECTED)
        other.set(path("plain"), f"{i}".encode())
        wait(lambda: events[-1] == f"{i}")
    return {
        "same session": c.client_id == before,
        "ephemeral": other.exists(path("mine")).ephemeralOwner == before[0],
        "states": states,
        "events": sorted(set(events)),
    }


def wrong_password():
    c = client()
    c.create(path("mine"), b"", ephemeral=True)
    session, _ = c.client_id
    # kazoo answers a refused session by opening a new one.
    other = client(client_id=(session, b"0123456789abcdef"))
    return {"other session": other.client_id[0] != session, "ephemeral": other.exists(path("mine")).ephemeralOwner == session}


def words():
    c = client()
    c.create(path("e"), b"", ephemeral=True)
    c.get(path("e"), watch=lambda event: None)
    say = lambda word: c.command(word.encode())
    return {
        "ruok": say("ruok"),
        "srvr": [line.split(":")[0] for line in say("srvr").splitlines()],
        "mode": [line for line in say("srvr").splitlines() if line.startswith("Mode")],
        "stat": "Clients:" in say("stat"),
        "isro": say("isro"),
        "dump": path("e") in say("dump"),
        "wchs": say("wchs").splitlines()[-1],
        "cons": f"sid=0x{c.client_id[0] & (2 ** 64 - 1):x}" in say("cons"),
        "mntr": sorted(line.split("\t")[0] for line in say("mntr").splitlines() if line.split("\t")[0] in ("zk_version", "zk_server_state", "zk_znode_count", "zk_watch_count", "zk_ephemerals_count", "zk_approximate_data_size", "zk_num_alive_connections", "zk_outstanding_requests", "zk_open_file_descriptor_count", "zk_packets_received")),
        "envi": say("envi").splitlines()[0],
        "conf": [line for line in say("conf").splitlines() if line.startswith(("tickTime", "maxClientCnxns", "minSessionTimeout", "maxSessionTimeout"))],
    }


setup = client()
setup.ensure_path(PARENT)
result = globals()[CASE]()
print(json.dumps(result))
sys.stdout.flush()
for c in clients:
    c.stop()
