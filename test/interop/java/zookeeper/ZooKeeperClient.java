import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** ZooKeeper's own Java client: ZooKeeperClient CASE HOST:PORT PARENT. Prints one JSON document. */
public final class ZooKeeperClient {
    private static String server;
    private static String parent;

    public static void main(String[] args) throws Exception {
        server = args[1];
        parent = args[2];
        try (ZooKeeper setup = connect(server, 40_000, e -> {})) {
            setup.create(parent, null, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        }
        Object seen = switch (args[0]) {
            case "nodes" -> nodes();
            case "multi" -> multi();
            case "watches" -> watches();
            case "sessions" -> sessions();
            case "kinds" -> kinds();
            case "chroot" -> chroot();
            default -> throw new IllegalArgumentException(args[0]);
        };
        System.out.println(Report.json(seen));
        // Clients with silenced sessions would keep the process alive.
        System.exit(0);
    }

    private static ZooKeeper connect(String to, int timeoutMs, Watcher watcher) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper client = new ZooKeeper(to, timeoutMs, e -> {
            if (e.getState() == Watcher.Event.KeeperState.SyncConnected) connected.countDown();
            watcher.process(e);
        });
        connected.await();
        return client;
    }

    private static ZooKeeper connect() throws Exception {
        return connect(server, 40_000, e -> {});
    }

    private static String refusal(Callable<?> call) throws Exception {
        try {
            call.call();
            return null;
        } catch (KeeperException e) {
            return e.code().toString();
        }
    }

    /** Asks again when a connection is lost under the request: whoever claims a session takes its connection away. */
    private static <T> T patient(Callable<T> call) throws Exception {
        while (true) {
            try {
                return call.call();
            } catch (KeeperException.ConnectionLossException e) {
                Thread.sleep(50);
            }
        }
    }

    private static Callable<Object> delete(ZooKeeper client, String path, int version) {
        return () -> {
            client.delete(path, version);
            return null;
        };
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String create(ZooKeeper client, String name, String data, CreateMode mode) throws Exception {
        return client.create(parent + name, data == null ? null : bytes(data), ZooDefs.Ids.OPEN_ACL_UNSAFE, mode).substring(parent.length());
    }

    private static Object nodes() throws Exception {
        ZooKeeper client = connect();
        Map<String, Object> seen = new TreeMap<>();
        Stat created = new Stat();
        client.create(parent + "/a", bytes("one"), ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, created);
        seen.put("created", Report.list(created.getVersion(), created.getDataLength(), created.getCzxid() == created.getMzxid(), created.getCzxid() == created.getPzxid()));
        create(client, "/null", null, CreateMode.PERSISTENT);
        create(client, "/empty", "", CreateMode.PERSISTENT);
        seen.put("null", Report.list(client.getData(parent + "/null", false, null) == null, client.getData(parent + "/empty", false, null).length));
        seen.put("stale", refusal(() -> client.setData(parent + "/a", bytes("x"), 3)));
        seen.put("set", client.setData(parent + "/a", bytes("two"), 0).getVersion());
        for (int i = 0; i < 100; i++) create(client, "/a/c", null, CreateMode.PERSISTENT_SEQUENTIAL);
        seen.put("children", Report.list(client.getAllChildrenNumber(parent + "/a"), client.getChildren(parent + "/a", false).size(), Collections.max(client.getChildren(parent + "/a", false))));
        create(client, "/e", null, CreateMode.EPHEMERAL);
        seen.put("ephemerals", client.getEphemerals(parent).stream().map(p -> p.substring(parent.length())).toList());
        seen.put("barren", refusal(() -> create(client, "/e/x", null, CreateMode.PERSISTENT)));
        seen.put("full", refusal(delete(client, parent + "/a", -1)));
        seen.put("none", refusal(() -> client.getData(parent + "/none", false, null)));
        seen.put("root", refusal(delete(client, "/", -1)));
        seen.put("large", refusal(() -> client.setData(parent + "/a", new byte[900_000], -1)));
        seen.put("who", client.whoAmI().stream().map(c -> c.getAuthScheme()).sorted().toList());
        seen.put("acl", client.getACL(parent + "/a", new Stat()).stream().map(a -> a.getPerms() + " " + a.getId().getScheme() + " " + a.getId().getId()).toList());
        client.close();
        return seen;
    }

    private static Object kinds() throws Exception {
        ZooKeeper client = connect();
        Map<String, Object> seen = new TreeMap<>();
        create(client, "/box", null, CreateMode.CONTAINER);
        create(client, "/box/child", null, CreateMode.PERSISTENT);
        Stat stat = new Stat();
        client.create(parent + "/brief", null, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, stat, 3_600_000L);
        seen.put("ttl", Long.toHexString(stat.getEphemeralOwner()));
        seen.put("container", Long.toHexString(client.exists(parent + "/box", false).getEphemeralOwner()));
        seen.put("sequential", client.create(parent + "/brief-", null, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, stat, 1_000L).substring(parent.length()));
        client.close();
        return seen;
    }

    private static Object multi() throws Exception {
        ZooKeeper client = connect();
        Map<String, Object> seen = new TreeMap<>();
        List<OpResult> done = client.multi(List.of(
            Op.create(parent + "/a", bytes("a"), ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
            Op.create(parent + "/a/s-", null, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL),
            Op.setData(parent + "/a", bytes("b"), 0),
            Op.check(parent + "/a", 1),
            Op.delete(parent + "/a/s-0000000000", 0)));
        List<Object> results = new ArrayList<>();
        for (OpResult r : done) {
            if (r instanceof OpResult.CreateResult c) results.add(c.getPath().substring(parent.length()));
            else if (r instanceof OpResult.SetDataResult s) results.add("version " + s.getStat().getVersion());
            else results.add(r.getClass().getSimpleName());
        }
        seen.put("done", results);
        try {
            client.multi(List.of(
                Op.create(parent + "/b", null, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.check(parent + "/a", 7),
                Op.create(parent + "/c", null, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)));
        } catch (KeeperException e) {
            seen.put("refused", e.code().toString());
            seen.put("results", e.getResults().stream().map(r -> ((OpResult.ErrorResult) r).getErr()).toList());
        }
        seen.put("left", client.getChildren(parent, false));
        create(client, "/d", "data", CreateMode.PERSISTENT);
        List<OpResult> read = client.multi(List.of(Op.getData(parent + "/d"), Op.getChildren(parent), Op.getData(parent + "/none")));
        seen.put("read", Report.list(
            new String(((OpResult.GetDataResult) read.get(0)).getData(), StandardCharsets.UTF_8),
            new TreeSet<>(((OpResult.GetChildrenResult) read.get(1)).getChildren()),
            ((OpResult.ErrorResult) read.get(2)).getErr()));
        client.close();
        return seen;
    }

    private static Object watches() throws Exception {
        ZooKeeper client = connect();
        ZooKeeper other = connect();
        Map<String, Object> seen = new TreeMap<>();
        List<Object> events = Collections.synchronizedList(new ArrayList<>());
        Watcher note = (WatchedEvent e) -> events.add(e.getType() + " " + (e.getPath() == null ? "" : e.getPath().substring(parent.length())));
        create(other, "/p", "0", CreateMode.PERSISTENT);
        client.addWatch(parent + "/p", note, AddWatchMode.PERSISTENT);
        other.setData(parent + "/p", bytes("1"), -1);
        other.setData(parent + "/p", bytes("2"), -1);
        create(other, "/p/c", null, CreateMode.PERSISTENT);
        other.setData(parent + "/p/c", bytes("unseen"), -1);
        other.delete(parent + "/p/c", -1);
        other.delete(parent + "/p", -1);
        create(other, "/p", null, CreateMode.PERSISTENT);
        Report.until(() -> events.size() >= 6);
        seen.put("persistent", new ArrayList<>(events));
        client.removeWatches(parent + "/p", note, Watcher.WatcherType.Any, false);
        Report.until(() -> events.size() >= 7);
        other.setData(parent + "/p", bytes("3"), -1);
        client.getData(parent + "/p", false, null);
        seen.put("removed", new ArrayList<>(events.subList(6, events.size())));
        seen.put("no watch", refusal(() -> {
            client.removeWatches(parent + "/p", note, Watcher.WatcherType.Data, false);
            return null;
        }));

        events.clear();
        client.addWatch(parent, note, AddWatchMode.PERSISTENT_RECURSIVE);
        create(other, "/r", null, CreateMode.PERSISTENT);
        create(other, "/r/x", null, CreateMode.PERSISTENT);
        other.setData(parent + "/r/x", bytes("1"), -1);
        other.delete(parent + "/r/x", -1);
        Report.until(() -> events.size() >= 4);
        client.removeAllWatches(parent, Watcher.WatcherType.Any, false);
        Report.until(() -> events.size() >= 5);
        seen.put("recursive", new ArrayList<>(events));

        events.clear();
        client.exists(parent + "/new", note);
        client.getChildren(parent, note);
        create(other, "/new", null, CreateMode.EPHEMERAL);
        Report.until(() -> events.size() >= 2);
        client.getData(parent + "/new", note, null);
        other.close();
        Report.until(() -> events.size() >= 3);
        seen.put("one-shot", new ArrayList<>(events));
        client.close();
        return seen;
    }

    private static Object sessions() throws Exception {
        Map<String, Object> seen = new TreeMap<>();
        List<Object> states = Collections.synchronizedList(new ArrayList<>());
        List<Object> events = Collections.synchronizedList(new ArrayList<>());
        ZooKeeper first = connect(server, 30_000, e -> states.add(e.getState().toString()));
        ZooKeeper other = connect();
        seen.put("timeouts", Report.list(first.getSessionTimeout(), connect(server, 300, e -> {}).getSessionTimeout(), connect(server, 600_000, e -> {}).getSessionTimeout()));
        create(first, "/mine", null, CreateMode.EPHEMERAL);
        create(first, "/watched", null, CreateMode.PERSISTENT);
        first.getData(parent + "/watched", e -> events.add(e.getType().toString()), null);
        first.getChildren(parent, e -> events.add(e.getType().toString()));

        // Another connection takes the session over; the first notices, comes back and takes it again.
        CountDownLatch taken = new CountDownLatch(1);
        ZooKeeper thief = new ZooKeeper(server, 30_000, e -> taken.countDown(), first.getSessionId(), first.getSessionPasswd());
        taken.await();
        seen.put("moved", patient(() -> thief.getSessionId() == first.getSessionId() && thief.exists(parent + "/mine", false).getEphemeralOwner() == first.getSessionId()));
        thief.close();
        seen.put("expired", Report.until(() -> states.contains("Expired")));
        seen.put("gone", patient(() -> other.exists(parent + "/mine", false) == null));
        seen.put("refused", refusal(() -> first.exists(parent, false)));

        long session = other.getSessionId();
        ZooKeeper wrong = new ZooKeeper(server, 30_000, e -> states.add("wrong " + e.getState()), other.getSessionId(), new byte[16]);
        seen.put("wrong password", Report.until(() -> states.contains("wrong Expired")));
        wrong.close();
        seen.put("still there", patient(() -> other.exists(parent, false) != null && other.getSessionId() == session));
        return seen;
    }

    private static Object chroot() throws Exception {
        ZooKeeper client = connect(server + parent, 40_000, e -> {});
        List<Object> events = Collections.synchronizedList(new ArrayList<>());
        client.exists("/x", e -> events.add(e.getType() + " " + e.getPath()));
        String path = client.create("/x", bytes("1"), ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        Report.until(() -> !events.isEmpty());
        client.close();
        ZooKeeper whole = connect();
        return Map.of("path", path, "children", whole.getChildren(parent, false), "event", events.get(0));
    }
}
