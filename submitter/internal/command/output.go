package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"pencere/pkg/jobspec"
	"pencere/submitter/internal/client"
	"pencere/submitter/internal/demo"
	"pencere/submitter/internal/kafkaclient"
	"pencere/submitter/internal/replay"
)

// envelope is what --json prints.
type envelope struct {
	Command string   `json:"command"`
	OK      bool     `json:"ok"`
	Result  any      `json:"result,omitempty"`
	Error   *failure `json:"error,omitempty"`
}

type failure struct {
	ExitCode int    `json:"exitCode"`
	Message  string `json:"message"`
	// Problems are the places of a job spec that are wrong.
	Problems []problem `json:"problems,omitempty"`
}

type problem struct {
	File       string `json:"file"`
	Line       int    `json:"line"`
	Column     int    `json:"column"`
	Path       string `json:"path,omitempty"`
	Message    string `json:"message"`
	Suggestion string `json:"suggestion,omitempty"`
}

func problemsOf(err error) []problem {
	wrong, _ := errors.AsType[jobspec.Errors](err)
	problems := make([]problem, len(wrong))
	for i, e := range wrong {
		problems[i] = problem{e.File, e.Line, e.Column, e.Path, e.Message, e.Suggestion}
	}
	return problems
}

// usageError is a command line that cannot be carried out as it is.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// resultError is an error of a command that has a result to print all the same.
type resultError struct {
	err    error
	result any
}

func (e *resultError) Error() string { return e.err.Error() }
func (e *resultError) Unwrap() error { return e.err }

// exitCode tells the kinds of errors apart.
func exitCode(err error) int {
	_, isUsage := errors.AsType[*usageError](err)
	_, address := errors.AsType[*client.AddressError](err)
	_, spec := errors.AsType[jobspec.Errors](err)
	refused, api := errors.AsType[*client.APIError](err)
	_, unreachable := errors.AsType[*client.UnreachableError](err)
	_, noBroker := errors.AsType[*kafkaclient.UnreachableError](err)
	_, properties := errors.AsType[*kafkaclient.PropertiesError](err)
	_, environment := errors.AsType[*demo.EnvironmentError](err)
	_, beyond := errors.AsType[*replay.UnsupportedError](err)
	_, unread := errors.AsType[*replay.UnreadError](err)
	switch {
	case err == nil:
		return exitOK
	case isUsage, address, spec, properties:
		return exitUsage
	case unreachable, noBroker, environment, unread:
		return exitEnvironment
	case beyond:
		return exitUnsupported
	case api && refused.Status == http.StatusBadRequest:
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	default:
		return exitFailed
	}
}

// reportError prints an error as the last thing that a command does.
func (a *app) reportError(command string, err error) {
	if !a.json {
		_, spec := errors.AsType[jobspec.Errors](err)
		refused, api := errors.AsType[*client.APIError](err)
		if spec || api && refused.Status == http.StatusBadRequest {
			fmt.Fprintln(a.Err, err) // file:line:column begins the line, for whoever makes links of it
			return
		}
		if errors.Is(err, context.Canceled) {
			err = errors.New("interrupted")
		}
		fmt.Fprintf(a.Err, "submitter: %v\n", err)
		if _, isUsage := errors.AsType[*usageError](err); isUsage {
			fmt.Fprintf(a.Err, "See: submitter %s\n", strings.TrimPrefix(command+" --help", "submitter "))
		}
		if _, unreachable := errors.AsType[*client.UnreachableError](err); unreachable {
			a.note("Name the jobmanager with -m host:port, or wait longer for it with --timeout.")
		}
		return
	}
	printed := envelope{Command: command, Error: &failure{ExitCode: exitCode(err), Message: err.Error(), Problems: problemsOf(err)}}
	if some, ok := errors.AsType[*resultError](err); ok {
		printed.Result = some.result
	}
	a.print(printed)
}

// report prints the result of a command that was done: as JSON, or as text for people.
func (a *app) report(command string, result any, text func()) {
	if a.json {
		a.print(envelope{Command: command, OK: true, Result: result})
		return
	}
	text()
}

func (a *app) print(e envelope) {
	encoder := json.NewEncoder(a.Out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(e) // nobody is left to tell
}

// note writes a line for people beside the result.
func (a *app) note(format string, args ...any) { fmt.Fprintf(a.Err, format+"\n", args...) }
