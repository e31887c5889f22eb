package localcluster_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// partitions are the values of a topic's records, by partition and in order.
type partitions [][]string

// tombstone stands for a record without a value.
const tombstone = "\x00"

// spec is the reference job with what tests change.
type spec struct {
	topic       string
	parallelism int    // 0 is auto
	bounded     bool   // ends at what the topic holds at the start
	onError     string // fail when empty
	idleAfter   time.Duration
	discovery   time.Duration
	window      time.Duration // 2 minutes when 0
	lateness    time.Duration // that the window allows
	passThrough bool          // without a window
	group       string        // of consumers, none when empty
	restarts    int           // how often the job may begin again
	interval    time.Duration // between checkpoints, 100 ms when 0
	concurrent  int           // checkpoints under way at once, 1 when 0
	onDataLoss  string        // begins at the group's offsets then; fail, at the earliest, when empty
	deadLetters bool          // takes bad records and late rows, in the directory deadLetterDir
	sink        string        // a topic for the rows, as CSV, and one with deadTopic's name for the dead letters; a directory when empty
}

func (s spec) size() time.Duration {
	if s.window == 0 {
		return 2 * time.Minute
	}
	return s.window
}

func (s spec) yaml(brokers []string, dir string) string {
	parallelism, onError, ending := "auto", "fail", ""
	if s.parallelism > 0 {
		parallelism = strconv.Itoa(s.parallelism)
	}
	if s.onError != "" {
		onError = s.onError
	}
	if s.bounded {
		ending = ", bounded: latest"
	}
	if s.discovery > 0 {
		ending += fmt.Sprintf(", discovery_interval: %dms", s.discovery.Milliseconds())
	}
	if s.group != "" {
		ending += ", group: " + s.group
	}
	dead, late := "", ""
	if s.deadLetters {
		onError, late = "dead_letter", ", late: dead_letter"
		dead = fmt.Sprintf("dead_letters: {csv: {path: %q}}\n", deadLetterDir(dir))
	}
	if s.lateness > 0 {
		late += fmt.Sprintf(", allowed_lateness: %dms", s.lateness.Milliseconds())
	}
	start := "earliest"
	if s.onDataLoss != "" {
		start = "group-offsets, on_data_loss: " + s.onDataLoss
	}
	sink := fmt.Sprintf("{csv: {path: %q}}", dir)
	if s.sink != "" {
		sink = fmt.Sprintf(`{kafka: {brokers: %q, topic: %s, format: csv, key: product, headers: {id: CAST(id AS STRING)}}}`, strings.Join(brokers, ","), s.sink)
	}
	if s.sink != "" && s.deadLetters {
		dead = fmt.Sprintf("dead_letters: {kafka: {brokers: %q, topic: %s}}\n", strings.Join(brokers, ","), deadTopic(s.sink))
	}
	interval := 100 * time.Millisecond
	if s.interval > 0 {
		interval = s.interval
	}
	restart := "{type: none}"
	if s.restarts > 0 {
		restart = fmt.Sprintf("{type: fixed-delay, attempts: %d, delay: 10ms}", s.restarts)
	}
	window := fmt.Sprintf("window: {tumble: %dms, group_by: [id, product, description, price, kdv, price_with_kdv]%s}\n", s.size().Milliseconds(), late)
	last := "window_start"
	if s.passThrough {
		window, last = "", "timestamp_column"
	}
	return fmt.Sprintf(`name: %s
parallelism: %s
source:
  kafka: {brokers: "%s", topic: %s, start: %s%s}
  on_error: %s
  schema: {id: INT, product: STRING, description: STRING, price: BIGINT, kdv: DOUBLE, timestamp_column: TIMESTAMP(3)}
  watermark: {column: timestamp_column, delay: 5s, idle_after: %dms}
compute: {price_with_kdv: price * (1 + kdv)}
%sselect: [id, product, description, price, kdv, price_with_kdv, %s]
sink: %s
checkpoint: {interval: %s, max_concurrent: %d}
restart_strategy: %s
%s`, s.topic, parallelism, strings.Join(brokers, ","), s.topic, start, ending, onError, s.idleAfter.Milliseconds(), window, last, sink, interval, max(s.concurrent, 1), restart, dead)
}

// listing is a record of the tests.
type listing struct {
	id    int
	price int64
	kdv   float64
	at    time.Time // zero is NULL
}

// noon is a time at which 2-minute windows begin.
var noon = time.Date(2025, 3, 4, 12, 0, 0, 0, time.UTC)

// at returns a listing so many seconds after noon.
func at(id int, seconds float64) listing {
	rates := []float64{0.01, 0.1, 0.18, 0.2}
	return listing{id: id, price: int64(100 + id%977), kdv: rates[id%len(rates)], at: noon.Add(time.Duration(seconds * float64(time.Second)))}
}

func (l listing) json() string {
	timestamp := "null"
	if !l.at.IsZero() {
		timestamp = strconv.Quote(l.at.Format("2006-01-02 15:04:05.999"))
	}
	return fmt.Sprintf(`{"id":%d,"product":"Kitap","description":"ikinci el %d","price":%d,"kdv":%v,"timestamp_column":%s}`,
		l.id, l.id%7, l.price, l.kdv, timestamp)
}

// records are listings as they are in a topic, for one partition.
func records(listings ...listing) []string {
	values := make([]string, len(listings))
	for i, l := range listings {
		values[i] = l.json()
	}
	return values
}

// oracle works out what a job must write, in the plainest way there is: row by row, with a map. A record that encoding/json
// does not take for an object with the right kinds of values is left out, as on_error: skip does.
func (s spec) oracle(topic partitions) (rows []string, late int) {
	rows, late, _ = s.judge(topic)
	return rows, late
}

// judge is oracle, and tells the dead letters, too, if late rows and bad records are.
func (s spec) judge(topic partitions) (rows []string, late int, dead []string) {
	written := map[string]bool{}
	for p, partition := range topic {
		highest := int64(-1 << 62)
		for offset, value := range partition {
			r, ok := decode(value)
			if !ok {
				dead = append(dead, fmt.Sprintf("%d,%d,json,%s", p, offset, value))
				continue
			}
			row := r.row()
			if s.passThrough {
				rows = append(rows, row+","+text(r.time))
				continue
			}
			start := r.ms - mod(r.ms, s.size().Milliseconds())
			isLate := highest-5000 >= start+s.size().Milliseconds()-1+s.lateness.Milliseconds()
			if r.time != nil {
				highest = max(highest, r.ms)
			}
			if isLate {
				late++
				dead = append(dead, fmt.Sprintf("%d,%d,late,%s", p, offset, value))
				continue
			}
			written[row+`,"`+time.UnixMilli(start).UTC().Format("2006-01-02 15:04:05.999")+`"`] = true
		}
	}
	for row := range written {
		rows = append(rows, row)
	}
	slices.Sort(rows)
	slices.Sort(dead)
	return rows, late, dead
}

type decoded struct {
	ID          *int32
	Product     *string
	Description *string
	Price       *int64
	KDV         *float64
	Timestamp   *string `json:"timestamp_column"`
	time        *time.Time
	ms          int64
}

func decode(value string) (decoded, bool) {
	var r decoded
	if json.Unmarshal([]byte(value), &r) != nil {
		return r, false
	}
	if r.Timestamp != nil {
		parsed, err := time.Parse("2006-01-02 15:04:05", *r.Timestamp)
		if err != nil {
			return r, false
		}
		r.time, r.ms = &parsed, parsed.UnixMilli()
	}
	return r, true
}

func (r decoded) row() string {
	var withKDV *float64
	if r.Price != nil && r.KDV != nil {
		product := float64(*r.Price) * (1 + *r.KDV)
		withKDV = &product
	}
	return strings.Join([]string{text(r.ID), text(r.Product), text(r.Description), text(r.Price), text(r.KDV), text(withKDV)}, ",")
}

// text writes a cell for the values that tests use: no text that needs quotes but for a space in it, no number that Java writes
// with an exponent.
func text[T any](value *T) string {
	if value == nil {
		return ""
	}
	switch v := any(*value).(type) {
	case float64:
		digits := strconv.FormatFloat(v, 'f', -1, 64)
		if !strings.Contains(digits, ".") {
			digits += ".0"
		}
		return digits
	case time.Time:
		return `"` + v.Format("2006-01-02 15:04:05.999") + `"`
	case string:
		if strings.Contains(v, " ") {
			return `"` + v + `"`
		}
		return v
	default:
		return fmt.Sprint(v)
	}
}

// mod is the remainder that is never negative.
func mod(a, b int64) int64 { return (a%b + b) % b }
