package command_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// The text that people read, and the JSON that programs do, of an answer of the jobmanager.
func TestWhyOutput(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	var answer string
	jobs := func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"jobs":[{"jid":%q,"name":"kdv-2min","state":"RUNNING"}]}`, id)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /jobs/overview", jobs)
	mux.HandleFunc("GET /jobs/"+id+"/why", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) })
	server := httptest.NewServer(mux)
	defer server.Close()
	datadriven.RunTest(t, "testdata/why.txt", func(t *testing.T, d *datadriven.TestData) string {
		answer = d.Input
		args := []string{"why", "-m", server.Listener.Addr().String(), "kdv-2min"}
		if d.HasArg("json") {
			args = append(args, "--json")
		}
		return new(invocation).run(t.Context(), args...).String()
	})
}

// why asks about the job "windowed" until the first finding is of a kind, and returns the answer.
func (s *site) why(kind string) (answer struct {
	Findings []struct{ Severity, Kind, Sentence, Remedy string }
	Facts    struct {
		Records struct{ Read, Late int64 }
		Windows []struct{ Groups int64 }
	}
}) {
	s.t.Helper()
	for s.ctx.Err() == nil {
		if code := s.result(&answer, "why", "windowed"); code != 0 {
			s.t.Fatalf("exit %d", code)
		}
		if answer.Findings[0].Kind == kind {
			return answer
		}
		<-time.After(50 * time.Millisecond)
	}
	s.t.Fatalf("the first finding is never %s; the last answer: %+v", kind, answer)
	return answer
}

// windowed writes the spec of a job over windows of one minute, without delay.
func (s *site) windowed(where string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, "windowed.yaml")
	text := fmt.Sprintf(`name: windowed
source:
  kafka: {brokers: "${BROKER}", topic: listings}
  schema: {id: INT, ts: TIMESTAMP(3)}
  watermark: {column: ts, delay: 0s}
%swindow: {tumble: 1m, group_by: [id]}
sink: {csv: {path: %q}}
`, where, filepath.Join(s.dir, "out"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func TestWhyEmptyTopic(t *testing.T) {
	t.Parallel() // it waits for ten seconds of silence
	s := newSite(t)
	if i := s.run("run", s.windowed("")); i.code != 0 {
		t.Fatal(i)
	}
	got := s.why("no-records")
	if f := got.Findings[0]; !strings.HasPrefix(f.Sentence, "No record has come from topic listings (1 partition) for 1") || f.Remedy == "" {
		t.Errorf("%+v", f)
	}
}

// The first row has a wrong time, and so all others are late.
func TestWhyAllLate(t *testing.T) {
	records := []string{`{"id":0,"ts":"2095-01-01 00:00:00"}`}
	for i := range 9 {
		records = append(records, fmt.Sprintf(`{"id":%d,"ts":"2025-03-04 11:%02d:00"}`, i, i))
	}
	s := newSite(t, records...)
	if i := s.run("run", s.windowed("")); i.code != 0 {
		t.Fatal(i)
	}
	got := s.why("rows-late")
	if f := got.Findings[0]; !strings.HasPrefix(f.Sentence, "9 rows of 10 were late") || !strings.Contains(f.Sentence, "is of 2095-01-01 00:00:00, ahead of the clock") {
		t.Errorf("%+v", f)
	}
	if f := got.Facts; f.Records.Read != 10 || f.Records.Late != 9 || len(f.Windows) != 1 || f.Windows[0].Groups != 1 {
		t.Errorf("facts %+v", f)
	}
}

func TestWhyAllFiltered(t *testing.T) {
	s := newSite(t, `{"id":1,"ts":"2025-03-04 11:00:00"}`)
	if i := s.run("run", s.windowed("where: id > 1\n")); i.code != 0 {
		t.Fatal(i)
	}
	got := s.why("rows-filtered")
	if f := got.Findings[0]; f.Sentence != "Every row was refused (1 row) by where: id > 1" {
		t.Errorf("%+v", f)
	}
}

func TestWhyNoSlots(t *testing.T) {
	s := newSite(t, `{"id":1,"ts":"2025-03-04 11:00:00"}`)
	if i := s.run("run", s.windowed("parallelism: 5\n")); i.code != 0 {
		t.Fatal(i)
	}
	got := s.why("no-slots")
	if f := got.Findings[0]; !strings.Contains(f.Sentence, "the job takes 5, 2 are free") {
		t.Errorf("%+v", f)
	}
	if i := s.run("why", "nosuch"); i.code != 2 {
		t.Errorf("no job has this name:\n%v", i)
	}
}
