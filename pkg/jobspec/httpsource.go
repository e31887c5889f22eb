package jobspec

import (
	"errors"
	"fmt"
	"math"
	"time"

	"pencere/pkg/nearest"
	"pencere/pkg/plan"
	"pencere/pkg/polling"
)

var httpFields = mapping{
	begin: func(j *plan.Job) { j.Source.HTTP = &plan.HTTPSource{} },
	fields: []field{
		{name: "url", required: true, doc: "the URL, or several as a list or separated by spaces; each is read like a partition, and shown without its query",
			shape:    texts{text("a URL"), " ", func(j *plan.Job) *[]string { return &j.Source.HTTP.URLs }},
			examples: []string{"https://jsonplaceholder.typicode.com/users", "${USERS_URL:https://jsonplaceholder.typicode.com/users}"}},
		{name: "poll", doc: "the time from the beginning of a poll to the next one's; or once, which ends the job when each URL was polled",
			shape: one(pollInterval(), func(j *plan.Job, v time.Duration) {
				j.Source.HTTP.Interval, j.Source.HTTP.Bounded = v, v == pollOnce
			}).or("1m"), examples: []string{"30s", "once"}},
		{name: "body", doc: "what the answers are: json, one document; ndjson, a JSON value a line; auto, what their Content-Type says",
			shape: one(enum(string(polling.Auto), string(polling.JSON), string(polling.NDJSON)),
				func(j *plan.Job, v string) { j.Source.HTTP.Body = polling.Framing(v) }).or(string(polling.Auto))},
		{name: "items", doc: "the path to the items in a JSON answer, an array of them or an object that is the only one; the answer itself when left out",
			shape: one(text("a path"), func(j *plan.Job, v string) { j.Source.HTTP.Items = v }), examples: []string{"$.data.users"}},
		{name: "headers", doc: "further headers of the requests",
			shape: entriesOf[string]{anyScalar("a header"), func(j *plan.Job, name, v string) {
				j.Source.HTTP.Headers = with(j.Source.HTTP.Headers, name, v)
			}}},
		{name: "auth", doc: "credentials, best from variables of the environment", shape: httpAuthFields},
		{name: "pagination", doc: "how the pages of a URL follow each other; one page alone when left out", shape: httpPaginationFields},
		{name: "items_per_second", doc: "how fast the items of each URL are read at most; as fast as can be when left out",
			shape: one(number(0.001, 1_000_000), func(j *plan.Job, v float64) { j.Source.HTTP.ItemsPerSecond = v })},
		{name: "dedupe_by", doc: "the path to an item's key: an item that is byte for byte as it was when its key came last is left out",
			shape: one(text("a path"), func(j *plan.Job, v string) { j.Source.HTTP.DedupeBy = v }), examples: []string{"$.id"}},
		{name: "dedupe_keys", doc: "how many keys of each URL are remembered for dedupe_by, those that came last",
			shape: one(positive(plan.MaxDedupeKeys), func(j *plan.Job, v int) { j.Source.HTTP.DedupeKeys = v }).or("10000")},
		{name: "ca_file", doc: "a file of certificates (PEM), on the taskmanagers, that are trusted in place of the system's",
			shape: one(text("a file"), func(j *plan.Job, v string) { j.Source.HTTP.CAFile = v })},
		{name: "insecure_skip_verify", doc: "true trusts any certificate; whoever is on the way can then read and change what is sent",
			shape: one(boolean(), func(j *plan.Job, v string) { j.Source.HTTP.InsecureSkipVerify = v == "true" }).or("false")},
		{name: "timeout", doc: "the longest time of a request, up to the last byte of the answer",
			shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Source.HTTP.Timeout = v }).or("30s")},
		{name: "max_response", doc: "the most that an answer may hold, unpacked (MB is 1048576 bytes)",
			shape: one(size(), func(j *plan.Job, v int64) { j.Source.HTTP.MaxResponse = v }).or("16MB")},
		{name: "max_redirects", doc: "how many redirects in a row are followed",
			shape: one(whole(0, 20), func(j *plan.Job, v int) { j.Source.HTTP.MaxRedirects = v }).or("5")},
		{name: "retry", doc: "the time before a request that failed is made again, which doubles from failure to failure", shape: mapping{fields: []field{
			{name: "initial", doc: "the time after the first failure",
				shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Source.HTTP.InitialBackoff = v }).or("500ms")},
			{name: "max", doc: "the longest time; a server that asks for more with Retry-After gets it, up to an hour",
				shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Source.HTTP.MaxBackoff = v }).or("1m")},
		}}},
	},
}

var httpAuthFields = mapping{
	begin: func(j *plan.Job) { j.Source.HTTP.Auth = &plan.HTTPAuth{} },
	oneOf: []string{"basic", "bearer"},
	fields: []field{
		{name: "basic", doc: "a user's name and password", shape: mapping{fields: []field{
			{name: "username", required: true, doc: "the user's name",
				shape: one(anyScalar("a name"), func(j *plan.Job, v string) { j.Source.HTTP.Auth.Username = v })},
			{name: "password", required: true, doc: "the password",
				shape: one(anyScalar("a password"), func(j *plan.Job, v string) { j.Source.HTTP.Auth.Password = v })},
		}}},
		{name: "bearer", doc: "a token", shape: one(anyScalar("a token"), func(j *plan.Job, v string) { j.Source.HTTP.Auth.Token = v })},
	},
}

// pollOnce stands for the word once.
const pollOnce time.Duration = 0

// pollInterval is once or a duration of at least a millisecond.
func pollInterval() kind[time.Duration] {
	k := duration()
	k.what = "once or a duration such as 30s"
	ofText := k.parse
	k.parse = func(text string) (time.Duration, error) {
		if text == "once" {
			return pollOnce, nil
		}
		d, err := ofText(text)
		switch {
		case err != nil && nearest.Name(text, []string{"once"}) != "":
			return 0, &nearError{fmt.Sprintf("%q is neither once nor a duration", text), "once"}
		case err == nil && d == 0:
			return 0, errors.New("0 is too short; write the time between polls, or once")
		}
		return d, err
	}
	k.schema = func() *jsonSchema {
		var once any = "once"
		return variableOr(&jsonSchema{Const: &once}, &jsonSchema{Type: "string", Pattern: durationPattern})
	}
	return k
}

func pagination(j *plan.Job) *plan.HTTPPagination {
	if j.Source.HTTP.Pagination == nil {
		j.Source.HTTP.Pagination = &plan.HTTPPagination{}
	}
	return j.Source.HTTP.Pagination
}

var maxPages = field{name: "max_pages", doc: "the most pages of a poll; more are an error",
	shape: one(positive(math.MaxInt32), func(j *plan.Job, v int) { pagination(j).MaxPages = v }).or("1000")}

var httpPaginationFields = variants{
	by: "type", doc: "link (the header Link has a rel=next), next (a field of the answer has the next address or a cursor) or page (pages have numbers, one without items ends them)",
	set: func(j *plan.Job, name string) { pagination(j).Type = polling.Scheme(name) },
	of: []variant{
		{name: string(polling.Link), fields: []field{maxPages}},
		{name: string(polling.Next), fields: []field{
			{name: "field", required: true, doc: "the path to the next page's address in an answer; null, or no such field, ends the pages",
				shape: one(text("a path"), func(j *plan.Job, v string) { pagination(j).Field = v }), examples: []string{"$.links.next"}},
			{name: "parameter", doc: "the query parameter that takes what the field has, where that is a cursor and no address",
				shape: one(text("a name"), func(j *plan.Job, v string) { pagination(j).Parameter = v })},
			maxPages,
		}},
		{name: string(polling.Page), fields: []field{
			{name: "parameter", doc: "the query parameter of the page's number",
				shape: one(text("a name"), func(j *plan.Job, v string) { pagination(j).Parameter = v }).or("page")},
			{name: "first", doc: "the number of the first page",
				shape: one(whole(0, math.MaxInt32), func(j *plan.Job, v int) { pagination(j).First = int64(v) }).or("1")},
			maxPages,
		}},
	},
}
