package localcluster

import (
	jobmanager "pencere/jobmanager/daemon"
	taskmanager "pencere/taskmanager/daemon"

	"github.com/spf13/cobra"
)

// Program returns the command line of one of a cluster's programs, jobmanager or taskmanager, or nil for another name.
func Program(name string) *cobra.Command {
	switch name {
	case "jobmanager":
		return jobmanager.Command()
	case "taskmanager":
		return taskmanager.Command()
	default:
		return nil
	}
}
