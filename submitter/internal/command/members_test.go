package command_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pencere/submitter/internal/localcluster"

	"github.com/cockroachdb/datadriven"
)

// What the commands of cluster print of a jobmanager's answers: "members" is its list, "refuses" its refusal of a change.
func TestClusterOutput(t *testing.T) {
	var members, refusal string
	status := http.StatusOK
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cluster/members", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"members":[%s]}`, members) })
	change := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, refusal)
	}
	mux.HandleFunc("POST /cluster/members", change)
	mux.HandleFunc("DELETE /cluster/members/{id}", change)
	server := httptest.NewServer(mux)
	defer server.Close()
	datadriven.RunTest(t, "testdata/cluster.txt", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "members":
			members = strings.TrimSuffix(strings.ReplaceAll(d.Input, "\n", ","), ",")
			return ""
		case "answers":
			d.ScanArgs(t, "status", &status)
			refusal = d.Input
			return ""
		default:
			i := &invocation{env: map[string]string{"PENCERE_JOBMANAGER": server.Listener.Addr().String(), "PENCERE_TIMEOUT": "300ms"}}
			return i.run(t.Context(), strings.Fields(d.Input)...).String()
		}
	})
}

// A fourth jobmanager comes, and the one that leads is removed.
func TestClusterOfFour(t *testing.T) {
	cluster, err := localcluster.Start(t.Context(), localcluster.Config{JobManagers: 3, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	env := map[string]string{"PENCERE_JOBMANAGER": strings.Join(cluster.RestAddrs(), ",")}
	run := func(args ...string) *invocation {
		t.Helper()
		return (&invocation{env: env}).run(t.Context(), append([]string{"cluster"}, args...)...)
	}
	id, address, err := cluster.AddJobManager()
	if err != nil {
		t.Fatal(err)
	}
	leader := fmt.Sprintf("jm%d", cluster.Leader()+1)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"status"}, 0, "3 of 3 voters are there; 1 more may be lost.\n"},
		{[]string{"add", "jm9", address}, 1, "add jm9: the jobmanager at " + address + " is jm4, not jm9"},
		{[]string{"remove", "jm9"}, 1, "remove jm9: jm9: no such member"},
		{[]string{"add", id, address}, 0, "Jobmanager jm4 (" + address + ") is a member and votes.\n"},
		{[]string{"add", id, address}, 1, "add jm4: jm4 is a member already"},
		{[]string{"status"}, 0, "4 of 4 voters are there; 1 more may be lost.\n"},
		{[]string{"remove", leader}, 0, "Jobmanager " + leader + " is no member any more.\n"},
		{[]string{"status"}, 0, "3 of 3 voters are there; 1 more may be lost.\n"},
	} {
		i := run(c.args...)
		// Any member tells the status as it knows it, and may hear of a change a moment later than who asked for it.
		for began := time.Now(); c.args[0] == "status" && !strings.Contains(i.String(), c.says) && time.Since(began) < patience; {
			i = run(c.args...)
		}
		if i.code != c.code || !strings.Contains(i.String(), c.says) {
			t.Errorf("cluster %v, want %d and %q:\n%s", c.args, c.code, c.says, i)
		}
	}
	for began := time.Now(); !strings.Contains(run("status").String(), "leads"); {
		if time.Since(began) > patience {
			t.Fatalf("nobody leads:\n%s", run("status"))
		}
	}
}
