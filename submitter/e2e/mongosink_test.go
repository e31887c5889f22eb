//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pencere/compose/jobs"
	"pencere/submitter/internal/client"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// database is the name of the victim that is a MongoDB, in memory: it may be stopped, and not be killed.
const database = "mongodb"

// addMongo starts a server of MongoDB's protocol, and returns its address.
func (a *arena) addMongo() (address string) {
	a.t.Helper()
	port := freePort(a.t)
	dir := filepath.Join(a.dir, database)
	address = "127.0.0.1:" + port
	a.add(&victim{name: database, vanished: func(context.Context) error { return nil }, launch: func() (int, <-chan struct{}, error) {
		if out, err := exec.Command("../../.ci/mongo", "start", dir, port).CombinedOutput(); err != nil {
			return 0, nil, fmt.Errorf("%w\n%s", err, out)
		}
		text, err := os.ReadFile(filepath.Join(dir, "pid"))
		if err != nil {
			return 0, nil, err
		}
		pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
		return pid, nil, err
	}})
	return address
}

// cable is what lies between the programs and a server, and can be cut.
type cable struct {
	t       *testing.T
	server  string
	address string

	mu       sync.Mutex
	listener net.Listener
	ends     map[net.Conn]bool
	whole    sync.WaitGroup
}

// newCable lays a cable to a server until the end of the test.
func newCable(t *testing.T, server string) *cable {
	t.Helper()
	c := &cable{t: t, server: server, address: "127.0.0.1:" + freePort(t), ends: map[net.Conn]bool{}}
	c.mend()
	t.Cleanup(func() {
		c.cut()
		c.whole.Wait()
	})
	return c
}

// mend connects the ends.
func (c *cable) mend() {
	c.t.Helper()
	listener, err := net.Listen("tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listener = listener
	c.whole.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			c.whole.Go(func() { c.carry(near) })
		}
	})
}

func (c *cable) carry(near net.Conn) {
	defer func() { _ = near.Close() }() // it is cut, or its other end is
	far, err := net.Dial("tcp", c.server)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }() // as near
	c.mu.Lock()
	c.ends[near], c.ends[far] = true, true
	c.mu.Unlock()
	c.whole.Go(func() {
		_, _ = io.Copy(far, near)
		_ = far.Close()
	})
	_, _ = io.Copy(near, far)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.ends, near)
	delete(c.ends, far)
}

// cut breaks every connection, in the middle of what it carries, and takes no more.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.listener.Close()
	for end := range c.ends {
		_ = end.(*net.TCPConn).SetLinger(0)
		_ = end.Close()
	}
	clear(c.ends)
}

// items is a topic of documents of many shapes, some of which nobody can store.
type items struct {
	*sinkInput
	good []string       // as they are in the topic, and must be in the collection
	dead map[string]int // dead letters by their values, each once
}

func newItems(ctx context.Context, t *testing.T, broker string) *items {
	t.Helper()
	return &items{sinkInput: newSinkInput(ctx, t, broker), dead: map[string]int{}}
}

// write appends documents.
func (in *items) write(ctx context.Context, documents int) {
	in.t.Helper()
	for range documents {
		value := in.item(in.n)
		in.produce(ctx, in.n%sinkPartitions, value)
		in.n++
	}
	if err := in.kafka.Flush(ctx); err != nil {
		in.t.Fatal(err)
	}
}

// item makes the document of a number: nested, with names that need care, and sometimes none that can be stored.
func (in *items) item(n int) string {
	var value string
	switch n % 100 {
	case 17:
		value = fmt.Sprintf(`no JSON %d`, n)
	case 33:
		value = fmt.Sprintf(`[%d]`, n)
	case 51:
		value = fmt.Sprintf(`{"_id":[%d]}`, n) // the server takes no array for an _id
	default:
		value = fmt.Sprintf(`{"n":%d,"name":"Leanne \"ü\" %d","address":{"geo":{"lat":-37.%d1,"lng":"81.1496"},"tags":["a",{"b":null,"a":[]}]},`+
			`"a.b":{"$c":%d},"big":%d,"exact":true}`, n, n, n, n%7, int64(n)<<40+1<<35)
		in.good = append(in.good, value)
		return value
	}
	in.dead[value] = 1
	return value
}

// stored returns the documents of a collection without their _id, and those.
func stored(ctx context.Context, t *testing.T, collection *mongo.Collection) (documents, ids []string) {
	t.Helper()
	cursor, err := collection.Find(ctx, bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	var all []bson.D
	if err := cursor.All(ctx, &all); err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		if d[0].Key != "_id" {
			t.Fatalf("document %v does not begin with its _id", d)
		}
		ids = append(ids, fmt.Sprint(d[0].Value))
		text, err := bson.MarshalExtJSON(d[1:], false, false)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, string(text))
	}
	slices.Sort(documents)
	return documents, ids
}

// deadLetters returns how often each value is in the dead letters' files, and their reasons.
func deadLetters(t *testing.T, dir string) (values map[string]int, reasons []string) {
	t.Helper()
	values = map[string]int{}
	rows, err := csv.NewReader(strings.NewReader(strings.Join(rowsIn(t, dir), "\n"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		values[row[7]]++
		reasons = append(reasons, row[4])
	}
	return values, reasons
}

// mongoJob is the example job that stores a topic, with checkpoints and restarts of a test's pace.
func (in *items) mongoJob(t *testing.T, broker, uri, deadLetterDir string) client.Spec {
	t.Helper()
	spec := jobs.KafkaToMongo()
	for _, change := range [][2]string{
		{"checkpoint: {interval: 5s}", "checkpoint: {interval: 300ms}\nrestart_strategy: {type: fixed-delay, attempts: 1000000, delay: 100ms}\nparallelism: 2"},
		{"database: database", "database: shop"},
	} {
		if strings.Count(spec, change[0]) != 1 {
			t.Fatalf("the example job does not hold %q once", change[0])
		}
		spec = strings.Replace(spec, change[0], change[1], 1)
	}
	return client.Spec{Name: "kafka-to-mongo.yaml", Text: []byte(spec), Vars: map[string]string{
		"KAFKA_BROKERS": broker, "TOPIC": in.topic, "MONGO_URI": uri, "DEAD_LETTER_DIR": deadLetterDir,
	}}
}

// Whatever is killed, frozen or cut off: each document of the topic is in the collection once, as it was, and so is each item of a web API that
// comes by another topic. What cannot be stored is in the dead letters once, with the reason.
func TestMongoSinkExactlyOnce(t *testing.T) {
	a := newArena(t, 2, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	server := a.addMongo()
	line := newCable(t, server)
	in := newItems(ctx, t, a.broker)
	in.write(ctx, 2000)
	dead := t.TempDir()
	submitted, err := a.jobs.Submit(ctx, in.mongoJob(t, a.broker, "mongodb://pencere-not-asked@"+line.address+"/?authMechanism=MONGODB-X509", dead))
	if err == nil {
		a.awaitFinding(ctx, submitted.ID, "restarting", "access refused") // nothing is written with the wrong credentials
		err = a.jobs.Cancel(ctx, submitted.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	if submitted, err = a.jobs.Submit(ctx, in.mongoJob(t, a.broker, "mongodb://"+line.address, dead)); err != nil {
		t.Fatal(err)
	}
	site := newWeb(t)
	a.submitWeb(ctx, site, "mongodb://"+line.address)
	for i, hit := range []func() error{
		func() error { return a.strike(ctx, blow{victim: taskManagerName(0), kill: true}) },
		func() error { return a.strike(ctx, blow{victim: database, lasts: 2 * time.Second}) },
		func() error { return a.strike(ctx, blow{victim: taskManagerName(1), kill: true}) },
		func() error {
			line.cut()
			in.write(ctx, 1000)
			a.awaitFinding(ctx, submitted.ID, "sink-unreachable", "The sink has written nothing to shop.test for")
			line.mend()
			return nil
		},
		func() error { return a.strike(ctx, blow{victim: broker, kill: true}) },
		func() error { return a.strike(ctx, blow{victim: taskManagerName(0), kill: true}) },
		func() error {
			line.cut()
			line.mend()
			return a.strike(ctx, blow{victim: taskManagerName(1), kill: true})
		},
	} {
		in.write(ctx, 2000)
		site.add(150)
		wait(ctx, time.Duration(rand.IntN(700))*time.Millisecond)
		if err := hit(); err != nil {
			t.Fatalf("blow %d: %v", i, err)
		}
	}
	in.write(ctx, 2000)
	site.add(150)
	collection := mongoClient(t, "mongodb://"+server).Database("shop").Collection("test")
	if err := poll(ctx, 100*time.Millisecond, func() (bool, error) {
		ledger, err := a.jobs.Ledger(ctx, submitted.ID)
		return ledger.Total.Read >= int64(in.n), err
	}); err != nil {
		t.Fatal(err)
	}
	ledger, err := a.jobs.Ledger(ctx, submitted.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := client.Fates{Read: int64(in.n), Emitted: int64(len(in.good)), DeadLettered: int64(len(in.dead))}
	if diff := cmp.Diff(want, ledger.Total); diff != "" || !ledger.Balanced {
		t.Errorf("ledger (-want +got):\n%s%s", diff, ledger.Imbalance)
	}
	documents, ids := stored(ctx, t, collection)
	slices.Sort(in.good)
	if diff := cmp.Diff(in.good, documents); diff != "" {
		t.Errorf("the collection (-want +got):\n%.3000s", diff)
	}
	if !strings.HasPrefix(ids[0], in.topic+"-") {
		t.Errorf("an _id is %s", ids[0])
	}
	site.stored(ctx, t, collection.Database().Client().Database("web").Collection("test"))
	if err := poll(ctx, 50*time.Millisecond, func() (bool, error) {
		values, _ := deadLetters(t, dead)
		return len(values) >= len(in.dead), nil
	}); err != nil {
		t.Error(err)
	}
	values, reasons := deadLetters(t, dead)
	if !maps.Equal(values, in.dead) {
		t.Errorf("dead letters (-want +got):\n%.3000s", cmp.Diff(in.dead, values))
	}
	refused := map[string]int{}
	for _, reason := range reasons {
		if strings.HasPrefix(reason, "sink: ") {
			refused[reason]++
		}
	}
	if len(refused) != 2 {
		t.Errorf("the sink has refused for %v", refused)
	}
}

// awaitFinding waits until a job says why it writes nothing.
func (a *arena) awaitFinding(ctx context.Context, id, kind, sentence string) {
	a.t.Helper()
	var latest []client.Finding
	err := poll(ctx, 50*time.Millisecond, func() (bool, error) {
		why, err := a.jobs.Why(ctx, id)
		latest = why.Findings
		return slices.ContainsFunc(latest, func(f client.Finding) bool { return f.Kind == kind && strings.Contains(f.Sentence, sentence) }), err
	})
	if err != nil {
		a.t.Fatalf("the job does not say %q: %v; it says %+v", sentence, err, latest)
	}
}
