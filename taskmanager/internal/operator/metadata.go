package operator

import (
	"encoding/base64"
	"slices"
	"strings"

	"pencere/pkg/format/json"
	"pencere/pkg/plan"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/twmb/franz-go/pkg/kgo"
)

// metadata collects the columns that come from beside the records' values; see plan.MetadataColumn.
type metadata struct {
	schema  *arrow.Schema // of rows with these columns behind the decoded ones
	columns []metadataColumn
	scratch []byte
}

type metadataColumn struct {
	builder array.Builder
	add     func(r *kgo.Record)
}

func newMetadata(p *plan.Program, alloc memory.Allocator) *metadata {
	m := &metadata{schema: p.Source.Arrow()}
	for _, column := range p.Job.Source.Metadata {
		m.columns = append(m.columns, m.column(column.Key, alloc))
	}
	return m
}

// append adds the metadata of the record that has become the decoder's latest row.
func (m *metadata) append(r *kgo.Record) {
	for i := range m.columns {
		m.columns[i].add(r)
	}
}

// size returns the bytes that a record has beside its value, none if nothing of them is kept.
func (m *metadata) size(r *kgo.Record) int {
	if len(m.columns) == 0 {
		return 0
	}
	size := len(r.Key)
	for _, h := range r.Headers {
		size += len(h.Key) + len(h.Value)
	}
	return size
}

// with appends the columns to the decoded ones, which it takes over.
func (m *metadata) with(batch arrow.RecordBatch) arrow.RecordBatch {
	if len(m.columns) == 0 {
		return batch
	}
	columns := slices.Clone(batch.Columns())
	for _, c := range m.columns {
		columns = append(columns, c.builder.NewArray())
	}
	longer := array.NewRecordBatch(m.schema, columns, batch.NumRows())
	for _, column := range columns[batch.NumCols():] {
		column.Release()
	}
	batch.Release()
	return longer
}

// release gives back the memory of rows that no batch has taken.
func (m *metadata) release() {
	for _, c := range m.columns {
		c.builder.Release()
	}
}

// timestampTypes are Kafka's names of what a timestamp means, by its number (org.apache.kafka.common.record.TimestampType).
var timestampTypes = map[int8]string{-1: "NoTimestampType", 0: "CreateTime", 1: "LogAppendTime"}

// column returns the column of a metadata key, which the plan has checked.
func (m *metadata) column(key string, alloc memory.Allocator) metadataColumn {
	if name, ok := strings.CutPrefix(key, plan.HeaderKey); ok {
		return bytesColumn(alloc, func(r *kgo.Record) []byte { return header(r, name) })
	}
	switch key {
	case "topic":
		return textColumn(alloc, func(b *array.StringBuilder, r *kgo.Record) { b.Append(r.Topic) })
	case "timestamp-type":
		return textColumn(alloc, func(b *array.StringBuilder, r *kgo.Record) { b.Append(timestampTypes[r.Attrs.TimestampType()]) })
	case "headers":
		return textColumn(alloc, func(b *array.StringBuilder, r *kgo.Record) {
			m.scratch = appendHeaders(m.scratch[:0], r.Headers)
			b.BinaryBuilder.Append(m.scratch)
		})
	case "key":
		return bytesColumn(alloc, func(r *kgo.Record) []byte { return r.Key })
	case "partition":
		b := array.NewInt32Builder(alloc)
		return metadataColumn{b, func(r *kgo.Record) { b.Append(r.Partition) }}
	case "leader-epoch":
		b := array.NewInt32Builder(alloc)
		return metadataColumn{b, func(r *kgo.Record) {
			if r.LeaderEpoch < 0 {
				b.AppendNull()
			} else {
				b.Append(r.LeaderEpoch)
			}
		}}
	case "offset":
		b := array.NewInt64Builder(alloc)
		return metadataColumn{b, func(r *kgo.Record) { b.Append(r.Offset) }}
	default: // timestamp
		b := array.NewDecimal128Builder(alloc, sqltype.TimestampLTZType(3).Arrow().(*arrow.Decimal128Type))
		return metadataColumn{b, func(r *kgo.Record) { b.Append(sqltype.TimestampValue(r.Timestamp.UnixMilli(), 0)) }}
	}
}

func textColumn(alloc memory.Allocator, add func(*array.StringBuilder, *kgo.Record)) metadataColumn {
	b := array.NewStringBuilder(alloc)
	return metadataColumn{b, func(r *kgo.Record) { add(b, r) }}
}

// bytesColumn makes a column of type BYTES; nil is NULL.
func bytesColumn(alloc memory.Allocator, of func(*kgo.Record) []byte) metadataColumn {
	b := array.NewBinaryBuilder(alloc, arrow.BinaryTypes.Binary)
	return metadataColumn{b, func(r *kgo.Record) {
		if value := of(r); value != nil {
			b.Append(value)
		} else {
			b.AppendNull()
		}
	}}
}

// header returns the value of the last header of that name, which is the one that Flink's map of headers keeps; nil without one.
func header(r *kgo.Record, name string) []byte {
	for _, h := range slices.Backward(r.Headers) {
		if h.Key == name {
			return h.Value
		}
	}
	return nil
}

// appendHeaders appends headers as a JSON object, their values in base64.
func appendHeaders(dst []byte, headers []kgo.RecordHeader) []byte {
	dst = append(dst, '{')
	last := make(map[string]int, len(headers))
	for i, h := range headers {
		last[h.Key] = i
	}
	for i, h := range headers {
		if last[h.Key] != i {
			continue // Flink's map keeps the last one of a name
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(json.AppendText(dst, h.Key), ':')
		if h.Value == nil {
			dst = append(dst, "null"...)
			continue
		}
		dst = append(base64.StdEncoding.AppendEncode(append(dst, '"'), h.Value), '"')
	}
	return append(dst, '}')
}
