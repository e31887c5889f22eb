// Command jobmanager schedules jobs onto taskmanagers.
package main

import (
	_ "time/tzdata" // a container without a time zone database has zones all the same

	"os"

	"pencere/jobmanager/daemon"
	"pencere/pkg/cli"
)

func main() { os.Exit(cli.Main(daemon.Command())) }
