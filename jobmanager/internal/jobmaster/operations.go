package jobmaster

import (
	"errors"
	"sync"
	"time"

	"pencere/pkg/checkpoint"
)

// operationsKept is how long what came of an operation is known after its end, Flink's rest.async.store-duration.
const operationsKept = 5 * time.Minute

// ErrNoOperation is returned for an operation that was never asked for, or ended too long ago.
var ErrNoOperation = errors.New("no such operation")

// OperationKind says what an operation does.
type OperationKind uint8

// The kinds of operations.
const (
	OperationSavepoint OperationKind = iota + 1 // with or without a stop
	OperationCheckpoint
	OperationDisposal
)

// OperationKey names an operation. Asking for one again that is known does nothing.
type OperationKey struct {
	Kind    OperationKind
	JobID   string // "" for a disposal
	Trigger string // chosen by the one who asks: 32 hexadecimal digits
}

// Operation is how far something has come that takes its time.
type Operation struct {
	Done         bool
	Err          error         // why it failed
	CheckpointID checkpoint.ID // of the checkpoint that was made
	Location     string        // of the savepoint that was made
}

// operations remembers operations. It is safe for concurrent use.
type operations struct {
	now func() time.Time

	mu  sync.Mutex
	all map[OperationKey]*keptOperation
}

type keptOperation struct {
	Operation
	ended time.Time
}

func newOperations(now func() time.Time) *operations {
	return &operations{now: now, all: make(map[OperationKey]*keptOperation)}
}

// begin notes an operation. It is false for one that is known.
func (o *operations) begin(key OperationKey) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for k, op := range o.all {
		if op.Done && o.now().Sub(op.ended) >= operationsKept {
			delete(o.all, k)
		}
	}
	if o.all[key] != nil {
		return false
	}
	o.all[key] = &keptOperation{}
	return true
}

// forget drops an operation that did not begin after all.
func (o *operations) forget(key OperationKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.all, key)
}

func (o *operations) end(key OperationKey, result Operation) {
	result.Done = true
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all[key] = &keptOperation{Operation: result, ended: o.now()}
}

func (o *operations) get(key OperationKey) (Operation, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	op := o.all[key]
	if op == nil || op.Done && o.now().Sub(op.ended) >= operationsKept {
		return Operation{}, ErrNoOperation
	}
	return op.Operation, nil
}
