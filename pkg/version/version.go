// Package version says which version of Pencere a program is.
package version

import "runtime/debug"

// release is set by the build of a release: -ldflags "-X pencere/pkg/version.release=v1.2.3".
var release string

// String returns the release, or the commit that the program was built from, or "dev".
func String() string {
	if release != "" {
		return release
	}
	if commit := Commit(); commit != "" {
		return "dev-" + commit[:min(12, len(commit))]
	}
	return "dev"
}

// Commit returns the commit that the program was built from, "" when the build did not record it.
func Commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
