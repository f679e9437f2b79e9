import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.ReplicaInfo;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Kafka's own Java client at a broker: KafkaClient CASE HOST:PORT TOPIC [ARG…]. Prints one JSON document. */
public final class KafkaClient {
    private static String broker;
    private static String topic;
    private static String[] more;

    public static void main(String[] args) throws Exception {
        broker = args[1];
        topic = args[2];
        more = java.util.Arrays.copyOfRange(args, 3, args.length);
        System.out.println(Report.json(switch (args[0]) {
            case "roundtrip" -> roundtrip();
            case "idempotent" -> idempotent();
            case "group" -> group();
            case "offsets" -> offsets();
            case "topics" -> topics();
            case "groups" -> groups();
            default -> throw new IllegalArgumentException(args[0]);
        }));
    }

    private static Map<String, Object> config(Object... pairs) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", broker);
        for (int i = 0; i < pairs.length; i += 2) config.put((String) pairs[i], pairs[i + 1]);
        return config;
    }

    private static Admin admin() {
        return Admin.create(config());
    }

    private static KafkaProducer<String, String> producer(Object... pairs) {
        return new KafkaProducer<>(config(pairs), new StringSerializer(), new StringSerializer());
    }

    private static KafkaConsumer<String, String> consumer(Object... pairs) {
        Map<String, Object> config = config("auto.offset.reset", "earliest", "fetch.max.wait.ms", 200);
        config.putAll(config(pairs));
        return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
    }

    private static void create(int partitions) throws Exception {
        try (Admin admin = admin()) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) -1))).all().get();
        }
    }

    private static void produce(int from, int count, int partitions) {
        try (var producer = producer("linger.ms", 5)) {
            for (int i = 0; i < count; i++) producer.send(new ProducerRecord<>(topic, i % partitions, null, String.valueOf(from + i)));
        }
    }

    private static TopicPartition at(int partition) {
        return new TopicPartition(topic, partition);
    }

    private static Object roundtrip() throws Exception {
        create(3);
        long base = 1_700_000_000_000L;
        int count = 3_000;
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (var producer = producer("compression.type", more[0], "acks", more[1], "linger.ms", 10, "enable.idempotence", more[1].equals("all"))) {
            for (int i = 0; i < count; i++) {
                var record = new ProducerRecord<>(topic, i % 3, base + i, i % 5 == 0 ? null : "key " + i, i % 7 == 0 ? null : ("value " + i + " ").repeat(i % 20));
                if (i % 2 == 0) record.headers().add(new RecordHeader("h", String.valueOf(i).getBytes(StandardCharsets.UTF_8))).add(new RecordHeader("h", (byte[]) null));
                sent.add(producer.send(record));
            }
        }
        boolean offsets = true;
        for (int i = 0; i < count; i++) {
            RecordMetadata metadata = sent.get(i).get();
            offsets &= more[1].equals("0") ? !metadata.hasOffset() : metadata.offset() == i / 3;
        }
        int equal = 0;
        int records = 0;
        try (var consumer = consumer("check.crcs", true)) {
            consumer.assign(List.of(at(0), at(1), at(2)));
            consumer.seekToBeginning(consumer.assignment());
            for (long end = System.nanoTime() + 120_000_000_000L; records < count && System.nanoTime() < end; ) {
                for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(300))) {
                    int i = (int) r.offset() * 3 + r.partition();
                    var headers = r.headers().toArray();
                    boolean good = java.util.Objects.equals(r.key(), i % 5 == 0 ? null : "key " + i)
                        && java.util.Objects.equals(r.value(), i % 7 == 0 ? null : ("value " + i + " ").repeat(i % 20))
                        && r.timestamp() == base + i
                        && r.leaderEpoch().equals(Optional.of(0))
                        && (i % 2 == 1 ? headers.length == 0 : headers.length == 2 && new String(headers[0].value(), StandardCharsets.UTF_8).equals(String.valueOf(i)) && headers[1].value() == null);
                    if (good) equal++;
                    records++;
                }
            }
        }
        return Map.of("offsets", offsets, "records", records, "equal", equal);
    }

    private static Object idempotent() throws Exception {
        create(1);
        int count = 20_000;
        try (var producer = producer("enable.idempotence", true, "acks", "all", "batch.size", 500, "max.in.flight.requests.per.connection", 5)) {
            for (int i = 0; i < count; i++) producer.send(new ProducerRecord<>(topic, 0, null, String.valueOf(i)));
        }
        List<Integer> read = new ArrayList<>();
        try (var consumer = consumer()) {
            consumer.assign(List.of(at(0)));
            consumer.seekToBeginning(consumer.assignment());
            for (long end = System.nanoTime() + 120_000_000_000L; read.size() < count && System.nanoTime() < end; ) consumer.poll(Duration.ofMillis(300)).forEach(r -> read.add(Integer.valueOf(r.value())));
        }
        boolean ordered = read.size() == count;
        for (int i = 0; ordered && i < count; i++) ordered = read.get(i) == i;
        try (Admin admin = admin()) {
            var producers = admin.describeProducers(List.of(at(0))).partitionResult(at(0)).get().activeProducers();
            return Map.of("ordered", ordered, "producers", producers.size(), "last sequence", producers.get(0).lastSequence());
        }
    }

    private static final class Member implements ConsumerRebalanceListener {
        final KafkaConsumer<String, String> consumer;
        final Set<Integer> share = ConcurrentHashMap.newKeySet();
        final Thread thread;

        Member(Map<String, Integer> times, Object... pairs) {
            consumer = consumer(pairs);
            consumer.subscribe(List.of(topic), this);
            thread = new Thread(() -> {
                try (consumer) {
                    while (true) consumer.poll(Duration.ofMillis(100)).forEach(r -> times.merge(r.value(), 1, Integer::sum));
                } catch (WakeupException e) {
                    // Told to leave.
                }
            });
            thread.start();
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            partitions.forEach(p -> share.add(p.partition()));
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            partitions.forEach(p -> share.remove(p.partition()));
        }

        void leave() throws InterruptedException {
            consumer.wakeup();
            thread.join(120_000);
            share.clear();
        }
    }

    private static boolean settled(Member... members) throws InterruptedException {
        return Report.until(() -> {
            Set<Integer> all = new HashSet<>();
            for (Member m : members) {
                if (m.share.size() != 6 / members.length) return false;
                all.addAll(m.share);
            }
            return all.size() == 6;
        });
    }

    private static Object group() throws Exception {
        create(6);
        String name = topic + "-group";
        Map<String, Integer> times = new ConcurrentHashMap<>();
        String assignor = "org.apache.kafka.clients.consumer." + more[0];
        boolean fixed = more[1].equals("static");
        java.util.function.IntFunction<Member> join = i -> {
            List<Object> pairs = Report.list("group.id", name, "partition.assignment.strategy", assignor, "session.timeout.ms", 45_000, "heartbeat.interval.ms", 200, "auto.commit.interval.ms", 100);
            if (fixed) pairs.addAll(List.of("group.instance.id", "m" + i));
            return new Member(times, pairs.toArray());
        };
        List<Object> steps = new ArrayList<>();
        produce(0, 300, 6);
        Member a = join.apply(0);
        steps.add(settled(a));
        steps.add(Report.until(() -> times.size() == 300));
        Member b = join.apply(1);
        steps.add(settled(a, b));
        Member c = join.apply(2);
        steps.add(settled(a, b, c));
        produce(300, 300, 6);
        steps.add(Report.until(() -> times.size() == 600));
        Map<String, Object> seen = new TreeMap<>();
        try (Admin admin = admin()) {
            var described = admin.describeConsumerGroups(List.of(name)).all().get().get(name);
            seen.put("state", described.groupState());
            seen.put("assignor", described.partitionAssignor());
            seen.put("instances", described.members().stream().map(m -> m.groupInstanceId().orElse("none")).sorted().toList());
            a.leave();
            if (fixed) {
                a = join.apply(0);
                steps.add(settled(a, b, c));
                a.leave();
            } else {
                steps.add(settled(b, c));
            }
            b.leave();
            c.leave();
            Map<Integer, Long> committed = new TreeMap<>();
            admin.listConsumerGroupOffsets(name).partitionsToOffsetAndMetadata().get().forEach((p, o) -> committed.put(p.partition(), o.offset()));
            seen.put("committed", committed.values());
        }
        seen.put("steps", steps);
        seen.put("once", times.values().stream().filter(n -> n == 1).count());
        return seen;
    }

    private static Object offsets() throws Exception {
        create(1);
        long base = 1_700_000_000_000L;
        try (var producer = producer("batch.size", 200)) {
            for (int i = 0; i < 100; i++) producer.send(new ProducerRecord<>(topic, 0, base + 10 * i, null, String.valueOf(i)));
        }
        Map<String, Object> seen = new TreeMap<>();
        try (Admin admin = admin(); var consumer = consumer("group.id", topic + "-group", "enable.auto.commit", false)) {
            Map<String, OffsetSpec> specs = new LinkedHashMap<>();
            specs.put("earliest", OffsetSpec.earliest());
            specs.put("latest", OffsetSpec.latest());
            specs.put("max", OffsetSpec.maxTimestamp());
            specs.put("at", OffsetSpec.forTimestamp(base + 333));
            Map<String, Object> listed = new LinkedHashMap<>();
            for (var e : specs.entrySet()) listed.put(e.getKey(), admin.listOffsets(Map.of(at(0), e.getValue())).all().get().get(at(0)).offset());
            seen.put("listed", listed);
            var time = consumer.offsetsForTimes(Map.of(at(0), base + 101)).get(at(0));
            seen.put("consumer", Report.list(time.offset(), time.timestamp() - base, consumer.beginningOffsets(List.of(at(0))).get(at(0)), consumer.endOffsets(List.of(at(0))).get(at(0))));
            seen.put("deleted", admin.deleteRecords(Map.of(at(0), RecordsToDelete.beforeOffset(40))).all().get() == null ? 40 : -1);
            seen.put("beginning", consumer.beginningOffsets(List.of(at(0))).get(at(0)));
            seen.put("beyond", Report.refusal(() -> admin.deleteRecords(Map.of(at(0), RecordsToDelete.beforeOffset(1_000))).all().get()));
            consumer.assign(List.of(at(0)));
            consumer.commitSync(Map.of(at(0), new OffsetAndMetadata(77, Optional.of(0), "a note")));
            var committed = consumer.committed(Set.of(at(0))).get(at(0));
            seen.put("committed", Report.list(committed.offset(), committed.leaderEpoch().orElse(-1), committed.metadata()));
            List<Object> read = new ArrayList<>();
            while (read.size() < 23) consumer.poll(Duration.ofMillis(300)).forEach(r -> read.add(Integer.valueOf(r.value())));
            seen.put("resumed", Report.list(read.get(0), read.size()));
        }
        return seen;
    }

    private static Object topics() throws Exception {
        Map<String, Object> seen = new TreeMap<>();
        try (Admin admin = admin()) {
            var created = admin.createTopics(List.of(new NewTopic(topic, 2, (short) -1).configs(Map.of("segment.bytes", "2000000"))));
            seen.put("created", Report.list(created.numPartitions(topic).get(), created.replicationFactor(topic).get(), created.config(topic).get().get("segment.bytes").value(), created.topicId(topic).get().toString().length()));
            seen.put("again", Report.refusal(() -> admin.createTopics(List.of(new NewTopic(topic, 2, (short) -1))).all().get()));
            seen.put("replicas", Report.refusal(() -> admin.createTopics(List.of(new NewTopic(topic + "x", 2, (short) 9))).all().get()));
            seen.put("by hand", Report.refusal(() -> admin.createTopics(List.of(new NewTopic(topic + "y", Map.of(0, List.of(1), 1, List.of(1))))).all().get()));
            seen.put("listed", new TreeSet<>(admin.listTopics().names().get()).subSet(topic, topic + "zz").size());
            seen.put("partitions", Report.refusal(() -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get()));
            seen.put("fewer", Report.refusal(() -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(1))).all().get()));
            var described = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
            seen.put("described", described.partitions().stream().map(p -> Report.list(p.partition(), p.leader().id(), p.replicas().size(), p.isr().size())).toList());
            var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            var operations = Map.<ConfigResource, Collection<AlterConfigOp>>of(resource, List.of(new AlterConfigOp(new ConfigEntry("retention.ms", "1234567"), AlterConfigOp.OpType.SET), new AlterConfigOp(new ConfigEntry("segment.bytes", ""), AlterConfigOp.OpType.DELETE)));
            seen.put("altered", Report.refusal(() -> admin.incrementalAlterConfigs(operations).all().get()));
            var config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
            List<Object> entries = new ArrayList<>();
            for (String name : List.of("retention.ms", "segment.bytes", "compression.type")) entries.add(Report.list(config.get(name).value(), config.get(name).source(), config.get(name).isReadOnly()));
            seen.put("config", entries);
            seen.put("invalid", Report.refusal(() -> admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry("retention.ms", "soon"), AlterConfigOp.OpType.SET)))).all().get()));
            seen.put("unknown key", Report.refusal(() -> admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry("no.such.key", "1"), AlterConfigOp.OpType.SET)))).all().get()));
            var cluster = admin.describeCluster();
            seen.put("cluster", Report.list(cluster.controller().get().id(), cluster.nodes().get().size(), cluster.clusterId().get().length()));
            produce(0, 100, 4);
            Map<TopicPartition, ReplicaInfo> replicas = new HashMap<>();
            admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).values().forEach(d -> replicas.putAll(d.replicaInfos()));
            seen.put("log dirs", Report.list(replicas.get(at(3)).size() > 25, replicas.get(at(3)).offsetLag(), replicas.get(at(3)).isFuture()));
            seen.put("deleted", Report.refusal(() -> admin.deleteTopics(List.of(topic)).all().get()));
            seen.put("gone", Report.until(() -> {
                try {
                    return !admin.listTopics().names().get().contains(topic);
                } catch (Exception e) {
                    throw new IllegalStateException(e);
                }
            }));
            seen.put("unknown", Report.refusal(() -> admin.describeTopics(List.of(topic)).allTopicNames().get()));
        }
        return seen;
    }

    private static Object groups() throws Exception {
        create(2);
        produce(0, 20, 2);
        String name = topic + "-group";
        Map<String, Object> seen = new TreeMap<>();
        try (Admin admin = admin()) {
            admin.alterConsumerGroupOffsets(name, Map.of(at(0), new OffsetAndMetadata(3), at(1), new OffsetAndMetadata(4, "m"))).all().get();
            java.util.concurrent.Callable<Object> committed = () -> {
                Map<Integer, Object> found = new TreeMap<>();
                admin.listConsumerGroupOffsets(name).partitionsToOffsetAndMetadata().get().forEach((p, o) -> found.put(p.partition(), Report.list(o.offset(), o.metadata())));
                return found.values().stream().toList();
            };
            seen.put("altered", committed.call());
            seen.put("listed", admin.listGroups().all().get().stream().filter(g -> g.groupId().equals(name)).map(g -> g.groupState().map(Object::toString).orElse("?") + " " + g.protocol()).toList());
            seen.put("one deleted", Report.refusal(() -> admin.deleteConsumerGroupOffsets(name, Set.of(at(0))).all().get()));
            seen.put("left", committed.call());
            Member member = new Member(new ConcurrentHashMap<>(), "group.id", name, "session.timeout.ms", 45_000, "heartbeat.interval.ms", 200);
            Report.until(() -> member.share.size() == 2);
            seen.put("busy", Report.list(Report.refusal(() -> admin.deleteConsumerGroups(List.of(name)).all().get()), Report.refusal(() -> admin.alterConsumerGroupOffsets(name, Map.of(at(0), new OffsetAndMetadata(1))).all().get()), Report.refusal(() -> admin.deleteConsumerGroupOffsets(name, Set.of(at(0))).all().get())));
            var described = admin.describeConsumerGroups(List.of(name)).all().get().get(name);
            seen.put("described", Report.list(described.groupState(), described.coordinator().id(), described.members().size()));
            member.leave();
            seen.put("deleted", Report.refusal(() -> admin.deleteConsumerGroups(List.of(name)).all().get()));
            seen.put("unknown", Report.refusal(() -> admin.deleteConsumerGroups(List.of(name)).all().get()));
        }
        return seen;
    }
}
