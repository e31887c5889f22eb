package command

import (
	"fmt"
	"runtime"

	"pencere/pkg/version"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Prints the version",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			result := map[string]string{
				"version": version.String(), "commit": version.Commit(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
			}
			a.report(c.Name(), result, func() {
				fmt.Fprintf(a.Out, "submitter %s (%s, %s)\n", result["version"], result["go"], result["platform"])
			})
			return nil
		},
	}
}
