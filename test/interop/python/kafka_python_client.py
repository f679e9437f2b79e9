"""kafka-python at a broker: kafka_python_client.py CASE HOST:PORT TOPIC [ARG]. Prints one JSON document."""
import json
import sys
import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.structs import OffsetAndMetadata

CASE, BROKER, TOPIC, *ARGS = sys.argv[1:]
ADMIN = KafkaAdminClient(bootstrap_servers=BROKER)
P = [TopicPartition(TOPIC, p) for p in range(6)]


def create(partitions=1):
    ADMIN.create_topics([NewTopic(TOPIC, partitions, 1)])


def produce(values, partitions=1, **config):
    p = KafkaProducer(bootstrap_servers=BROKER, linger_ms=5, **config)
    futures = [p.send(TOPIC, str(v).encode(), partition=i % partitions) for i, v in enumerate(values)]
    p.flush(120)
    metadata = [f.get(120) for f in futures]
    p.close()
    return [[m.partition, m.offset] for m in metadata]


def read(consumer, count, seconds=120):
    found, deadline = [], time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        # Longer than a slow machine needs to join: kafka-python joins again where a poll ends just as the group's answer comes.
        for records in consumer.poll(timeout_ms=5_000).values():
            found.extend(records)
    return found


def roundtrip():
    codec, acks = ARGS
    create(2)
    base = 1_700_000_000_000
    want = [(i % 2, f"k{i}".encode() if i % 3 else None, f"value {i} ".encode() * (i % 8) if i % 4 or not i % 3 else None, [("h", str(i).encode())] if i % 5 else [], base + i) for i in range(1_000)]
    p = KafkaProducer(bootstrap_servers=BROKER, compression_type=None if codec == "none" else codec, acks=acks if acks == "all" else int(acks), linger_ms=5, enable_idempotence=acks == "all")
    futures = [p.send(TOPIC, v, key=k, headers=h, partition=n, timestamp_ms=t) for n, k, v, h, t in want]
    p.flush(120)
    offsets = [f.get(120).offset for f in futures]
    p.close()
    c = KafkaConsumer(bootstrap_servers=BROKER, enable_auto_commit=False, auto_offset_reset="earliest")
    c.assign(P[:2])
    found = sorted(read(c, 1_000), key=lambda r: (r.offset, r.partition))
    c.close()
    return {
        # Without an answer nobody knows the offsets.
        "offsets": acks == "0" or offsets == [i // 2 for i in range(1_000)],
        "records": len(found),
        "equal": [(r.partition, r.key, r.value, [tuple(h) for h in r.headers], r.timestamp) for r in found] == want,
    }


def group():
    create(6)
    name, seen, lock, stop = TOPIC + "-group", [], threading.Lock(), [threading.Event(), threading.Event()]
    owned, counts = [set(), set()], []
    produce(range(300), 6)

    def member(i):
        c = KafkaConsumer(bootstrap_servers=BROKER, group_id=name, auto_offset_reset="earliest", auto_commit_interval_ms=100, session_timeout_ms=30_000, heartbeat_interval_ms=300)

        class Listener(ConsumerRebalanceListener):
            def on_partitions_revoked(self, revoked):
                owned[i] = set()

            def on_partitions_assigned(self, assigned):
                owned[i] = {p.partition for p in assigned}

        c.subscribe([TOPIC], listener=Listener())
        while not stop[i].is_set():
            for records in c.poll(timeout_ms=100).values():
                with lock:
                    seen.extend(int(r.value) for r in records)
        c.close()

    def wait(condition, seconds=120):
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.02)
        return condition()

    threads = [threading.Thread(target=member, args=(i,)) for i in range(2)]
    threads[0].start()
    counts.append(wait(lambda: sorted(owned[0]) == list(range(6))))
    counts.append(wait(lambda: len(seen) >= 300))
    threads[1].start()
    counts.append(wait(lambda: len(owned[0]) == len(owned[1]) == 3 and len(owned[0] | owned[1]) == 6))
    produce(range(300, 600), 6)
    counts.append(wait(lambda: len(seen) >= 600))
    stop[0].set()
    threads[0].join(120)
    counts.append(wait(lambda: sorted(owned[1]) == list(range(6))))
    stop[1].set()
    threads[1].join(120)
    c = KafkaConsumer(bootstrap_servers=BROKER, group_id=name)
    return {"steps": counts, "read": sorted(seen) == list(range(600)), "committed": [c.committed(p) for p in P]}


def offsets():
    create(1)
    base = 1_700_000_000_000
    p = KafkaProducer(bootstrap_servers=BROKER)
    [p.send(TOPIC, str(i).encode(), timestamp_ms=base + 10 * i) for i in range(50)]
    p.flush(120)
    p.close()
    c = KafkaConsumer(bootstrap_servers=BROKER, group_id=TOPIC + "-group", enable_auto_commit=False, auto_offset_reset="earliest")
    c.assign(P[:1])
    at = lambda t: (lambda o: None if o is None else [o.offset, o.timestamp - base])(c.offsets_for_times({P[0]: base + t})[P[0]])
    seen = {"times": [at(0), at(95), at(490), at(491)], "ends": [c.beginning_offsets(P[:1])[P[0]], c.end_offsets(P[:1])[P[0]]]}
    c.seek(P[0], 30)
    seen["seek"] = [int(r.value) for r in read(c, 20)]
    c.commit({P[0]: OffsetAndMetadata(12, "a note", -1)})
    c.close()
    again = KafkaConsumer(TOPIC, bootstrap_servers=BROKER, group_id=TOPIC + "-group", enable_auto_commit=False)
    seen["resumed"] = [int(r.value) for r in read(again, 38)] == list(range(12, 50))
    again.close()
    ADMIN.delete_records({P[0]: 45})
    late = KafkaConsumer(bootstrap_servers=BROKER, auto_offset_reset="earliest")
    late.assign(P[:1])
    late.seek(P[0], 3)
    seen["deleted"] = [int(r.value) for r in read(late, 5)]
    late.close()
    return seen


def until(look, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def administration():
    seen = {}

    def error(call, *args, **options):
        try:
            call(*args, **options)
        except Exception as e:
            return type(e).__name__

    seen["create"] = [error(ADMIN.create_topics, [NewTopic(TOPIC, 2, 1)]), error(ADMIN.create_topics, [NewTopic(TOPIC, 2, 1)])]
    # Another broker than the one that made it may be asked, which hears of it a little later.
    seen["listed"] = until(lambda: TOPIC in ADMIN.list_topics())
    seen["partitions"] = until(lambda: len(ADMIN.describe_topics([TOPIC])[0]["partitions"]))
    produce(range(4), 2)
    c = KafkaConsumer(TOPIC, bootstrap_servers=BROKER, group_id=TOPIC + "-group", auto_offset_reset="earliest")
    read(c, 4)
    c.commit()
    c.close()
    seen["group"] = sorted(o.offset for o in list(ADMIN.list_group_offsets([TOPIC + "-group"]).values())[0].values())
    seen["delete group"] = error(ADMIN.delete_groups, [TOPIC + "-group"])
    seen["delete"] = [error(ADMIN.delete_topics, [TOPIC]), error(ADMIN.delete_topics, [TOPIC])]
    seen["cluster"] = [len(ADMIN.describe_cluster()["brokers"]), ADMIN.describe_cluster()["controller_id"]]
    return seen


print(json.dumps(globals()[CASE]()))
