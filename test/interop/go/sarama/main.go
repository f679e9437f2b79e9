// sarama at a broker: sarama CASE HOST:PORT TOPIC [ARG...].
package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"

	. "interop/report"
)

var which, broker, topic, more = Arguments()

func config(version sarama.KafkaVersion) *sarama.Config {
	c := sarama.NewConfig()
	c.Version = version
	c.Producer.Return.Successes = true
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Interval = 100 * time.Millisecond
	c.Consumer.Group.Session.Timeout = 45 * time.Second
	c.Consumer.Group.Heartbeat.Interval = 200 * time.Millisecond
	c.Consumer.MaxWaitTime = 200 * time.Millisecond
	// It is not patient by itself: three tries within a second, three seconds for a topic.
	c.Metadata.Retry.Max, c.Producer.Retry.Max, c.Consumer.Group.Rebalance.Retry.Max = 200, 200, 20
	c.Producer.Timeout = time.Minute
	c.Admin.Retry.Max, c.Admin.Retry.Backoff, c.Admin.Timeout = 100, 200*time.Millisecond, 25*time.Second
	return c
}

func create(c *sarama.Config, partitions int32) sarama.ClusterAdmin {
	admin := Got(sarama.NewClusterAdmin([]string{broker}, c))
	Must(admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false))
	return admin
}

// The version decides about message sets of magic 0 and 1 or record batches, and about the versions of every API.
func roundtrip() any {
	version := Got(sarama.ParseKafkaVersion(more[0]))
	c := config(version)
	Must(c.Producer.Compression.UnmarshalText([]byte(more[1])))
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Flush.Messages = 50
	c.Producer.Flush.Frequency = 20 * time.Millisecond
	if version.IsAtLeast(sarama.V0_11_0_0) {
		c.Producer.Idempotent = true
		c.Net.MaxOpenRequests = 1
	}
	create(config(sarama.V2_0_0_0), 2)
	base := time.UnixMilli(1_700_000_000_000)
	const count = 600
	producer := Got(sarama.NewSyncProducer([]string{broker}, c))
	var messages []*sarama.ProducerMessage
	for i := range count {
		m := &sarama.ProducerMessage{Topic: topic, Partition: int32(i % 2), Value: sarama.StringEncoder(fmt.Sprint("value ", i)), Timestamp: base.Add(time.Duration(i) * time.Millisecond)}
		if i%3 != 0 {
			m.Key = sarama.StringEncoder(strconv.Itoa(i))
		}
		if version.IsAtLeast(sarama.V0_11_0_0) {
			m.Headers = []sarama.RecordHeader{{Key: []byte("h"), Value: []byte(strconv.Itoa(i))}}
		}
		messages = append(messages, m)
	}
	Must(producer.SendMessages(messages))
	Must(producer.Close())
	consumer := Got(sarama.NewConsumer([]string{broker}, c))
	equal, records := 0, 0
	for p := range int32(2) {
		part := Got(consumer.ConsumePartition(topic, p, sarama.OffsetOldest))
		for range count / 2 {
			select {
			case m := <-part.Messages():
				i := int(m.Offset)*2 + int(p)
				keyed := (i%3 == 0 && m.Key == nil) || string(m.Key) == strconv.Itoa(i)
				headed := !version.IsAtLeast(sarama.V0_11_0_0) || (len(m.Headers) == 1 && string(m.Headers[0].Value) == strconv.Itoa(i))
				timed := !version.IsAtLeast(sarama.V0_10_0_0) || m.Timestamp.Equal(base.Add(time.Duration(i)*time.Millisecond))
				if keyed && headed && timed && string(m.Value) == fmt.Sprint("value ", i) {
					equal++
				}
				records++
			case <-time.After(2 * time.Minute):
				return map[string]any{"records": records, "equal": equal}
			}
		}
		Must(part.Close())
	}
	return map[string]any{"records": records, "equal": equal}
}

type member struct {
	mutex *sync.Mutex
	times map[string]int
	share int
	group sarama.ConsumerGroup
	stop  context.CancelFunc
	done  chan struct{}
}

func (m *member) Setup(s sarama.ConsumerGroupSession) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.share = len(s.Claims()[topic])
	return nil
}
func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.share = 0
	return nil
}
func (m *member) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case r, open := <-claim.Messages():
			if !open {
				return nil
			}
			m.mutex.Lock()
			m.times[string(r.Value)]++
			m.mutex.Unlock()
			s.MarkMessage(r, "")
		case <-s.Context().Done():
			return nil
		}
	}
}

func group() any {
	strategies := map[string]sarama.BalanceStrategy{"range": sarama.NewBalanceStrategyRange(), "roundrobin": sarama.NewBalanceStrategyRoundRobin(), "sticky": sarama.NewBalanceStrategySticky()}
	c := config(sarama.V2_8_0_0)
	// What is counted exactly is written exactly once.
	c.Producer.Idempotent, c.Producer.RequiredAcks, c.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategies[more[0]]}
	admin := create(c, 6)
	name, mutex, times := topic+"-group", &sync.Mutex{}, map[string]int{}
	join := func() *member {
		within, stop := context.WithCancel(context.Background())
		m := &member{mutex: mutex, times: times, group: Got(sarama.NewConsumerGroup([]string{broker}, name, c)), stop: stop, done: make(chan struct{})}
		go func() {
			defer close(m.done)
			for within.Err() == nil {
				// An error ends a session of the member, not the member: what is missing in the end is seen there.
				if m.group.Consume(within, []string{topic}, m) != nil {
					time.Sleep(100 * time.Millisecond)
				}
			}
		}()
		return m
	}
	leave := func(m *member) {
		m.stop()
		<-m.done
		Must(m.group.Close())
	}
	produce := func(from, count int) {
		producer := Got(sarama.NewSyncProducer([]string{broker}, c))
		for i := range count {
			Got(0, func() error {
				_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Partition: int32(i % 6), Value: sarama.StringEncoder(strconv.Itoa(from + i))})
				return err
			}())
		}
		Must(producer.Close())
	}
	read := func(count int) bool {
		return Until(func() bool { mutex.Lock(); defer mutex.Unlock(); return len(times) == count })
	}
	settled := func(members ...*member) bool {
		return Until(func() bool {
			mutex.Lock()
			defer mutex.Unlock()
			for _, m := range members {
				if m.share != 6/len(members) {
					return false
				}
			}
			return true
		})
	}
	produce(0, 120)
	a := join()
	steps := []bool{settled(a), read(120)}
	b := join()
	steps = append(steps, settled(a, b))
	produce(120, 120)
	steps = append(steps, read(240))
	d := Got(admin.DescribeConsumerGroups([]string{name}))[0]
	leave(a)
	steps = append(steps, settled(b))
	leave(b)
	once := 0
	for _, n := range times {
		if n == 1 {
			once++
		}
	}
	committed := []int64{}
	offsets := Got(admin.ListConsumerGroupOffsets(name, map[string][]int32{topic: {0, 1, 2, 3, 4, 5}}))
	for p := range int32(6) {
		committed = append(committed, offsets.GetBlock(topic, p).Offset)
	}
	return map[string]any{"steps": steps, "once": once, "state": d.State, "protocol": d.Protocol, "members": len(d.Members), "committed": committed}
}

func administration() any {
	c := config(sarama.V2_8_0_0)
	admin := create(c, 1)
	seen := map[string]any{"again": Name(admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false)) != ""}
	Must(admin.CreatePartitions(topic, 2, nil, false))
	small := "1234"
	Must(admin.IncrementalAlterConfig(sarama.TopicResource, topic, map[string]sarama.IncrementalAlterConfigsEntry{"max.message.bytes": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &small}}, false))
	for _, e := range Got(admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"max.message.bytes"}})) {
		seen[e.Name] = []any{e.Value, e.Default, e.Source.String()}
	}
	producer := Got(sarama.NewSyncProducer([]string{broker}, c))
	large := func(partition int32) error {
		_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Partition: partition, Value: sarama.ByteEncoder(make([]byte, 2_000))})
		return err
	}
	// A broker may hear of the change some time after it was answered. Partition 1 is not counted, and a change reaches all partitions of a topic at once.
	seen["in force"] = Until(func() bool { return large(1) != nil })
	seen["too large"] = Name(large(0))
	for i := range 20 {
		_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("x"), Timestamp: time.UnixMilli(int64(1_000_000 + i))})
		Must(err)
	}
	client := Got(sarama.NewClient([]string{broker}, c))
	seen["offsets"] = []int64{Got(client.GetOffset(topic, 0, sarama.OffsetOldest)), Got(client.GetOffset(topic, 0, sarama.OffsetNewest)), Got(client.GetOffset(topic, 0, 1_000_012))}
	Must(admin.DeleteRecords(topic, map[int32]int64{0: 15}))
	seen["oldest"] = Got(client.GetOffset(topic, 0, sarama.OffsetOldest))
	topics := Got(admin.ListTopics())
	seen["listed"] = topics[topic].NumPartitions
	Must(admin.DeleteTopic(topic))
	seen["gone"] = Until(func() bool { _, there := Got(admin.ListTopics())[topic]; return !there })
	return seen
}

func main() {
	Print(map[string]func() any{"roundtrip": roundtrip, "group": group, "administration": administration}[which]())
}
