// Command submitter submits jobs to a cluster, shows and cancels them, and demonstrates the whole in one process. For that it has the
// other programs in it: called by the name of one, through a link, it is that program, so that an image needs a single binary.
package main

import (
	_ "time/tzdata" // a container without a time zone database has zones all the same

	"os"
	"path/filepath"

	"pencere/pkg/cli"
	"pencere/submitter/internal/command"
	"pencere/submitter/internal/localcluster"
)

func main() {
	if daemon := localcluster.Program(filepath.Base(os.Args[0])); daemon != nil {
		os.Exit(cli.Main(daemon))
	}
	os.Exit(command.Main(os.Args[1:]))
}
