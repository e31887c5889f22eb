package localcluster_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
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
	bad  string   // what is answered instead; "" for the users
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
	if u.bad != "" {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(u.bad)) // who asked may be gone
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

// answerBadly answers with a text from now on, or again with the users for "".
func (u *users) answerBadly(text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bad = text
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
  http: {url: "%s/users?key=s3cret", ca_file: %q, auth: {bearer: "s3cret"}, retry: {initial: 10ms, max: 100ms}, %s}
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

// Part files hold each user once, too, whatever dies while the items of one long answer are read.
func TestHTTPToFiles(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			c, u := newChaos(t, seed), serveUsers(t)
			var want []string
			for id := range 400 {
				u.set("Wisokyburgh", id)
				want = append(want, fmt.Sprintf(`%d,"User %d"`, id, id))
			}
			dir, sink := c.csv()
			// Of two subtasks one has no URL and ends at once.
			j := c.submitYAML(dir, c.httpJob(u, "poll: once, items_per_second: 100", columns, sink))
			for kill := range 4 {
				j.poll("more of the answer is read", func() bool {
					splits, err := c.jobs.Splits(c.ctx, j.id)
					now, jobErr := c.jobs.Job(c.ctx, j.id)
					return err == nil && len(splits) == 1 && splits[0].Offset >= int64(80*kill+40) || jobErr == nil && client.Terminal(now.State)
				})
				c.pause(time.Duration(c.random.IntN(100)) * time.Millisecond)
				c.kill()
			}
			j.poll("the jobmanager leads", func() bool {
				_, err := c.jobs.Job(c.ctx, j.id)
				return err == nil
			})
			j.end(client.Finished)
			slices.Sort(want)
			j.wantRows(want)
			j.nothingHidden()
			ledger, err := c.jobs.Ledger(c.ctx, j.id)
			c.check(err)
			if !ledger.Balanced || ledger.Total.Read != 400 || ledger.Total.Emitted != 400 {
				t.Errorf("ledger %+v", ledger)
			}
		})
	}
}

// An answer or an item that cannot be used fails the job, or is left out, or goes to the dead letters; the job reads on.
func TestHTTPBadInput(t *testing.T) {
	for name, c := range map[string]struct {
		bad, reason string
	}{
		"garbage":       {"<html>", "the answer cannot be used: it is no JSON: invalid character '<'"},
		"not UTF-8":     {"[\"\xff\"]", "the answer cannot be used: it is not valid UTF-8 (byte 2)"},
		"items no more": {`{"error":"none"}`, "id"}, // an object is an item, which lacks its fields
		"no object":     {`["x"]`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f, u := newFixture(t, 3), serveUsers(t)
			u.set("Gwenborough", 1)
			rest := "  schema: {id: INT NOT NULL, name: STRING}\n  json: {fail-on-missing-field: true}\n  on_error: "
			const poll = "poll: 20ms, dedupe_by: $.id"

			dir, sink := f.csv()
			letters := deadLetterDir(dir)
			dead := f.submitYAML(dir, f.httpJob(u, poll, rest+"dead_letter", sink)+fmt.Sprintf("dead_letters: {csv: {path: %q}}\n", letters))
			dir, sink = f.csv()
			skips := f.submitYAML(dir, f.httpJob(u, poll, rest+"skip", sink))
			dir, sink = f.csv()
			fails := f.submitYAML(dir, f.httpJob(u, poll, rest+"fail", sink))
			jobs := []job{dead, skips, fails}
			for _, j := range jobs {
				j.awaitRows([]string{`1,"User 1"`})
			}
			u.answerBadly(c.bad)
			fails.failure("item 1 of "+u.URL+"/users: ", c.reason)
			dead.poll("a dead letter", func() bool { return len(dead.deadLetters()) > 0 })
			skips.poll("a record is skipped", func() bool {
				ledger, err := f.jobs.Ledger(f.ctx, skips.id)
				return err == nil && ledger.Total.Skipped > 0
			})
			u.answerBadly("")
			u.set("Gwenborough", 2)
			for _, j := range jobs { // nothing is lost, and nothing said twice
				j.awaitRows([]string{`1,"User 1"`, `2,"User 2"`})
			}
			text, err := filepath.Glob(filepath.Join(letters, "part-*.csv"))
			f.check(err)
			if len(text) != 1 {
				t.Errorf("dead letters %q", text)
			} else if row, err := os.ReadFile(text[0]); err != nil || !strings.Contains(string(row), u.URL+`/users",0,1,`) || !strings.Contains(string(row), c.reason) {
				t.Errorf("dead letter %s, %v", row, err)
			}
			for _, j := range jobs {
				j.cancel()
			}
		})
	}
}

// A server that does not answer, a wrong certificate, an address that is gone: why says so, with the URL and without its secrets.
func TestHTTPWhy(t *testing.T) {
	f, u := newFixture(t, 2), serveUsers(t)
	u.set("Gwenborough", 1)
	u.failNext(1 << 30)
	dir, sink := f.csv()
	j := f.submitYAML(dir, f.httpJob(u, "poll: 20ms, dedupe_by: $.id", columns, sink))
	says := func(j job, kind string, words ...string) {
		t.Helper()
		j.poll(fmt.Sprintf("why says %q", words), func() bool {
			why, err := f.jobs.Why(f.ctx, j.id)
			f.check(err)
			text := fmt.Sprintf("%+v", why)
			if strings.Contains(text, "s3cret") {
				t.Fatalf("it tells a secret: %s", text)
			}
			return slices.ContainsFunc(why.Findings, func(found client.Finding) bool {
				return found.Kind == kind && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(found.Sentence, w) })
			})
		})
	}
	says(j, "source-unreachable", "The URL "+u.URL+"/users cannot be read: it answers 503 Service Unavailable since ", "; next try in ")
	u.failNext(0)
	j.awaitRows([]string{`1,"User 1"`})

	u.ca = filepath.Join(t.TempDir(), "missing.pem")
	dir, sink = f.csv()
	untrusted := f.submitYAML(dir, f.httpJob(u, "poll: 20ms", columns, sink))
	untrusted.failure("open source: ca_file: ", "missing.pem")
	says(untrusted, "restarting", "missing.pem")
}

// A job goes on from a savepoint in the middle of an answer, with the URLs that it had and others.
func TestHTTPSavepoint(t *testing.T) {
	f, u := newFixture(t, 1), serveUsers(t)
	var want []string
	for id := range 60 {
		u.set("Gwenborough", id)
		want = append(want, fmt.Sprintf(`%d,"User %d"`, id, id))
	}
	dir, sink := f.csv()
	spec := f.httpJob(u, "poll: once, items_per_second: 40", columns, sink)
	j := f.submitYAML(dir, spec)
	j.consumed(5)
	savepoint, err := f.jobs.Stop(f.ctx, j.id, t.TempDir(), false)
	f.check(err)
	j.end(client.Finished)
	if n := len(j.rows()); n == 0 || n >= 60 {
		t.Fatalf("%d rows at the savepoint", n)
	}
	url := u.URL + "/users?key=s3cret"
	other := strings.Replace(spec, url, u.URL+"/others", 1)
	_, err = f.jobs.Submit(f.ctx, client.Spec{Name: "job.yaml", Text: []byte(other), Savepoint: savepoint})
	if err == nil || !strings.Contains(err.Error(), "source.http: the savepoint has a position in "+u.URL+"/users (0), which the job does not read") {
		t.Errorf("another URL: %v", err)
	}
	more := strings.Replace(spec, url, url+" "+u.URL+"/more", 1)
	submitted, err := f.jobs.Submit(f.ctx, client.Spec{Name: "job.yaml", Text: []byte(more), Savepoint: savepoint})
	f.check(err)
	j.id = submitted.ID
	j.end(client.Finished)
	want = append(want, want...) // the other URL has the same users
	slices.Sort(want)
	j.wantRows(want)
}

// Nothing that the jobmanager shows has the value of a variable in it.
func TestHTTPSecrets(t *testing.T) {
	f, u := newFixture(t, 1), serveUsers(t)
	u.set("Gwenborough", 1)
	dir, sink := f.csv()
	text := strings.ReplaceAll(f.httpJob(u, "poll: 20ms, dedupe_by: $.id", columns, sink), "s3cret", "${KEY}")
	submitted, err := f.jobs.Submit(f.ctx, client.Spec{Name: "job.yaml", Text: []byte(text), Vars: map[string]string{"KEY": "s3cret"}})
	f.check(err)
	j := job{fixture: f, id: submitted.ID, dir: dir}
	j.awaitRows([]string{`1,"User 1"`})
	for _, path := range []string{"", "/plan", "/config", "/spec", "/splits", "/why", "/ledger", "/files", "/exceptions", "/checkpoints", "/checkpoints/config", "/metrics"} {
		response, err := http.Get(strings.TrimSuffix(f.jobs.Web(), "/") + "/jobs/" + j.id + path)
		f.check(err)
		shown, err := io.ReadAll(response.Body)
		f.check(errors.Join(err, response.Body.Close()))
		if response.StatusCode != http.StatusOK || bytes.Contains(shown, []byte("s3cret")) {
			t.Errorf("%s: %d %s", path, response.StatusCode, shown)
		}
	}
	j.cancel()
}
