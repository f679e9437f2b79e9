"""What programs of librdkafka do before they write where order counts."""
import time


def await_partitions(producer, topic):
    """
    Waits until the producer knows the topic's partitions, two minutes at most. librdkafka keeps what is produced before that in a place of its own, and when it distributes it,
    what is produced at that moment comes before: the order of a partition is then lost before anything is sent.
    """
    deadline = time.monotonic() + 120
    while not ((found := producer.list_topics(topic, timeout=60).topics.get(topic)) and found.error is None and found.partitions) and time.monotonic() < deadline:
        time.sleep(0.02)
