// Command submitter submits jobs to a cluster, shows and cancels them, and demonstrates the whole in one process.
package main

import (
	"os"

	"pencere/submitter/internal/command"
)

func main() { os.Exit(command.Main(os.Args[1:])) }
