package http_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	connector "pencere/pkg/connector/http"
	"pencere/pkg/plan"
	"pencere/pkg/polling"

	"github.com/google/go-cmp/cmp"
)

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("items differ (-want +got):\n%s", diff)
	}
}

func TestOnce(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		change  func(*plan.HTTPSource)
		want    []string
	}{
		"array":      {handler: answer(`[{"id":1},{"id":2}]`), want: []string{`{"id":1}`, `{"id":2}`}},
		"object":     {handler: answer(`{"id":1}`), want: []string{`{"id":1}`}},
		"path":       {handler: answer(`{"data":[1,2]}`), change: func(s *plan.HTTPSource) { s.Items = "$.data" }, want: []string{"1", "2"}},
		"no items":   {handler: answer(`[]`), want: []string{}},
		"no content": {handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, want: []string{}},
		"lines":      {handler: answer("1\n2\n", "Content-Type", "application/x-ndjson"), want: []string{"1", "2"}},
		"lines by wish": {handler: answer("1\n2\n", "Content-Type", "text/html"), change: func(s *plan.HTTPSource) { s.Body = polling.NDJSON },
			want: []string{"1", "2"}},
		"gzip": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Type", "application/json")
			z := gzip.NewWriter(w)
			_, _ = z.Write([]byte(`[7]`))
			_ = z.Close()
		}, want: []string{"7"}},
	} {
		t.Run(name, func(t *testing.T) {
			source := serve(t, c.handler).source(t)
			source.Bounded = true
			if c.change != nil {
				c.change(&source)
			}
			r := read(t, source)
			want(t, r.toEnd(), c.want...)
			if s := r.Status()[0]; s.State != connector.Finished || s.Next != int64(len(c.want)) {
				t.Errorf("status %+v", s)
			}
			r.restart() // a split that is done stays so, and nobody is asked
			if items := r.toEnd(); len(items) > 0 {
				t.Errorf("after a restart there are %q", items)
			}
		})
	}
}

// Each poll reads all items again, unless the server says that nothing has changed.
func TestPolls(t *testing.T) {
	a := serve(t, answer("[1,2]"))
	r := read(t, a.source(t))
	want(t, r.items(6), "1", "2", "1", "2", "1", "2")

	a.set(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Last-Modified", "Tue, 04 Mar 2025 12:00:00 GMT")
		if q.Header.Get("If-None-Match") == `"v1"` && q.Header.Get("If-Modified-Since") == "Tue, 04 Mar 2025 12:00:00 GMT" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		answer("[3]")(w, q)
	})
	want(t, last(r.items(1), 1), "3")
	r.restart() // validators are part of the position
	before := len(a.asked())
	within, cancel := context.WithTimeout(r.ctx, 200*time.Millisecond)
	defer cancel()
	fetches, err := r.Poll(within)
	for err == nil && len(fetches) > 0 && string(fetches[0].Items[0]) != "3" { // one that was on its way before
		fetches, err = r.Poll(within)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an answer that is as it was gives %v, %v", fetches, err)
	}
	if asked := len(a.asked()) - before; asked < 2 {
		t.Errorf("%d requests in 20 intervals", asked)
	}
	a.set(answer("[4]"))
	want(t, r.items(1), "4")
}

func last(items []string, n int) []string { return items[max(0, len(items)-n):] }

func TestInterval(t *testing.T) {
	a := serve(t, answer("[1]"))
	source := a.source(t)
	source.Interval = 200 * time.Millisecond
	r := read(t, source)
	began := time.Now()
	r.items(2)
	r.restart() // the time of the last poll is part of the position
	r.items(1)
	if took := time.Since(began); took < 400*time.Millisecond || len(a.asked()) != 3 {
		t.Errorf("3 polls took %s with %d requests", took, len(a.asked()))
	}
}

// An item comes again only when it is not as it was, whatever dies in between.
func TestDedupe(t *testing.T) {
	a := serve(t, answer(`[{"id":1,"n":"a"},{"id":2,"n":"b"},{"n":"no id"}]`))
	source := a.source(t)
	source.DedupeBy = "$.id"
	r := read(t, source)
	want(t, r.items(3), `{"id":1,"n":"a"}`, `{"id":2,"n":"b"}`, `{"n":"no id"}`)
	a.set(answer(`[{"id":1,"n":"a"},{"id":2,"n":"c"},{"n":"no id"}]`))
	want(t, r.items(1), `{"id":2,"n":"c"}`)
	r.restart()
	a.set(answer(`[{"id":3},{"id":2,"n":"c"},{"id":1,"n":"z"},{"n":"no id"}]`))
	want(t, r.items(2), `{"id":3}`, `{"id":1,"n":"z"}`)
}

func TestRate(t *testing.T) {
	a := serve(t, answer("[1,2,3,4,5]"))
	source := a.source(t)
	source.Bounded, source.ItemsPerSecond = true, 10
	began := time.Now()
	r := read(t, source)
	want(t, r.items(1), "1")
	want(t, r.toEnd(), "2", "3", "4", "5")
	if took := time.Since(began); took < 390*time.Millisecond {
		t.Errorf("5 items at 10 a second took %s", took)
	}
}

func TestPages(t *testing.T) {
	pages := map[string][2]string{"": {"[1,2]", "2"}, "2": {"[3]", "3"}, "3": {"[4]", ""}}
	for name, c := range map[string]struct {
		pagination plan.HTTPPagination
		handler    http.HandlerFunc
		items      string
	}{
		"link": {plan.HTTPPagination{Type: polling.Link}, func(w http.ResponseWriter, r *http.Request) {
			page := pages[r.URL.Query().Get("page")]
			if page[1] != "" {
				w.Header().Set("Link", fmt.Sprintf(`</users?page=%s>; rel="next"`, page[1]))
			}
			answer(page[0])(w, r)
		}, ""},
		"next": {plan.HTTPPagination{Type: polling.Next, Field: "$.next"}, func(w http.ResponseWriter, r *http.Request) {
			page, next := pages[r.URL.Query().Get("page")], "null"
			if page[1] != "" {
				next = `"?page=` + page[1] + `"`
			}
			answer(fmt.Sprintf(`{"items":%s,"next":%s}`, page[0], next))(w, r)
		}, "$.items"},
		"cursor": {plan.HTTPPagination{Type: polling.Next, Field: "$.next", Parameter: "page"}, func(w http.ResponseWriter, r *http.Request) {
			page := pages[r.URL.Query().Get("page")]
			answer(fmt.Sprintf(`{"items":%s,"next":%q}`, page[0], page[1]))(w, r)
		}, "$.items"},
		"number": {plan.HTTPPagination{Type: polling.Page, Parameter: "page", First: 1}, func(w http.ResponseWriter, r *http.Request) {
			answer(map[string]string{"1": "[1,2]", "2": "[3]", "3": "[4]"}[r.URL.Query().Get("page")]+strings.Repeat("[]", map[bool]int{true: 1}[r.URL.Query().Get("page") > "3"]))(w, r)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			source := serve(t, c.handler).source(t)
			c.pagination.MaxPages = 4
			source.Bounded, source.Pagination, source.Items = true, &c.pagination, c.items
			want(t, read(t, source).toEnd(), "1", "2", "3", "4")

			again := read(t, source) // with a death after each page
			var all []string
			for !again.splits[0].Done {
				items, err := again.poll()
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, items...)
				again.restart()
			}
			want(t, all, "1", "2", "3", "4")
		})
	}
}

func TestEndlessPages(t *testing.T) {
	source := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("page"))
		w.Header().Set("Link", fmt.Sprintf(`<?page=%d>; rel=next`, n+1))
		answer("[1]")(w, r)
	}).source(t)
	source.Pagination = &plan.HTTPPagination{Type: polling.Link, MaxPages: 3}
	r := read(t, source)
	want(t, r.items(3), "1", "1", "1")
	if _, err := r.poll(); err == nil || !strings.Contains(err.Error(), "it has more than 3 pages: raise source.http.pagination.max_pages") {
		t.Errorf("error %v", err)
	}
}

// Whenever a Reader dies, also while items of an answer wait, the next one hands each item out once.
func TestRestartsLoseNothing(t *testing.T) {
	for seed := range uint64(5) {
		random := rand.New(rand.NewPCG(seed, 1))
		var all []string
		for i := range 200 {
			all = append(all, strconv.Itoa(i))
		}
		a := serve(t, func(w http.ResponseWriter, r *http.Request) {
			page, _ := strconv.Atoi(r.URL.Query().Get("page"))
			if page < 4 {
				w.Header().Set("Link", fmt.Sprintf(`<?page=%d>; rel=next`, page+1))
			}
			answer("["+strings.Join(all[40*page:40*(page+1)], ",")+"]")(w, r)
		})
		source := a.source(t)
		source.Bounded, source.ItemsPerSecond, source.Pagination = true, 2000, &plan.HTTPPagination{Type: polling.Link, MaxPages: 10}
		r := read(t, source)
		var got []string
		for !r.splits[0].Done {
			items, err := r.poll()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, items...)
			if random.IntN(4) == 0 {
				r.restart()
			}
		}
		if !slices.Equal(got, all) {
			t.Errorf("seed %d: got %q", seed, got)
		}
	}
}

// An answer that has changed while nobody read it: what was handed out stays out of it, what is new or other comes.
func TestRestartOnAnotherAnswer(t *testing.T) {
	a := serve(t, answer(`["a","b","c","d"]`))
	source := a.source(t)
	source.Bounded, source.ItemsPerSecond = true, 20
	r := read(t, source)
	want(t, r.items(2), `"a"`, `"b"`)
	a.set(answer(`["new","b","B2","a","d"]`))
	r.restart()
	want(t, r.toEnd(), `"new"`, `"B2"`, `"d"`)
}

func TestHeaders(t *testing.T) {
	a := serve(t, answer("[]"))
	source := a.source(t)
	source.Bounded, source.Headers = true, map[string]string{"X-Api-Key": "k", "Accept": "application/vnd.x+json"}
	source.Auth = &plan.HTTPAuth{Username: "user", Password: "pa:ss"}
	read(t, source).toEnd()
	source.Auth = &plan.HTTPAuth{Token: "t0ken"}
	read(t, source).toEnd()
	asked := a.asked()
	if user, password, ok := asked[0].BasicAuth(); !ok || user != "user" || password != "pa:ss" {
		t.Errorf("basic auth %q %q", user, password)
	}
	if got := asked[1].Header.Get("Authorization"); got != "Bearer t0ken" {
		t.Errorf("Authorization: %s", got)
	}
	for name, want := range map[string]string{"X-Api-Key": "k", "Accept": "application/vnd.x+json", "If-None-Match": ""} {
		if got := asked[0].Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := asked[0].Header.Get("User-Agent"); !strings.HasPrefix(got, "pencere/") {
		t.Errorf("User-Agent: %s", got)
	}
}

// A redirect to another server gets no credentials.
func TestRedirects(t *testing.T) {
	var other http.Header
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		other = r.Header
		answer("[1]")(w, r)
	}))
	t.Cleanup(elsewhere.Close)
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+"/x", http.StatusFound)
	})
	source := a.source(t)
	source.URLs = []string{a.URL + "/users?key=s3cret"}
	source.Bounded, source.CAFile, source.InsecureSkipVerify = true, "", true
	source.Auth, source.Headers = &plan.HTTPAuth{Token: "s3cret"}, map[string]string{"X-Api-Key": "s3cret"}
	want(t, read(t, source).toEnd(), "1")
	for name, values := range other {
		if strings.Contains(strings.Join(values, " "), "s3cret") {
			t.Errorf("the other server got %s: %v", name, values)
		}
	}
	for name, c := range map[string]struct {
		to   func(*http.Request) string
		most int
		says string
	}{
		"for ever":  {func(r *http.Request) string { return r.URL.Path + "x" }, 3, "it redirects too often"},
		"none":      {func(*http.Request) string { return elsewhere.URL }, 0, "it redirects too often"},
		"downgrade": {func(*http.Request) string { return "http://localhost/" }, 3, "it redirects from https to http"},
	} {
		a.set(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, c.to(r), http.StatusFound) })
		source.MaxRedirects = c.most
		if _, err := read(t, source).poll(); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
