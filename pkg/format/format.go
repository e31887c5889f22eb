// Package format holds what the formats of rows have in common.
package format

import "fmt"

// RowError says which row of a batch cannot be written in a format, and why.
type RowError struct {
	Row    int    // in the batch, from 0
	Column string // "" when it is the row as a whole
	Err    error
}

func (e *RowError) Error() string {
	if e.Column == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("column %s: %v", e.Column, e.Err)
}

// Unwrap returns the reason.
func (e *RowError) Unwrap() error { return e.Err }
