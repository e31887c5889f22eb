// Command taskmanager runs subtasks in its slots.
package main

import (
	"os"

	"pencere/pkg/cli"
	"pencere/taskmanager/daemon"
)

func main() { os.Exit(cli.Main(daemon.Command())) }
