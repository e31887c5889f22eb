package localcluster_test

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pencere/submitter/internal/client"

	"github.com/google/go-cmp/cmp"
)

// users is an API over TLS, with a certificate of its own, whose users a test changes.
type users struct {
	*httptest.Server
	ca string // file

	mu   sync.Mutex
	all  []string // JSON of each
	size int      // of a page; 0 for one page of all
	fail int      // requests to come that are answered 503
}

func serveUsers(t *testing.T) *users {
	t.Helper()
	u := &users{}
	u.Server = httptest.NewTLSServer(u)
	t.Cleanup(u.Close)
	u.ca = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: u.Certificate().Raw})
	if err := os.WriteFile(u.ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return u
}

// ServeHTTP answers with a page of users, and a link to the next one.
func (u *users) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.fail > 0 {
		u.fail--
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	page := u.all
	if u.size > 0 {
		number, _ := strconv.Atoi(r.URL.Query().Get("page"))
		end := min((number+1)*u.size, len(u.all))
		page = u.all[min(number*u.size, end):end]
		if end < len(u.all) {
			w.Header().Set("Link", fmt.Sprintf(`<?page=%d>; rel="next"`, number+1))
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write([]byte("[" + strings.Join(page, ",") + "]")) // who asked may be gone
}

func user(id int, city string) string {
	return fmt.Sprintf(`{"id":%d,"name":"User %d","address":{"city":%q,"geo":{"lat":"-37.3159","lng":81.1496}}}`, id, id, city)
}

// set adds users, or changes those that are there.
func (u *users) set(city string, ids ...int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, id := range ids {
		at := slices.IndexFunc(u.all, func(other string) bool { return strings.HasPrefix(other, fmt.Sprintf(`{"id":%d,`, id)) })
		if at < 0 {
			u.all = append(u.all, user(id, city))
		} else {
			u.all[at] = user(id, city)
		}
	}
}

func (u *users) failNext(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.fail = n
}

// httpJob is the spec of a job that reads the users; source are further fields of source.http.
func (f *fixture) httpJob(u *users, source, rest, sink string) string {
	return fmt.Sprintf(`
name: users
parallelism: 2
source:
  http: {url: "%s/users?key=s3cret", ca_file: %q, auth: {bearer: s3cret}, retry: {initial: 10ms, max: 100ms}, %s}
%s
sink:
  %s
checkpoint: {interval: 200ms}
restart_strategy: {type: fixed-delay, attempts: 1000, delay: 1ms}
`, u.URL, u.ca, source, rest, sink)
}

const columns = `  schema: {id: INT, name: STRING}`

func (f *fixture) csv() (dir, sink string) {
	dir = f.t.TempDir()
	return dir, fmt.Sprintf("csv: {path: %q}", dir)
}

func (f *fixture) submitYAML(dir, yaml string) job {
	f.t.Helper()
	submitted, err := f.jobs.Submit(f.ctx, client.Spec{Name: "job.yaml", Text: []byte(yaml)})
	f.check(err)
	return job{fixture: f, id: submitted.ID, dir: dir}
}

func TestHTTPOnce(t *testing.T) {
	f, u := newFixture(t, 1), serveUsers(t)
	u.size = 3
	var want []string
	for id := range 10 {
		u.set("Gwenborough", id)
		want = append(want, fmt.Sprintf(`%d,"User %d"`, id, id))
	}
	u.failNext(3)
	dir, sink := f.csv()
	j := f.submitYAML(dir, f.httpJob(u, "poll: once, pagination: {type: link}", columns, sink))
	j.end(client.Finished)
	j.wantRows(want)
	j.nothingHidden()
}

// Whatever dies, each version of each user that the job was shown is in the topic once, as the nested document that it is.
func TestHTTPExactlyOnce(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			c, u := newChaos(t, seed), serveUsers(t)
			u.size = 7
			topic := c.sinkTopics()
			sink := fmt.Sprintf(`kafka: {brokers: %q, topic: %s, format: raw}`, strings.Join(c.broker.Addresses(), ","), topic)
			j := c.submitYAML("", c.httpJob(u, "poll: 20ms, pagination: {type: link}, items_per_second: 200, dedupe_by: $.id", "  schema: document", sink))
			want := []string{}
			for round := range 4 {
				city := fmt.Sprintf("City %d", round)
				for id := range 15 * (round + 1) {
					if c.random.IntN(2) == 0 || id >= 15*round {
						u.set(city, id)
						want = append(want, user(id, city))
					}
				}
				u.failNext(c.random.IntN(4))
				c.pause(time.Duration(c.random.IntN(250)) * time.Millisecond)
				c.kill()
				j.poll(fmt.Sprintf("%d records", len(want)), func() bool { return len(c.values(topic)) >= len(want) })
			}
			j.poll("the split is shown", func() bool {
				splits, err := c.jobs.Splits(c.ctx, j.id)
				return err == nil && len(splits) == 1 && splits[0].Topic == u.URL+"/users" && splits[0].Lag == -1
			})
			got := c.values(topic)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("records differ (-want +got):\n%s", diff)
			}
			j.cancel()
		})
	}
}

// values returns the values of a topic that are committed, sorted.
func (f *fixture) values(topic string) []string {
	f.t.Helper()
	values := []string{}
	for _, r := range f.committed(topic) {
		values = append(values, string(r.Value))
	}
	slices.Sort(values)
	return values
}
