package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

// result is one run of one job. Memory is resident, in MiB.
type result struct {
	Job                string   `json:"job"`
	CPUMicros          float64  `json:"taskmanager_cpu_us_per_record"`
	Bare               bareRead `json:"bare_read"`
	RecordsPerSecond   float64  `json:"records_per_second"` // from the submission to the end
	TaskManagerMiB     float64  `json:"taskmanager_peak_mib"`
	JobManagerMiB      float64  `json:"jobmanager_peak_mib"`
	IdleTaskManagerMiB float64  `json:"taskmanager_idle_mib"`
	AnsweredMs         float64  `json:"start_to_rest_ms"`
	RunningMs          float64  `json:"submit_to_running_ms"`
	Rows               int      `json:"rows"`
}

// report is what the command prints.
type report struct {
	Machine     machine  `json:"machine"`
	Broker      string   `json:"broker"`
	Records     int      `json:"records"`
	RecordBytes int      `json:"record_bytes"`
	Runs        []result `json:"runs"`
}

func (r report) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// columns are the figures of a run in the table.
var columns = []struct {
	name, format string
	of           func(result) float64
}{
	{"CPU µs/record", "%.2f", func(r result) float64 { return r.CPUMicros }},
	{"bare read", "%.2f", func(r result) float64 { return r.Bare.CPUMicros }},
	{"ratio", "%.1f", func(r result) float64 { return r.CPUMicros / r.Bare.CPUMicros }},
	{"records/s", "%.0f", func(r result) float64 { return r.RecordsPerSecond }},
	{"taskmanager MiB", "%.0f", func(r result) float64 { return r.TaskManagerMiB }},
	{"idle", "%.0f", func(r result) float64 { return r.IdleTaskManagerMiB }},
	{"jobmanager MiB", "%.0f", func(r result) float64 { return r.JobManagerMiB }},
	{"REST ms", "%.0f", func(r result) float64 { return r.AnsweredMs }},
	{"RUNNING ms", "%.0f", func(r result) float64 { return r.RunningMs }},
	{"rows", "%.0f", func(r result) float64 { return float64(r.Rows) }},
}

// writeTable writes a line for each run, and for each job the medians of its runs.
func (r report) writeTable(w io.Writer) error {
	fmt.Fprintf(w, "%d records of %d bytes, broker %s; %d cores (%s), load %s\n\n",
		r.Records, r.RecordBytes, r.Broker, r.Machine.Cores, r.Machine.CPU, r.Machine.Load)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "job\trun\t")
	for _, c := range columns {
		fmt.Fprintf(t, "%s\t", c.name)
	}
	fmt.Fprintln(t)
	for _, runs := range r.byJob() {
		for i, run := range runs {
			writeRow(t, run.Job+"\t"+strconv.Itoa(i+1), func(of func(result) float64) float64 { return of(run) })
		}
		writeRow(t, "\tmedian", func(of func(result) float64) float64 { return median(runs, of) })
	}
	return t.Flush()
}

func writeRow(w io.Writer, head string, value func(func(result) float64) float64) {
	fmt.Fprintf(w, "%s\t", head)
	for _, c := range columns {
		fmt.Fprintf(w, c.format+"\t", value(c.of))
	}
	fmt.Fprintln(w)
}

// byJob returns the runs of each job, in the order in which the jobs came first.
func (r report) byJob() [][]result {
	var groups [][]result
	for _, run := range r.Runs {
		i := slices.IndexFunc(groups, func(g []result) bool { return g[0].Job == run.Job })
		if i < 0 {
			groups = append(groups, []result{run})
			continue
		}
		groups[i] = append(groups[i], run)
	}
	return groups
}

func median(runs []result, of func(result) float64) float64 {
	var sorted []float64
	for _, run := range runs {
		sorted = append(sorted, of(run))
	}
	slices.Sort(sorted)
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
