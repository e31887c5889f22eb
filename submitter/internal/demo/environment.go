package demo

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// EnvironmentError is something of this machine that the demo cannot use, and what to do about it.
type EnvironmentError struct {
	Message string
	Err     error
}

func (e *EnvironmentError) Error() string { return e.Message }

// Unwrap returns what the operating system said.
func (e *EnvironmentError) Unwrap() error { return e.Err }

// portProblem says what to do about a port that is not free.
func portProblem(err error, port int) error {
	const remedy = "give another with --port, or --port 0 for any free one"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &EnvironmentError{fmt.Sprintf("port %d is in use by another program: %s", port, remedy), err}
	case errors.Is(err, syscall.EACCES):
		return &EnvironmentError{fmt.Sprintf("port %d may not be used by this user: %s", port, remedy), err}
	}
	return err
}

// prepareDir makes a directory if it is not there, sees that files can be made in it, and returns its absolute path.
func prepareDir(dir string) (string, error) {
	fail := func(why string, err error) (string, error) {
		return "", &EnvironmentError{fmt.Sprintf("%s %s: give another directory with --out", dir, why), err}
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return fail("has no absolute path", err)
	}
	if info, err := os.Stat(absolute); err == nil && !info.IsDir() {
		return fail("is a file and no directory", nil)
	}
	if err := os.MkdirAll(absolute, 0o755); err != nil {
		return fail(fmt.Sprintf("cannot be made (%v)", cause(err)), err)
	}
	probe, err := os.CreateTemp(absolute, ".pencere-probe-")
	if err != nil {
		return fail(fmt.Sprintf("cannot be written to (%v)", cause(err)), err)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return fail(fmt.Sprintf("cannot be written to (%v)", cause(err)), err)
	}
	return absolute, nil
}

// cause is what is wrong without the path, which is named already.
func cause(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}

// firstLines reads the first n lines of a file, or as many as there are.
func firstLines(path string, n int) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("show rows: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	var lines []string
	for scanner := bufio.NewScanner(file); len(lines) < n && scanner.Scan(); {
		lines = append(lines, scanner.Text())
	}
	return lines, nil
}
