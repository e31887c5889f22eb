package jobspec

import (
	"testing"

	"pencere/pkg/plan"
)

// A variable's value is a value: it is not read as YAML, and its own dollar signs are not expanded.
func TestVariablesCannotChangeTheStructure(t *testing.T) {
	const evil = "x\nparallelism: 7 # \"'{[${NAME}"
	spec := `{name: "${NAME}", parallelism: 2, source: {kafka: {brokers: b, topic: t}, schema: {a: INT}}, sink: {csv: {path: "/${NAME}/${NAME}"}}}`
	job, err := Parse("job.yaml", []byte(spec), func(string) (string, bool) { return evil, true })
	if err != nil {
		t.Fatal(err)
	}
	if job.Name != evil || job.Parallelism != 2 || job.Sink.CSV.Path != "/"+evil+"/"+evil {
		t.Errorf("job %q, parallelism %d, path %q", job.Name, job.Parallelism, job.Sink.CSV.Path)
	}
}

// The table's defaults are the planner's.
func TestDefaults(t *testing.T) {
	const least = `{name: x, source: {kafka: {brokers: b, topic: t}, schema: {a: INT}}, sink: {csv: {path: out}}`
	job, err := Parse("job.yaml", []byte(least+"}"), unset)
	if err != nil {
		t.Fatal(err)
	}
	if job.MaxParallelism != plan.DefaultMaxParallelism || job.TimeZone != plan.DefaultTimeZone ||
		job.Source.Kafka.DiscoveryInterval != plan.DefaultDiscoveryInterval || job.Checkpoint.Interval != plan.DefaultCheckpointInterval ||
		job.Sink.CSV.RollSize != plan.DefaultRollSize || job.Sink.CSV.RollInterval != plan.DefaultRollInterval {
		t.Errorf("defaults: %+v", job)
	}
	named, err := Parse("job.yaml", []byte(least+", restart_strategy: {type: exponential-delay}}"), unset)
	if err != nil {
		t.Fatal(err)
	}
	if named.Restart != job.Restart {
		t.Errorf("exponential-delay is %+v by name, %+v by default", named.Restart, job.Restart)
	}
}
