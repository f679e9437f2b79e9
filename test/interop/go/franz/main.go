// franz-go at a broker: franz CASE HOST:PORT TOPIC [ARG...].
package main

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	. "interop/report"
)

var (
	which, broker, topic, more = Arguments()
	ctx                        = context.Background()
)

func client(options ...kgo.Opt) *kgo.Client {
	return Got(kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(broker), kgo.MetadataMinAge(100 * time.Millisecond)}, options...)...))
}

func create(partitions int32) *kadm.Client {
	anyone := client()
	admin := kadm.NewClient(anyone)
	Must(Got(admin.CreateTopics(ctx, partitions, -1, nil, topic)).Error())
	// In a cluster brokers hear of it one after the other; what is sent without an acknowledgement to one that has not yet is lost.
	for _, broker := range Got(admin.ListBrokers(ctx)) {
		for !knows(anyone.Broker(int(broker.NodeID)), partitions) {
			Must(ctx.Err())
			time.Sleep(50 * time.Millisecond)
		}
	}
	return admin
}

// Whether a broker tells of every partition's leader.
func knows(broker *kgo.Broker, partitions int32) bool {
	request, asked := kmsg.NewPtrMetadataRequest(), kmsg.NewMetadataRequestTopic()
	asked.Topic = kmsg.StringPtr(topic)
	request.Topics = append(request.Topics, asked)
	answer, err := request.RequestWith(ctx, broker)
	if err != nil || len(answer.Topics) != 1 || len(answer.Topics[0].Partitions) != int(partitions) {
		return false
	}
	for _, partition := range answer.Topics[0].Partitions {
		if partition.ErrorCode != 0 || partition.Leader < 0 {
			return false
		}
	}
	return true
}

var codecs = map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
var acks = map[string][]kgo.Opt{
	"all": {kgo.RequiredAcks(kgo.AllISRAcks())},
	"1":   {kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()},
	"0":   {kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite()},
}

func value(i int) []byte { return []byte(fmt.Sprintf("value %d %0*d", i, i%100, i)) }

func roundtrip() any {
	create(3)
	base := time.UnixMilli(1_700_000_000_000)
	const count = 3_000
	producer := client(append(acks[more[1]], kgo.ProducerBatchCompression(codecs[more[0]]), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	var failed []string
	for i := range count {
		r := &kgo.Record{Topic: topic, Partition: int32(i % 3), Value: value(i), Timestamp: base.Add(time.Duration(i) * time.Millisecond)}
		if i%5 != 0 {
			r.Key = []byte(strconv.Itoa(i))
		}
		if i%2 == 0 {
			r.Headers = []kgo.RecordHeader{{Key: "a", Value: []byte{1}}, {Key: "a", Value: nil}}
		}
		producer.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				failed = append(failed, err.Error())
			}
		})
	}
	Must(producer.Flush(ctx))
	producer.Close()
	consumer := client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer consumer.Close()
	equal, records := 0, 0
	for records < count {
		within, cancel := context.WithTimeout(ctx, 2*time.Minute)
		fetches := consumer.PollFetches(within)
		cancel()
		Must(fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			i := int(r.Offset)*3 + int(r.Partition)
			keyed := (i%5 == 0 && r.Key == nil) || string(r.Key) == strconv.Itoa(i)
			headed := (i%2 == 1 && len(r.Headers) == 0) || (len(r.Headers) == 2 && r.Headers[0].Value[0] == 1 && r.Headers[1].Value == nil)
			if keyed && headed && string(r.Value) == string(value(i)) && r.Timestamp.Equal(base.Add(time.Duration(i)*time.Millisecond)) {
				equal++
			}
			records++
		})
	}
	return map[string]any{"failed": failed, "records": records, "equal": equal}
}

type member struct {
	mutex  sync.Mutex
	owned  map[int32]bool
	events []string
	client *kgo.Client
	done   chan struct{}
}

func (m *member) share() []int32 {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	var share []int32
	for p := range m.owned {
		share = append(share, p)
	}
	return share
}

func group() any {
	balancers := map[string]kgo.GroupBalancer{"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(), "sticky": kgo.StickyBalancer(), "cooperative-sticky": kgo.CooperativeStickyBalancer()}
	admin, name := create(6), topic+"-group"
	var mutex sync.Mutex
	times := map[int]int{}
	read := func() int { mutex.Lock(); defer mutex.Unlock(); return len(times) }
	join := func(i int) *member {
		m := &member{owned: map[int32]bool{}, done: make(chan struct{})}
		change := func(gained, commits bool) func(context.Context, *kgo.Client, map[string][]int32) {
			return func(_ context.Context, cl *kgo.Client, parts map[string][]int32) {
				// Who is told of what goes has to commit it: nobody is to be given again what was read.
				if commits {
					_ = cl.CommitUncommittedOffsets(ctx)
				}
				m.mutex.Lock()
				defer m.mutex.Unlock()
				for _, p := range parts[topic] {
					if gained {
						m.owned[p] = true
					} else {
						delete(m.owned, p)
					}
				}
			}
		}
		options := []kgo.Opt{kgo.ConsumerGroup(name), kgo.ConsumeTopics(topic), kgo.Balancers(balancers[more[0]]), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AutoCommitInterval(100 * time.Millisecond),
			kgo.SessionTimeout(45 * time.Second), kgo.HeartbeatInterval(200 * time.Millisecond), kgo.OnPartitionsAssigned(change(true, false)), kgo.OnPartitionsRevoked(change(false, true)), kgo.OnPartitionsLost(change(false, false)), kgo.FetchMaxWait(200 * time.Millisecond)}
		if more[1] == "static" {
			options = append(options, kgo.InstanceID(fmt.Sprint("m", i)))
		}
		m.client = client(options...)
		go func() {
			defer close(m.done)
			for {
				fetches := m.client.PollFetches(ctx)
				if fetches.IsClientClosed() {
					return
				}
				fetches.EachRecord(func(r *kgo.Record) {
					mutex.Lock()
					times[Got(strconv.Atoi(string(r.Value)))]++
					mutex.Unlock()
				})
			}
		}()
		return m
	}
	produce := func(from, count int) {
		producer := client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
		var records []*kgo.Record
		for i := range count {
			records = append(records, &kgo.Record{Topic: topic, Partition: int32(i % 6), Value: []byte(strconv.Itoa(from + i))})
		}
		Must(producer.ProduceSync(ctx, records...).FirstErr())
		producer.Close()
	}
	settled := func(members ...*member) bool {
		return Until(func() bool {
			all := map[int32]bool{}
			for _, m := range members {
				share := m.share()
				if len(share) != 6/len(members) {
					return false
				}
				for _, p := range share {
					all[p] = true
				}
			}
			return len(all) == 6
		})
	}
	produce(0, 300)
	a := join(0)
	steps := []bool{settled(a), Until(func() bool { return read() == 300 })}
	b := join(1)
	steps = append(steps, settled(a, b))
	c := join(2)
	steps = append(steps, settled(a, b, c))
	produce(300, 300)
	steps = append(steps, Until(func() bool { return read() == 600 }))
	described := Got(admin.DescribeGroups(ctx, name))[name]
	// What was read is committed by the next poll, which does not come.
	leave := func(m *member) {
		Must(m.client.CommitUncommittedOffsets(ctx))
		m.client.CloseAllowingRebalance()
		<-m.done
	}
	leave(a)
	if more[1] == "static" {
		// A static member comes back to the share it had: nobody else notices.
		a = join(0)
		steps = append(steps, settled(a, b, c))
		leave(a)
	} else {
		steps = append(steps, settled(b, c))
	}
	leave(b)
	leave(c)
	once := 0
	for _, n := range times {
		if n == 1 {
			once++
		}
	}
	committed := []int64{}
	for _, o := range Got(admin.FetchOffsets(ctx, name)).Sorted() {
		committed = append(committed, o.At)
	}
	return map[string]any{"steps": steps, "once": once, "state": described.State, "protocol": described.Protocol, "members": len(described.Members), "committed": committed}
}

func administration() any {
	admin := create(2)
	code := func(err error) string {
		if e, ok := err.(*kerr.Error); ok {
			return e.Message
		}
		return Name(err)
	}
	seen := map[string]any{}
	seen["again"] = code(Got(admin.CreateTopics(ctx, 1, 1, nil, topic))[topic].Err)
	producer := client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := range 40 {
		Must(producer.ProduceSync(ctx, &kgo.Record{Topic: topic, Partition: int32(i % 2), Value: []byte("v"), Timestamp: time.UnixMilli(int64(1_000_000 + i*10))}).FirstErr())
	}
	offsets := func(listed kadm.ListedOffsets) []int64 {
		return []int64{listed[topic][0].Offset, listed[topic][1].Offset}
	}
	seen["ends"] = [][]int64{offsets(Got(admin.ListStartOffsets(ctx, topic))), offsets(Got(admin.ListEndOffsets(ctx, topic))), offsets(Got(admin.ListCommittedOffsets(ctx, topic)))}
	seen["by time"] = offsets(Got(admin.ListOffsetsAfterMilli(ctx, 1_000_155, topic)))
	max := Got(admin.ListMaxTimestampOffsets(ctx, topic))
	seen["latest time"] = []int64{max[topic][1].Offset, max[topic][1].Timestamp}
	front := kadm.Offsets{}
	front.AddOffset(topic, 0, 5, -1)
	deleted := Got(admin.DeleteRecords(ctx, front))
	seen["records deleted"] = deleted[topic][0].LowWatermark
	seen["partitions"] = code(Got(admin.CreatePartitions(ctx, 1, topic))[topic].Err)
	seen["changed"] = code(Got(admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: kadm.StringPtr("54321")}}, topic))[0].Err)
	for _, c := range Got(admin.DescribeTopicConfigs(ctx, topic))[0].Configs {
		if c.Key == "max.message.bytes" {
			seen["config"] = []string{*c.Value, c.Source.String()}
		}
	}
	metadata := Got(admin.Metadata(ctx, topic))
	seen["metadata"] = []any{len(metadata.Topics[topic].Partitions), metadata.Controller, len(metadata.Brokers), metadata.Topics[topic].Partitions[2].Leader, metadata.Topics[topic].Partitions[2].LeaderEpoch}
	commit := kadm.Offsets{}
	commit.AddOffset(topic, 0, 7, -1)
	commit.AddOffset(topic, 1, 9, -1)
	Must(Got(admin.CommitOffsets(ctx, topic+"-group", commit)).Error())
	lags := Got(admin.Lag(ctx, topic+"-group"))[topic+"-group"]
	lag := []int64{}
	for _, l := range lags.Lag.Sorted() {
		lag = append(lag, l.Lag)
	}
	seen["lag"] = lag
	seen["state"] = lags.State
	seen["group deleted"] = code(Got(admin.DeleteGroups(ctx, topic+"-group"))[topic+"-group"].Err)
	seen["group gone"] = code(Got(admin.DeleteGroups(ctx, topic+"-group"))[topic+"-group"].Err)
	dirs := Got(admin.DescribeAllLogDirs(ctx, metadata.Topics.TopicsSet()))
	count := 0
	dirs.Each(func(d kadm.DescribedLogDir) { count += len(d.Topics[topic]) })
	seen["log dirs"] = count
	producers := Got(admin.DescribeProducers(ctx, metadata.Topics.TopicsSet()))
	active := 0
	producers.EachPartition(func(p kadm.DescribedProducersPartition) { active += len(p.ActiveProducers) })
	seen["producers"] = active
	epochs := kadm.OffsetForLeaderEpochRequest{}
	epochs.Add(topic, 1, 0)
	seen["epoch end"] = Got(admin.OffsetForLeaderEpoch(ctx, epochs))[topic][1].EndOffset
	seen["deleted"] = code(Got(admin.DeleteTopics(ctx, topic))[topic].Err)
	seen["gone"] = Until(func() bool { return !Got(admin.ListTopics(ctx)).Has(topic) })
	var versions []string
	for _, v := range Got(admin.ApiVersions(ctx)).Sorted() {
		v.EachKeySorted(func(key, min, max int16) {
			if key == 0 || key == 1 || key == 3 || key == 18 {
				versions = append(versions, fmt.Sprintf("%d: %d to %d", key, min, max))
			}
		})
	}
	sort.Strings(versions)
	seen["versions"] = versions
	return seen
}

func main() {
	Print(map[string]func() any{"roundtrip": roundtrip, "group": group, "administration": administration}[which]())
}
