// Command jobmanager schedules jobs onto taskmanagers.
package main

import (
	"os"

	"pencere/jobmanager/daemon"
	"pencere/pkg/cli"
)

func main() { os.Exit(cli.Main(daemon.Command())) }
