package operator

import (
	"fmt"

	"pencere/pkg/format/json"
	"pencere/pkg/format/raw"
	"pencere/pkg/plan"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// decoder makes rows of records' values; see json.Decoder.
type decoder interface {
	Append(value []byte) (json.Outcome, error)
	Len() int
	Stats() json.Stats
	NewBatch() arrow.RecordBatch
	Release()
}

// onError are the decoder's modes. With dead letters the decoder must say what is wrong, as it does when it fails.
var onError = map[plan.OnError]json.OnError{
	plan.OnErrorFail: json.Fail, plan.OnErrorIgnore: json.Ignore, plan.OnErrorSkip: json.Skip, plan.OnErrorDeadLetter: json.Fail,
}

// newDecoder returns the decoder of a source's format.
func newDecoder(p *plan.Program, alloc memory.Allocator) (decoder, error) {
	source := p.Job.Source
	if source.Format == plan.FormatRaw {
		return rawDecoder{raw.NewDecoder(p.Decoded[0].Name, alloc)}, nil
	}
	options, err := json.ParseOptions(source.FormatOptions)
	if err != nil {
		return nil, fmt.Errorf("json options: %w", err)
	}
	options.OnError = onError[source.OnError]
	if source.Document {
		d, err := json.NewDocumentDecoder(p.Decoded[0].Name, options.OnError, alloc)
		if err != nil {
			return nil, fmt.Errorf("json decoder: %w", err)
		}
		return d, nil
	}
	d, err := json.NewDecoder(p.Decoded, options, alloc)
	if err != nil {
		return nil, fmt.Errorf("json decoder: %w", err)
	}
	return d, nil
}

// rawDecoder is a decoder for which no value is bad.
type rawDecoder struct{ *raw.Decoder }

// Append implements decoder.
func (d rawDecoder) Append(value []byte) (json.Outcome, error) {
	if !d.Decoder.Append(value) {
		return json.Dropped, json.ErrBatchFull
	}
	return json.Appended, nil
}

// Stats implements decoder: there is nothing to count.
func (rawDecoder) Stats() json.Stats { return json.Stats{} }
