// go-zookeeper at a ZooKeeper: zk CASE HOST:PORT PARENT.
package main

import (
	"net"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	. "interop/report"
)

var which, server, parent, _ = Arguments()

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// A connection whose sockets the test can cut.
type client struct {
	*zk.Conn
	events <-chan zk.Event
	mutex  sync.Mutex
	socket net.Conn
}

func connect() *client {
	c := &client{}
	dial := func(network, address string, timeout time.Duration) (net.Conn, error) {
		socket, err := net.DialTimeout(network, address, timeout)
		c.mutex.Lock()
		defer c.mutex.Unlock()
		c.socket = socket
		return socket, err
	}
	conn, events, err := zk.Connect([]string{server}, 40*time.Second, zk.WithDialer(dial), zk.WithLogger(quiet{}))
	Must(err)
	c.Conn, c.events = conn, events
	if !Until(func() bool { return conn.State() == zk.StateHasSession }) {
		panic("no session")
	}
	return c
}

var everybody = zk.WorldACL(zk.PermAll)

func nodes() any {
	c := connect()
	seen := map[string]any{}
	seen["created"] = Got(c.Create(parent+"/a", []byte("one"), 0, everybody))
	_, err := c.Create(parent+"/a", nil, 0, everybody)
	seen["again"] = Name(err)
	data, stat, err := c.Get(parent + "/a")
	Must(err)
	seen["get"] = []any{string(data), stat.Version, stat.DataLength, stat.NumChildren, stat.EphemeralOwner}
	seen["set"] = Got(c.Set(parent+"/a", []byte("two"), 0)).Version
	_, err = c.Set(parent+"/a", []byte("three"), 0)
	seen["stale"] = Name(err)
	var sequence []string
	for range 3 {
		sequence = append(sequence, strings.TrimPrefix(Got(c.Create(parent+"/a/s", nil, zk.FlagSequence, everybody)), parent))
	}
	seen["sequence"] = sequence
	seen["full"] = Name(c.Delete(parent+"/a", -1))
	names, _, err := c.Children(parent + "/a")
	Must(err)
	sort.Strings(names)
	seen["children"] = names
	seen["container"] = strings.TrimPrefix(Got(c.CreateContainer(parent+"/box", nil, zk.FlagContainer, everybody)), parent)
	seen["ttl"] = strings.TrimPrefix(Got(c.CreateTTL(parent+"/brief", nil, zk.FlagTTL, everybody, time.Hour)), parent)
	there, _, err := c.Exists(parent + "/nothing")
	Must(err)
	seen["exists"] = there
	protected := Got(c.CreateProtectedEphemeralSequential(parent+"/p-", nil, everybody))
	seen["protected"] = strings.HasPrefix(protected, parent+"/_c_") && strings.HasSuffix(protected, "-p-0000000003")
	seen["sync"] = Got(c.Sync(parent)) == parent
	return seen
}

func multi() any {
	c := connect()
	done := Got(c.Multi(&zk.CreateRequest{Path: parent + "/a", Acl: everybody}, &zk.SetDataRequest{Path: parent + "/a", Data: []byte("1"), Version: 0}, &zk.CheckVersionRequest{Path: parent + "/a", Version: 1}, &zk.CreateRequest{Path: parent + "/b", Acl: everybody}, &zk.DeleteRequest{Path: parent + "/b", Version: -1}))
	undone, err := c.Multi(&zk.CreateRequest{Path: parent + "/c", Acl: everybody}, &zk.DeleteRequest{Path: parent + "/none", Version: -1}, &zk.CreateRequest{Path: parent + "/d", Acl: everybody})
	var errors []string
	for _, r := range undone {
		errors = append(errors, Name(r.Error))
	}
	names, _, _ := c.Children(parent)
	return map[string]any{"done": []any{done[0].String, done[1].Stat.Version, len(done)}, "error": Name(err), "errors": errors, "left": names}
}

func watches() any {
	c, other := connect(), connect()
	var seen []string
	note := func(events <-chan zk.Event) {
		e := <-events
		seen = append(seen, e.Type.String()+" "+strings.TrimPrefix(e.Path, parent))
	}
	_, _, events, err := c.ExistsW(parent + "/w")
	Must(err)
	Got(other.Create(parent+"/w", nil, 0, everybody))
	note(events)
	_, _, events, err = c.GetW(parent + "/w")
	Must(err)
	Got(other.Set(parent+"/w", []byte("x"), -1))
	note(events)
	_, _, events, err = c.ChildrenW(parent + "/w")
	Must(err)
	Got(other.Create(parent+"/w/c", nil, 0, everybody))
	note(events)
	_, _, events, err = c.GetW(parent + "/w/c")
	Must(err)
	Must(other.Delete(parent+"/w/c", -1))
	note(events)
	return seen
}

func locks() any {
	var group sync.WaitGroup
	var mutex sync.Mutex
	inside, most, turns := 0, 0, 0
	for range 4 {
		group.Add(1)
		go func() {
			defer group.Done()
			c := connect()
			defer c.Close()
			for range 5 {
				lock := zk.NewLock(c.Conn, parent+"/lock", everybody)
				Must(lock.Lock())
				mutex.Lock()
				inside++
				turns++
				most = max(most, inside)
				mutex.Unlock()
				time.Sleep(time.Millisecond)
				mutex.Lock()
				inside--
				mutex.Unlock()
				Must(lock.Unlock())
			}
		}()
	}
	group.Wait()
	return []int{turns, most}
}

func acls() any {
	c, other := connect(), connect()
	Must(c.AddAuth("digest", []byte("user:pass")))
	Got(c.Create(parent+"/mine", []byte("x"), 0, zk.DigestACL(zk.PermAll, "user", "pass")))
	_, _, err := other.Get(parent + "/mine")
	before := Name(err)
	Must(other.AddAuth("digest", []byte("user:pass")))
	data, _, err := other.Get(parent + "/mine")
	acl, _, _ := other.GetACL(parent + "/mine")
	return []any{before, Name(err), string(data), acl[0].Scheme, acl[0].ID, acl[0].Perms}
}

// The socket is cut: the session moves to the next connection, ephemerals stay and watches are set again there.
func move() any {
	c, other := connect(), connect()
	Got(c.Create(parent+"/mine", nil, zk.FlagEphemeral, everybody))
	Got(c.Create(parent+"/plain", nil, 0, everybody))
	session := c.SessionID()
	_, _, events, err := c.GetW(parent + "/plain")
	Must(err)
	c.mutex.Lock()
	old := c.socket
	c.mutex.Unlock()
	Must(old.Close())
	moved := Until(func() bool {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		return c.socket != old && c.State() == zk.StateHasSession
	})
	// Its watches are set again by a request of their own, in the order of the connection: one answer later they are.
	_, _, err = c.Get(parent)
	Must(err)
	Got(other.Set(parent+"/plain", []byte("changed"), -1))
	event := "none"
	select {
	case e := <-events:
		event = e.Type.String()
	case <-time.After(60 * time.Second):
	}
	there, stat, err := other.Exists(parent + "/mine")
	Must(err)
	return map[string]any{"moved": moved, "same session": c.SessionID() == session, "ephemeral": there && stat.EphemeralOwner == session, "event": event}
}

func main() {
	c := connect()
	Got(c.Create(parent, nil, 0, everybody))
	Print(map[string]func() any{"nodes": nodes, "multi": multi, "watches": watches, "locks": locks, "acls": acls, "move": move}[which]())
}
