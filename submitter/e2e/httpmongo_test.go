//go:build e2e

package e2e

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pencere/compose/jobs"
	"pencere/submitter/internal/client"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// web is a web API whose items become more. It is served under a certificate of its own.
type web struct {
	*httptest.Server
	caFile string

	mu    sync.Mutex
	items []string
}

func newWeb(t *testing.T) *web {
	t.Helper()
	w := &web{caFile: filepath.Join(t.TempDir(), "ca.pem")}
	w.Server = httptest.NewTLSServer(http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		w.mu.Lock()
		text := "[" + strings.Join(w.items, ",") + "]"
		w.mu.Unlock()
		answer.Header().Set("Content-Type", "application/json")
		_, _ = answer.Write([]byte(text)) // whoever has asked may be dead
	}))
	t.Cleanup(w.Close)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.Certificate().Raw})
	if err := os.WriteFile(w.caFile, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// add makes more items.
func (w *web) add(items int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range items {
		n := len(w.items)
		w.items = append(w.items, fmt.Sprintf(`{"id":%d,"name":"Ervin %d","address":{"street":"Victor \"ü\"","geo":{"lat":"-43.95","lng":%d.5}},"roles":[{"z":1,"a":null},[]]}`, n, n, n))
	}
}

// webJob brings the items into a topic, each once.
const webJob = `
name: web
parallelism: 1
source:
  http: {url: "${URL}", poll: 200ms, ca_file: "${CA_FILE}", dedupe_by: $.id, retry: {initial: 100ms, max: 1s}}
  schema: document
sink:
  kafka: {brokers: "${BROKER}", topic: "${TOPIC}", format: raw, transaction_timeout: 1m}
checkpoint: {interval: 300ms}
restart_strategy: {type: fixed-delay, attempts: 1000000, delay: 100ms}
`

// submitWeb starts what brings the items of a web API into a topic, and what brings that into the collection test of the database web.
func (a *arena) submitWeb(ctx context.Context, w *web, uri string) {
	a.t.Helper()
	topic := newItems(ctx, a.t, a.broker)
	store := topic.mongoJob(a.t, a.broker, uri, a.t.TempDir())
	store.Text = []byte(strings.NewReplacer("database: shop", "database: web", "parallelism: 2", "parallelism: 1").Replace(string(store.Text)))
	fetch := client.Spec{Name: "web.yaml", Text: []byte(webJob), Vars: map[string]string{
		"URL": w.URL + "/items", "CA_FILE": w.caFile, "BROKER": a.broker, "TOPIC": topic.topic,
	}}
	for _, spec := range []client.Spec{fetch, store} {
		if _, err := a.jobs.Submit(ctx, spec); err != nil {
			a.t.Fatal(err)
		}
	}
}

// stored waits until a collection has all items, and compares it with them.
func (w *web) stored(ctx context.Context, t *testing.T, collection *mongo.Collection) {
	t.Helper()
	w.mu.Lock()
	want := slices.Sorted(slices.Values(w.items))
	w.mu.Unlock()
	if err := poll(ctx, 100*time.Millisecond, func() (bool, error) {
		n, err := collection.EstimatedDocumentCount(ctx)
		return n >= int64(len(want)), err
	}); err != nil {
		t.Error(err)
	}
	documents, _ := stored(ctx, t, collection)
	if diff := cmp.Diff(want, documents); diff != "" {
		t.Errorf("the items of the web API in the collection (-want +got):\n%.3000s", diff)
	}
}

// Jobs of every kind run beside each other, and all are seen alike.
func TestManyJobs(t *testing.T) {
	c := startCluster(t, 1, 4)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	broker, db := kafkaBroker(t), mongoDatabase(t)
	in := newItems(ctx, t, broker)
	w := newWeb(t)
	w.add(10)
	fetch := client.Spec{Name: "http.yaml", Text: []byte(webJob), Vars: map[string]string{
		"URL": w.URL + "/items", "CA_FILE": w.caFile, "BROKER": broker, "TOPIC": in.topic,
	}}
	store := in.mongoJob(t, broker, mongoURI(t), t.TempDir())
	store.Text = []byte(strings.NewReplacer("database: shop", "database: "+db.Name(), "parallelism: 2", "parallelism: 1").Replace(string(store.Text)))
	listings := newInput(t, 1)
	reference := client.Spec{Name: "kdv-2min.yaml", Text: []byte(strings.NewReplacer(
		"topic: sahibinden", "topic: "+listings.topic, "parallelism: auto", "parallelism: 2").Replace(jobs.KDV2Min())),
		Vars: map[string]string{"KAFKA_BROKERS": broker, "OUT_DIR": t.TempDir()}}
	vertices := map[string][]string{
		"web":            {"Source: " + w.URL + "/items[1] -> Sink: " + in.topic + "[2]"},
		"kafka-to-mongo": {"Source: " + in.topic + "[1] -> Sink: " + db.Name() + ".test[2]"},
		"kdv-2min":       {"Source: " + listings.topic + "[1] -> Calc[2]", "GroupWindowAggregate[4] -> Calc[5] -> Sink: csv[6]"},
	}
	for _, spec := range []client.Spec{fetch, store, reference} {
		submitted, err := c.jobs.Submit(ctx, spec)
		if err != nil {
			t.Fatal(err)
		}
		var job client.Job
		c.awaitJob(ctx, submitted.ID, func(j client.Job) bool {
			job = j
			return len(j.Vertices) > 0 && !slices.ContainsFunc(j.Vertices, func(v client.Vertex) bool { return v.Status != "RUNNING" })
		})
		var names []string
		for _, v := range job.Vertices {
			names = append(names, v.Name)
		}
		if diff := cmp.Diff(vertices[job.Name], names); diff != "" {
			t.Errorf("vertices of %s (-want +got):\n%s", job.Name, diff)
		}
	}
	w.stored(ctx, t, db.Collection("test"))
	listed := c.submitter("list", "-m", c.rest)
	shown, _ := listed["jobs"].([]any)
	running := 0
	for _, one := range shown {
		job, _ := one.(map[string]any)
		if name, _ := job["name"].(string); vertices[name] != nil && job["state"] == "RUNNING" {
			running++
		}
	}
	if running != len(vertices) {
		t.Errorf("the submitter lists %v", listed)
	}
}
