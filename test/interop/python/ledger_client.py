"""librdkafka under faults: ledger_client.py BROKERS TOPIC PARTITIONS STOPFILE PER_SECOND IN_FLIGHT.

Writes numbered records with an idempotent producer and reads them in a group until the file is there. Prints `acknowledged N delivered M` now
and then, and at the end one JSON document of what was asked and told.
"""
import json
import os
import sys
import threading
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from partitions import await_partitions

BROKERS, TOPIC, PARTITIONS, STOP, PER_SECOND, IN_FLIGHT = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]), int(sys.argv[6])
NAME = "idempotent librdkafka"
QUIET = {"bootstrap.servers": BROKERS, "log_level": 0, "reconnect.backoff.max.ms": 500, "topic.metadata.refresh.interval.ms": 2000}
acknowledged, failed, delivered, errors = [], [], [], []
seen = set()
read_to = {}
sent = 0
longest_pause = 0.0
last = None
reading_ends = threading.Event()


def on_delivery(number):
    def told(error, message):
        global longest_pause, last
        if error:
            failed.append([number, error.name()])
            return
        now = time.monotonic()
        if last is not None:
            longest_pause = max(longest_pause, now - last)
        last = now
        acknowledged.append([message.partition(), message.offset(), number])
    return told


def read_in_group():
    consumer = Consumer({**QUIET, "group.id": TOPIC + "-librdkafka", "auto.offset.reset": "earliest", "enable.auto.commit": False, "session.timeout.ms": 10000, "partition.assignment.strategy": "cooperative-sticky"})
    consumer.subscribe([TOPIC])
    commits = 0
    while not reading_ends.is_set():
        for message in consumer.consume(500, 0.2):
            if message.error():
                if message.error().fatal():
                    errors.append("consumer: " + message.error().name())
                    return
                continue
            delivered.append([message.partition(), message.offset(), message.value().decode()])
            seen.add(message.value().decode())
            read_to[message.partition()] = message.offset()
        if len(delivered) > commits:
            commits = len(delivered)
            commit(consumer, True)
    commit(consumer, False)
    consumer.close()


def commit(consumer, asynchronous):
    """Who was thrown out of the group (its heartbeats came late, say) or has nothing to commit is told so; the records come again then."""
    try:
        consumer.commit(asynchronous=asynchronous)
    except KafkaException:
        pass


def read_all():
    """The whole topic, partition after partition, after all faults."""
    consumer = Consumer({**QUIET, "group.id": "unused", "enable.auto.commit": False, "enable.partition.eof": True, "fetch.wait.max.ms": 100})
    consumer.assign([TopicPartition(TOPIC, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
    found, ended = [], set()
    deadline = time.monotonic() + 300
    while len(ended) < PARTITIONS and time.monotonic() < deadline:
        for m in consumer.consume(1000, 0.2):
            if m.error():
                if m.error().code() == KafkaError._PARTITION_EOF:
                    ended.add(m.partition())
            else:
                found.append([m.partition(), m.offset(), m.value().decode()])
    consumer.close()
    if len(ended) < PARTITIONS:
        errors.append("the whole topic was not read within 300 s")
    return found


reader = threading.Thread(target=read_in_group)
reader.start()
# Where a later request overtakes one that was refused, librdkafka takes a new epoch and sends everything that is not acknowledged under it, also what a leader that handed
# over has kept. No broker can tell that from new records; Apache's cause it at times. With more than one request in flight it writes each record by itself, so that there are.
producer = Producer({**QUIET, "enable.idempotence": True, "max.in.flight": IN_FLIGHT, "linger.ms": 5, "batch.num.messages": 200 if IN_FLIGHT == 1 else 1, "message.timeout.ms": 300000, "request.timeout.ms": 5000, "socket.timeout.ms": 6000, "retry.backoff.ms": 50})
await_partitions(producer, TOPIC)
begun = told = time.monotonic()
while not os.path.exists(STOP):
    # What cannot be written now is not written faster later: the queue holds a few seconds.
    due = time.monotonic()
    if due - begun > 0.1:
        begun = due - 0.1
    if len(producer) < PER_SECOND * 3:
        while begun < due:
            begun += 1 / PER_SECOND
            producer.produce(TOPIC, "%s.%d" % (NAME, sent), partition=sent % PARTITIONS, on_delivery=on_delivery(sent))
            sent += 1
    producer.poll(0.01)
    if time.monotonic() - told > 0.2:
        told = time.monotonic()
        print("acknowledged %d delivered %d" % (len(acknowledged), len(delivered)), flush=True)
producer.flush(300)


def has_read_all():
    # By value: a repeated batch may be acknowledged without an offset.
    if any("%s.%d" % (NAME, n) not in seen for _, _, n in acknowledged):
        return False
    # And what others have written: nobody writes any more.
    asker = Consumer({**QUIET, "group.id": "unused"})
    try:
        return all(read_to.get(p, -1) >= asker.get_watermark_offsets(TopicPartition(TOPIC, p), timeout=30)[1] - 1 for p in range(PARTITIONS))
    except KafkaException:
        return False
    finally:
        asker.close()


deadline = time.monotonic() + 300
while not has_read_all() and reader.is_alive() and time.monotonic() < deadline:
    time.sleep(0.1)
reading_ends.set()
reader.join()
print(json.dumps({"name": NAME, "sent": sent, "acknowledged": acknowledged, "failed": failed, "delivered": delivered, "errors": errors, "whole": read_all(), "longestPauseMs": round(longest_pause * 1000)}))
