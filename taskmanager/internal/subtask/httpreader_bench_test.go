package subtask

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"pencere/pkg/arrowpool"
	"pencere/pkg/checkpoint"
	"pencere/pkg/eventtime"
	"pencere/pkg/jobspec"
	"pencere/pkg/plan"
	"pencere/taskmanager/internal/operator"
)

const (
	benchPages = 20
	benchItems = 5_000 // of a page, about 1 MB
)

// listingsAPI answers with pages of listings, as fast as it can.
func listingsAPI(b *testing.B) *httptest.Server {
	b.Helper()
	var items []string
	for i := range benchItems {
		items = append(items, fmt.Sprintf(`{"id":%d,"product":"Televizyon","description":"ikinci el LG OLED TV","price":18000,"kdv":0.18,"timestamp_column":"2025-03-04 11:55:49","address":{"city":"Ankara","geo":{"lat":39.93,"lng":32.86}}}`, i))
	}
	page := []byte("[" + strings.Join(items, ",") + "]")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		number, _ := strconv.Atoi(r.URL.Query().Get("page"))
		if number+1 < benchPages {
			w.Header().Set("Link", fmt.Sprintf(`<?page=%d>; rel="next"`, number+1))
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		_, _ = w.Write(page) // the client may have gone
	}))
	b.Cleanup(server.Close)
	b.SetBytes(int64(len(page)) * benchPages)
	return server
}

// discard is the output of a chain that goes nowhere.
type discard struct{ rows int64 }

func (d *discard) Rows(_ context.Context, rows operator.Rows) error {
	d.rows += rows.Batch.NumRows()
	rows.Batch.Release()
	return nil
}
func (*discard) Watermark(context.Context, eventtime.Watermark) error { return nil }
func (*discard) Idle(context.Context) error                           { return nil }
func (*discard) Barrier(context.Context, checkpoint.ID, bool) error   { return nil }
func (*discard) End(context.Context) error                            { return nil }

// BenchmarkHTTP reads an API that is on the same machine: a bare client that takes the items apart and drops them, a source's whole chain with the
// items as documents, and with their columns.
func BenchmarkHTTP(b *testing.B) {
	b.Run("bare client", func(b *testing.B) {
		server := listingsAPI(b)
		for b.Loop() {
			items := 0
			for page := range benchPages {
				response, err := http.Get(fmt.Sprintf("%s/?page=%d", server.URL, page))
				if err != nil {
					b.Fatal(err)
				}
				body, err := io.ReadAll(response.Body)
				_ = response.Body.Close()
				var all []json.RawMessage
				if err != nil || json.Unmarshal(body, &all) != nil {
					b.Fatal(err)
				}
				items += len(all)
			}
			checkItems(b, items)
		}
		b.ReportMetric(float64(benchPages*benchItems)*float64(b.N)/b.Elapsed().Seconds(), "items/s")
	})
	for name, schema := range map[string]string{
		"documents": "  schema: document\n",
		"columns":   "  schema: {id: INT, product: STRING, description: STRING, price: BIGINT, kdv: DOUBLE, timestamp_column: TIMESTAMP(3)}\n",
	} {
		for _, more := range []string{"", ", dedupe_by: $.id"} {
			b.Run(name+strings.TrimPrefix(more, ","), func(b *testing.B) {
				server := listingsAPI(b)
				text := fmt.Sprintf("name: bench\nsource:\n  http: {url: %q, poll: once, pagination: {type: link}%s}\n%ssink: {csv: {path: out}}\n", server.URL, more, schema)
				job, err := jobspec.Parse("job.yaml", []byte(text), func(string) (string, bool) { return "", false })
				if err != nil {
					b.Fatal(err)
				}
				want := benchPages * benchItems
				if more != "" {
					want = benchItems // each page has the same
				}
				for b.Loop() {
					if got := readAll(b, job); got != want {
						b.Fatalf("%d items, want %d", got, want)
					}
				}
				b.ReportMetric(float64(benchPages*benchItems)*float64(b.N)/b.Elapsed().Seconds(), "items/s")
			})
		}
	}
}

func checkItems(b *testing.B, got int) {
	b.Helper()
	if want := benchPages * benchItems; got != want {
		b.Fatalf("%d items, want %d", got, want)
	}
}

// readAll reads a bounded job's source to its end, through its chain.
func readAll(b *testing.B, job plan.Job) int {
	b.Helper()
	program, err := plan.Compile(job)
	if err != nil {
		b.Fatal(err)
	}
	out := &discard{}
	chain, err := operator.NewSource(program, out, operator.NewCounters(), arrowpool.New(64<<20))
	if err != nil {
		b.Fatal(err)
	}
	defer chain.Release()
	splits := []checkpoint.Split{{Topic: job.Source.HTTP.Splits()[0].Name}}
	s := &Subtask{program: program, host: Host{Now: time.Now}}
	reader, err := s.open(job.Source, splits)
	if err != nil {
		b.Fatal(err)
	}
	defer reader.Close()
	chain.AddSplit(splits[0])
	for {
		fetches, err := reader.Poll(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range fetches {
			if err := chain.Records(b.Context(), f.Split, f.Records); err != nil {
				b.Fatal(err)
			}
			if f.Done {
				return int(out.rows)
			}
		}
	}
}
