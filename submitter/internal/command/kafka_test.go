package command_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pencere/submitter/internal/localcluster"

	"github.com/cockroachdb/datadriven"
)

// Times and ports differ from run to run.
var (
	clock   = regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+Z`)
	seconds = regexp.MustCompile(`in \d+\.\d s|"tookSeconds": [\d.e-]+`)
)

// The commands that talk to Kafka, against an embedded broker.
func TestKafkaCommands(t *testing.T) {
	broker, err := localcluster.StartBroker(localcluster.BrokerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	script, err := filepath.Abs("testdata/kafka.txt")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	in := "" // of the next command
	datadriven.RunTest(t, script, func(t *testing.T, d *datadriven.TestData) string {
		if d.Cmd == "input" {
			in = d.Input
			return ""
		}
		i := &invocation{in: in, env: map[string]string{"PENCERE_BROKERS": strings.Join(broker.Addresses(), ",")}}
		in = ""
		for _, variable := range d.CmdArgs {
			i.env[variable.Key] = strings.Join(variable.Vals, ",")
		}
		printed := i.run(t.Context(), strings.Fields(d.Input)...).String()
		printed = clock.ReplaceAllString(printed, "TIME")
		return seconds.ReplaceAllString(printed, "TOOK")
	})
}
