package exchange

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	exchangev1 "pencere/pkg/gen/pencere/exchange/v1"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// encoder turns batches of one schema into Arrow IPC messages.
type encoder struct {
	alloc memory.Allocator
	body  bytes.Buffer
}

// schema returns the message that must precede the first batch.
func (c *encoder) schema(s *arrow.Schema) (*exchangev1.Message, error) {
	payload := ipc.GetSchemaPayload(s, c.alloc)
	return c.message(&payload)
}

func (c *encoder) batch(b arrow.RecordBatch) (*exchangev1.Message, error) {
	payload, err := ipc.GetRecordBatchPayload(b, ipc.WithAllocator(c.alloc))
	if err != nil {
		return nil, fmt.Errorf("encode batch: %w", err)
	}
	return c.message(&payload)
}

// message copies a payload; the message is valid until the next call.
func (c *encoder) message(p *ipc.Payload) (*exchangev1.Message, error) {
	defer p.Release()
	c.body.Reset()
	if err := p.SerializeBody(&c.body); err != nil {
		return nil, fmt.Errorf("encode batch: %w", err)
	}
	m := &exchangev1.Message{Metadata: bytes.Clone(p.Meta().Bytes()), Body: c.body.Bytes()}
	m.Crc32C = checksum(m)
	return m, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(m *exchangev1.Message) uint32 {
	return crc32.Update(crc32.Checksum(m.GetMetadata(), castagnoli), castagnoli, m.GetBody())
}

// decoder turns the messages of one edge back into batches. One that was damaged on its way is an error.
type decoder struct {
	reader *ipc.Reader
	source messageSource
}

// messageSource hands the ipc.Reader one message at a time.
type messageSource struct{ message *exchangev1.Message }

func (s *messageSource) Message() (*ipc.Message, error) {
	if s.message == nil {
		return nil, io.EOF
	}
	m := s.message
	s.message = nil
	return ipc.NewMessage(memory.NewBufferBytes(m.GetMetadata()), memory.NewBufferBytes(m.GetBody())), nil
}

func (*messageSource) Retain()  {}
func (*messageSource) Release() {}

var (
	errNoSchema  = errors.New("batch before its schema")
	errTwoSchema = errors.New("second schema")
	errDamaged   = errors.New("message was damaged on its way: its checksum differs")
)

func (c *decoder) schema(m *exchangev1.Message) (err error) {
	defer recovered("decode schema", &err)
	if c.reader != nil {
		return errTwoSchema
	}
	if checksum(m) != m.GetCrc32C() {
		return fmt.Errorf("decode schema: %w", errDamaged)
	}
	c.source.message = m
	c.reader, err = ipc.NewReaderFromMessageReader(&c.source)
	if err != nil {
		return fmt.Errorf("decode schema: %w", err)
	}
	return nil
}

func (c *decoder) batch(m *exchangev1.Message) (b arrow.RecordBatch, err error) {
	defer recovered("decode batch", &err)
	if c.reader == nil {
		return nil, errNoSchema
	}
	if checksum(m) != m.GetCrc32C() {
		return nil, fmt.Errorf("decode batch: %w", errDamaged)
	}
	c.source.message = m
	b, err = c.reader.Read()
	if err != nil {
		return nil, fmt.Errorf("decode batch: %w", err)
	}
	b.Retain()
	return b, nil
}

// recovered turns a panic of the flatbuffers code, which trusts a peer of another version too, into an error.
func recovered(what string, err *error) { //nolint:gocritic // a deferred call sets its caller's result
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s: malformed message: %v", what, p)
	}
}
