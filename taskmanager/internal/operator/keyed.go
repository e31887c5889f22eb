package operator

import (
	"context"

	"pencere/pkg/checkpoint"
	"pencere/pkg/eventtime"
	"pencere/pkg/expr"
	"pencere/pkg/plan"
	"pencere/pkg/rowkey"
	"pencere/pkg/window"
	"pencere/taskmanager/internal/exchange"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// windowConfig is what the subtasks on both sides of a keyed edge agree on.
func windowConfig(p *plan.Program, alloc memory.Allocator) window.Config {
	c := p.WindowConfig()
	c.Alloc = alloc
	return c
}

// Keyed sends rows to the subtask that owns their key group.
type Keyed struct {
	program  *plan.Program
	schema   *arrow.Schema
	codec    *rowkey.Codec
	args     []*expr.Evaluator
	senders  []exchange.Sender // by downstream subtask
	counters *Counters
	alloc    memory.Allocator

	keys   rowkey.Keys
	hashes []uint64
	signed []int64
	parts  [][]int32 // rows by downstream subtask
}

// NewKeyed returns the output that spreads rows over senders, one for each downstream subtask.
func NewKeyed(p *plan.Program, senders []exchange.Sender, counters *Counters, alloc memory.Allocator) *Keyed {
	config := windowConfig(p, alloc)
	k := &Keyed{
		program: p, schema: config.Input().Arrow(), codec: rowkey.New(config.Keys), senders: senders,
		counters: counters, alloc: alloc, parts: make([][]int32, len(senders)),
	}
	for _, a := range p.Window.Aggregates {
		if a.Arg != nil {
			k.args = append(k.args, a.Arg.NewEvaluator())
		}
	}
	return k
}

// Rows implements Output.
func (k *Keyed) Rows(ctx context.Context, rows Rows) error {
	batch, err := k.edgeBatch(rows)
	rows.Batch.Release()
	if err != nil {
		return err
	}
	k.counters.RecordsOut.Add(batch.NumRows())
	k.counters.BytesOut.Add(bufferBytes(batch))
	if len(k.senders) == 1 {
		return k.senders[0].Send(ctx, exchange.Element{Kind: exchange.Batch, Batch: batch, Split: rows.Origin.Split})
	}
	defer batch.Release()
	return k.spread(ctx, batch, rows.Origin.Split)
}

// edgeBatch makes the batch that travels; its columns are shared with the rows' batch where they are the same.
func (k *Keyed) edgeBatch(rows Rows) (arrow.RecordBatch, error) {
	var columns []arrow.Array
	for _, key := range k.program.Window.Keys {
		column := rows.Batch.Column(key)
		column.Retain()
		columns = append(columns, column)
	}
	for i, arg := range k.args {
		column, err := arg.Eval(rows.Batch, k.alloc)
		if err != nil {
			for _, c := range columns {
				c.Release()
			}
			return nil, rows.Origin.rowError(k.program.Job.Window.Aggregates[i].Name, err)
		}
		columns = append(columns, column)
	}
	k.codec.Encode(&k.keys, rows.Batch, k.program.Window.Keys)
	k.hashes = k.keys.Hashes(k.hashes[:0])
	k.signed = k.signed[:0]
	for _, hash := range k.hashes {
		k.signed = append(k.signed, int64(hash))
	}
	columns = append(columns, int64Array(rows.Starts, k.alloc), int64Array(k.signed, k.alloc))
	return newBatch(k.schema, columns, int(rows.Batch.NumRows())), nil
}

// spread cuts the batch by the subtask that owns each row's key group.
func (k *Keyed) spread(ctx context.Context, batch arrow.RecordBatch, split int32) error {
	for i := range k.parts {
		k.parts[i] = k.parts[i][:0]
	}
	for row, hash := range k.hashes {
		group := rowkey.KeyGroup(hash, k.program.Job.MaxParallelism)
		to := rowkey.Subtask(group, len(k.senders), k.program.Job.MaxParallelism)
		k.parts[to] = append(k.parts[to], int32(row))
	}
	for to, part := range k.parts {
		if len(part) == 0 {
			continue
		}
		e := exchange.Element{Kind: exchange.Batch, Batch: takeBatch(batch, part, k.alloc), Split: split}
		if err := k.senders[to].Send(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// Watermark implements Output.
func (k *Keyed) Watermark(ctx context.Context, w eventtime.Watermark) error {
	k.counters.OutputWatermark.Store(int64(w))
	return k.broadcast(ctx, exchange.Element{Kind: exchange.Watermark, Watermark: w})
}

// Idle implements Output.
func (k *Keyed) Idle(ctx context.Context) error {
	return k.broadcast(ctx, exchange.Element{Kind: exchange.Idle})
}

// Barrier implements Output.
func (k *Keyed) Barrier(ctx context.Context, id checkpoint.ID, stops bool) error {
	return k.broadcast(ctx, exchange.Element{Kind: exchange.Barrier, Checkpoint: id, Stops: stops})
}

// End implements Output.
func (k *Keyed) End(ctx context.Context) error {
	return k.broadcast(ctx, exchange.Element{Kind: exchange.EndOfInput})
}

func (k *Keyed) broadcast(ctx context.Context, e exchange.Element) error {
	for _, sender := range k.senders {
		if err := sender.Send(ctx, e); err != nil {
			return err
		}
	}
	return nil
}
