"""confluent-kafka (librdkafka 2) at a broker: confluent_client.py CASE HOST:PORT TOPIC [ARG]. Prints one JSON document."""
import json
import sys
import threading
import time

from confluent_kafka import (OFFSET_BEGINNING, Consumer, ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException, Producer, TopicCollection, TopicPartition)
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType)

from partitions import await_partitions

CASE, BROKER, TOPIC, *ARGS = sys.argv[1:]
QUIET = {"bootstrap.servers": BROKER, "log_level": 2}


ADMIN = AdminClient(QUIET)


def create(topic=TOPIC, partitions=1, **config):
    for f in ADMIN.create_topics([NewTopic(topic, partitions, -1, config={k.replace("_", "."): v for k, v in config.items()})]).values():
        f.result(120)


def produce(records, topic=TOPIC, knows_partitions=True, **config):
    """records: (partition, key, value, headers, timestamp). Answers [partition, offset] or the error's name of each, in order of report."""
    reports = []
    p = Producer({**QUIET, "linger.ms": 5, **{k.replace("_", "."): v for k, v in config.items()}})
    if knows_partitions:
        await_partitions(p, topic)
    for partition, key, value, headers, timestamp in records:
        more = {"timestamp": timestamp} if timestamp is not None else {}
        p.produce(topic, value, key, partition, headers=headers, on_delivery=lambda e, m: reports.append(e.name() if e else [m.partition(), m.offset()]), **more)
        p.poll(0)
    p.flush(240)
    return reports


def plain(values, partition=0):
    return [(partition, None, v, None, None) for v in values]


def consumer(group="unused", **config):
    return Consumer({**QUIET, "group.id": group, "auto.offset.reset": "earliest", "enable.partition.eof": True, **{k.replace("_", "."): v for k, v in config.items()}})


def read(partitions=1, topic=TOPIC, **config):
    """All records of a topic, partition after partition."""
    c = consumer(enable_auto_commit=False, **config)
    c.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)])
    found, ends = [], 0
    deadline = time.monotonic() + 120
    while ends < partitions and time.monotonic() < deadline:
        m = c.poll(1)
        if m is None:
            continue
        if m.error():
            if m.error().code() != KafkaError._PARTITION_EOF:
                raise KafkaException(m.error())
            ends += 1
        else:
            found.append(m)
    c.close()
    return sorted(found, key=lambda m: (m.partition(), m.offset()))


def text(b):
    return None if b is None else b.decode()


def failure(future):
    try:
        future.result(120)
    except KafkaException as e:
        return e.args[0].name()


def roundtrip():
    codec, acks = ARGS
    create(partitions=3)
    base = 1_700_000_000_000
    records = [
        (i % 3, None if i % 5 == 0 else f"key {i}", None if i % 7 == 0 else f"value {i} " * (i % 20), [("n", str(i).encode()), ("n", None), ("ü", b"")] if i % 2 else None, base + i)
        for i in range(1_500)
    ]
    # One request at a time: a leader that has not heard of its topic yet is asked again, which the next batch must not overtake.
    reports = produce(records, compression_type=codec, acks=acks, max_in_flight=1)
    back = read(3)
    want = sorted(range(len(records)), key=lambda i: (records[i][0], i))
    good = [
        (m.partition(), text(m.key()), text(m.value()), m.headers(), m.timestamp()[1]) == (records[i][0], records[i][1], records[i][2], [(k, v) for k, v in records[i][3]] if records[i][3] else None, records[i][4])
        for i, m in zip(want, back)
    ]
    return {"reports": len(reports), "errors": [r for r in reports if isinstance(r, str)], "records": len(back), "equal": good.count(True), "offsets": [m.offset() for m in back] == [i for _ in range(3) for i in range(500)]}


def idempotent():
    create()
    reports = produce(plain([f"{i}" for i in range(20_000)]), enable_idempotence=True, batch_num_messages=100)
    back = read()
    return {"reports": reports == [[0, i] for i in range(20_000)], "records": [int(m.value()) for m in back] == list(range(20_000))}


def refused():
    create(max_message_bytes="2000", partitions=2)
    create(TOPIC + "-log-append", message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000)
    produce([(0, None, "x", None, 1_000)], topic=TOPIC + "-log-append")
    [m] = read(topic=TOPIC + "-log-append")
    return {
        "large": produce(plain(["x" * 3_000])),
        "small": produce(plain(["x" * 1_000])),
        "partition": produce(plain(["x"], 5), knows_partitions=False),
        "log append": [m.timestamp()[0], m.timestamp()[1] >= before - 1000],
    }


def group():
    """Three members come one after the other and one leaves; every record is read by the group exactly once."""
    strategy, static = ARGS[0], ARGS[1] == "static"
    create(partitions=6)
    name = TOPIC + "-group"
    produce([(i % 6, None, f"{i}", None, None) for i in range(600)])
    lock, seen, owned, log = threading.Lock(), [], {}, []
    stop = [threading.Event() for _ in range(3)]

    def member(i):
        options = {"group_instance_id": f"m{i}"} if static else {}
        c = consumer(name, partition_assignment_strategy=strategy, session_timeout_ms=45_000, heartbeat_interval_ms=300, auto_commit_interval_ms=100, **options)

        def given(c, partitions):
            with lock:
                owned.setdefault(i, set()).update(p.partition for p in partitions)
                log.append(["+", i, len(partitions)])

        def taken(c, partitions):
            with lock:
                owned.setdefault(i, set()).difference_update(p.partition for p in partitions)
                log.append(["-", i, len(partitions)])

        c.subscribe([TOPIC], on_assign=given, on_revoke=taken)
        while not stop[i].is_set():
            m = c.poll(0.1)
            if m is not None and not m.error():
                with lock:
                    seen.append(int(m.value()))
        c.close()
        with lock:
            owned.pop(i, None)

    def settled(members):
        def good():
            with lock:
                parts = [p for i in members for p in owned.get(i, ())]
                return sorted(parts) == list(range(6)) and all(len(owned.get(i, ())) == 6 // len(members) for i in members)
        return wait(good)

    def all_read(n):
        return wait(lambda: len(seen) >= n)

    threads = [threading.Thread(target=member, args=(i,)) for i in range(3)]
    result = {"shares": []}
    for i in range(3):
        threads[i].start()
        result["shares"].append(settled(range(i + 1)))
    all_read(600)
    described = ADMIN.describe_consumer_groups([name])[name].result(120)
    result["described"] = [described.state.name, described.partition_assignor, sorted(len(m.assignment.topic_partitions) for m in described.members), sorted(str(m.group_instance_id) for m in described.members)]
    produce([(i % 6, None, f"{600 + i}", None, None) for i in range(600)])
    all_read(1_200)

    def kept():
        [r] = ADMIN.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)]).values()
        return [p.offset for p in r.result(120).topic_partitions] == [200] * 6

    wait(kept)
    stop[2].set()
    threads[2].join(120)
    if not static:
        result["after leaving"] = settled(range(2))
    else:
        # A static member that closes keeps its share until its session ends.
        result["after leaving"] = sorted(len(owned[i]) for i in (0, 1))
    for i in range(2):
        stop[i].set()
    [t.join(120) for t in threads[:2]]
    result["read"] = sorted(seen) == list(range(1_200))
    c = consumer(name)
    result["committed"] = [p.offset for p in c.committed([TopicPartition(TOPIC, p) for p in range(6)], timeout=120)]
    c.close()
    return result


def wait(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def offsets():
    create()
    base = 1_700_000_000_000
    produce([(0, None, f"{i}", None, base + 10 * i) for i in range(100)], batch_num_messages=7)
    c = consumer()
    seen = {"times": [c.offsets_for_times([TopicPartition(TOPIC, 0, base + t)], timeout=120)[0].offset for t in (-5, 0, 1, 10, 495, 990, 991)], "watermarks": list(c.get_watermark_offsets(TopicPartition(TOPIC, 0), timeout=120))}
    spec = {"earliest": OffsetSpec.earliest(), "latest": OffsetSpec.latest(), "max": OffsetSpec.max_timestamp(), "at": OffsetSpec.for_timestamp(base + 333)}
    seen["listed"] = {k: ADMIN.list_offsets({TopicPartition(TOPIC, 0): s}, isolation_level=IsolationLevel.READ_UNCOMMITTED)[TopicPartition(TOPIC, 0)].result(120).offset for k, s in spec.items()}
    deleted = ADMIN.delete_records([TopicPartition(TOPIC, 0, 40)])[TopicPartition(TOPIC, 0)].result(120)
    seen["deleted"] = [deleted.low_watermark, list(c.get_watermark_offsets(TopicPartition(TOPIC, 0), timeout=120)), read()[0].offset()]
    seen["beyond"] = failure(ADMIN.delete_records([TopicPartition(TOPIC, 0, 400)])[TopicPartition(TOPIC, 0)])
    c.close()
    return seen


def groups_admin():
    create(partitions=2)
    name = TOPIC + "-group"
    produce([(i % 2, None, f"{i}", None, None) for i in range(20)])
    a = ADMIN
    c = consumer(name, enable_auto_commit=False)
    c.assign([TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)])
    c.commit(offsets=[TopicPartition(TOPIC, 0, 3, metadata="here"), TopicPartition(TOPIC, 1, 4)], asynchronous=False)
    c.close()

    def listed():
        [r] = a.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)]).values()
        return sorted([p.partition, p.offset] for p in r.result(120).topic_partitions)

    d = consumer(name, enable_auto_commit=False)
    metadata = [[p.offset, p.metadata] for p in d.committed([TopicPartition(TOPIC, 1), TopicPartition(TOPIC, 0)], timeout=120)]
    d.close()
    seen = {"metadata": metadata, "set by the member": listed(), "group": name in [g.group_id for g in a.list_consumer_groups().result(120).valid]}
    [r] = a.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(name, [TopicPartition(TOPIC, 0, 7)])]).values()
    r.result(120)
    seen["altered"] = listed()
    described = a.describe_consumer_groups([name, name + "-none"])
    seen["state"] = described[name].result(120).state.name
    [r] = a.delete_consumer_groups([name]).values()
    seen["deleted"] = failure(r)
    seen["gone"] = name not in [g.group_id for g in a.list_consumer_groups().result(120).valid]
    [r] = a.delete_consumer_groups([name]).values()
    seen["again"] = failure(r)
    return seen


def topics_admin():
    a = ADMIN
    seen = {}
    one = lambda futures: failure(list(futures.values())[0])
    seen["created"] = one(a.create_topics([NewTopic(TOPIC, 2, -1, config={"retention.ms": "3600000"})]))
    seen["again"] = one(a.create_topics([NewTopic(TOPIC, 2, 1)]))
    seen["replicas"] = one(a.create_topics([NewTopic(TOPIC + "x", 1, 9)]))
    seen["partitions"] = one(a.create_topics([NewTopic(TOPIC + "x", 0, 1)]))
    seen["name"] = one(a.create_topics([NewTopic("no/slash", 1, 1)]))
    seen["config"] = one(a.create_topics([NewTopic(TOPIC + "x", 1, 1, config={"retention.ms": "soon"})]))
    seen["only checked"] = [one(a.create_topics([NewTopic(TOPIC + "x", 1, 1)], validate_only=True)), TOPIC + "x" in a.list_topics(timeout=120).topics]
    seen["more"] = one(a.create_partitions([NewPartitions(TOPIC, 5)]))
    seen["fewer"] = one(a.create_partitions([NewPartitions(TOPIC, 3)]))
    # Another broker than the one that changed it may be asked, which hears of it a little later.
    deadline = time.monotonic() + 120
    while len(now := sorted(a.list_topics(TOPIC, timeout=120).topics[TOPIC].partitions)) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    seen["now"] = now
    resource = ConfigResource(ResourceType.TOPIC, TOPIC)

    def config(*names):
        [f] = a.describe_configs([resource]).values()
        r = f.result(120)
        return [[r[n].value, r[n].is_default] for n in names]

    seen["set at creation"] = config("retention.ms", "cleanup.policy")
    resource.incremental_configs = [ConfigEntry("retention.ms", None, incremental_operation=AlterConfigOpType.DELETE), ConfigEntry("segment.bytes", "1048576", incremental_operation=AlterConfigOpType.SET)]
    seen["altered"] = one(a.incremental_alter_configs([resource]))
    seen["after"] = config("retention.ms", "segment.bytes")
    bad = ConfigResource(ResourceType.TOPIC, TOPIC, incremental_configs=[ConfigEntry("segment.bytes", "-3", incremental_operation=AlterConfigOpType.SET)])
    seen["invalid"] = one(a.incremental_alter_configs([bad]))
    [f] = a.describe_configs([ConfigResource(ResourceType.BROKER, "1")]).values()
    broker = f.result(120)
    seen["broker"] = [broker["broker.id"].value, broker["log.dirs"].is_read_only]
    cluster = a.describe_cluster().result(120)
    seen["cluster"] = [cluster.controller.id, BROKER in [f"{n.host}:{n.port}" for n in cluster.nodes], len(cluster.cluster_id)]
    described = list(a.describe_topics(TopicCollection([TOPIC])).values())[0].result(120)
    seen["described"] = [[p.id, p.leader.id, len(p.replicas), len(p.isr)] for p in described.partitions]
    seen["deleted"] = one(a.delete_topics([TOPIC]))
    wait(lambda: TOPIC not in a.list_topics(timeout=120).topics)
    seen["gone"] = TOPIC not in a.list_topics(timeout=120).topics
    seen["unknown"] = one(a.delete_topics([TOPIC]))
    return seen



def read_committed(topic=TOPIC, partitions=2):
    """Values by partition that read_committed shows, up to the ends."""
    # A transaction that is committed is shown when its markers are written, which nobody is told of.
    ends = lambda level: [ADMIN.list_offsets({TopicPartition(topic, p): OffsetSpec.latest()}, isolation_level=level)[TopicPartition(topic, p)].result(120).offset for p in range(partitions)]
    wait(lambda: ends(IsolationLevel.READ_COMMITTED) == ends(IsolationLevel.READ_UNCOMMITTED))
    c = consumer(unique_group(), isolation_level="read_committed")
    c.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)])
    values, ends = {p: [] for p in range(partitions)}, 0
    while ends < partitions:
        m = c.poll(120)
        if m is None:
            break
        if m.error():
            ends += 1
        else:
            values[m.partition()].append(m.value().decode())
    c.close()
    return values


def unique_group():
    return f"{TOPIC}-{time.time()}"


def transactions():
    """Commits, aborts, offsets, a second producer with the same id."""
    create(partitions=2)
    group = TOPIC + "-group"
    member = consumer(group, enable_auto_commit=False)
    metadata = member.consumer_group_metadata()

    def producer():
        p = Producer({**QUIET, "transactional.id": TOPIC, "transaction.timeout.ms": 120000})
        p.init_transactions(120)
        return p

    def send(p, name):
        for partition in (0, 1):
            for i in range(50):
                p.produce(TOPIC, f"{name}-{i}", partition=partition)
        p.flush(240)

    first = producer()
    for round in range(4):
        first.begin_transaction()
        send(first, f"round{round}")
        first.send_offsets_to_transaction([TopicPartition(TOPIC, 0, 10 + round)], metadata, 120)
        if round % 2:
            first.abort_transaction(120)
        else:
            first.commit_transaction(120)
    seen = {"committed": [t.offset for t in member.committed([TopicPartition(TOPIC, 0)], 120)]}
    first.begin_transaction()
    send(first, "fenced")
    second = producer()
    try:
        first.commit_transaction(120)
        seen["first"] = "committed"
    except KafkaException as e:
        seen["first"] = [e.args[0].name(), e.args[0].fatal()]
    second.begin_transaction()
    send(second, "second")
    second.commit_transaction(120)
    member.close()
    values = read_committed()
    seen["read"] = {str(p): sorted({v.split("-")[0] for v in found}) for p, found in values.items()}
    seen["counts"] = [len(found) for found in values.values()]
    return seen


print(json.dumps(globals()[CASE]()))
