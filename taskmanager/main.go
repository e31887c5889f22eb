// Command taskmanager runs subtasks in its slots.
package main

import (
	_ "time/tzdata" // a container without a time zone database has zones all the same

	"os"

	"pencere/pkg/cli"
	"pencere/taskmanager/daemon"
)

func main() { os.Exit(cli.Main(daemon.Command())) }
