// Package partfile writes the rows of one subtask as part files, and publishes them exactly once.
//
// It follows Flink's FileSink (https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/connectors/datastream/filesystem/):
// a file is in progress, under a hidden name, while rows are added; Prepare, at a checkpoint's barrier, completes it and
// makes it durable; Commit, once the checkpoint is committed, renames it. The rename is the commit of the data: it is
// atomic, and Commit may be repeated by anybody. A crash at any point leaves hidden files, never a part of a file.
package partfile

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"pencere/pkg/failpoint"
)

// DefaultRollSize is the size in bytes at which Flink's filesystem sink rolls.
const DefaultRollSize = 128 << 20

// bufferSize is how many bytes are gathered before they are written.
const bufferSize = 256 << 10

// errClosed is what a writer's methods fail with after Close.
var errClosed = errors.New("part file writer is closed")

// Encoder turns rows into bytes.
type Encoder interface {
	// AppendUntil appends the row of batch at index row to dst, and further ones until dst has limit bytes or the
	// batch ends, and returns the index of the next row. On error dst ends with the row before that one.
	AppendUntil(dst []byte, batch arrow.RecordBatch, row, limit int) (_ []byte, next int, err error)
}

// Config says where a writer's files are, how they are called, and when they roll.
type Config struct {
	Dir       string // made if missing
	Job       string // short id of the job, part of each name
	Subtask   int    // index of the subtask, from 0
	Attempt   int    // of the subtask; part of hidden names, so that attempts do not meet
	Extension string // of finished files, with its dot: ".csv"
	// RollSize is the size in bytes from which a file takes no more rows; DefaultRollSize when 0. A row is never
	// split over files.
	RollSize int64
	// RollInterval is the age from which a file takes no more rows; there is no such age when 0.
	RollInterval time.Duration
	// Next is the least number for a new file: Writer.Next of the checkpoint that is restored. Numbers also go on
	// after those of the files in Dir.
	Next int64
}

// Writer writes part files. It is for one goroutine. After an error other than Commit's it only returns that error,
// and must be closed: what a failed write or sync left on disk is unknown, so no checkpoint may hold it.
type Writer struct {
	dir     string
	encoder Encoder
	files   filesystem

	lifecycle   lifecycle
	current     file      // in progress, or nil
	buffer      []byte    // rows that current still lacks
	digest      hash.Hash // of what is in current
	dirUnsynced bool      // a file was created since dir was made durable
	failed      error
}

// New returns a writer; it makes the directory, but no file before there is a row. Errors name the path and the remedy.
func New(config Config, encoder Encoder) (*Writer, error) {
	return open(config, encoder, osFilesystem{})
}

func open(config Config, encoder Encoder, files filesystem) (*Writer, error) {
	if config.Job == "" || strings.ContainsAny(config.Job, "/\\\x00") {
		return nil, fmt.Errorf("job id %q cannot be part of a file's name", config.Job)
	}
	if err := files.MakeDir(config.Dir); err != nil {
		return nil, explain("open sink directory", config.Dir, err)
	}
	listed, err := files.List(config.Dir)
	if err != nil {
		return nil, explain("open sink directory", config.Dir, err)
	}
	w := &Writer{dir: config.Dir, encoder: encoder, files: files, digest: sha256.New(), lifecycle: lifecycle{
		names:        names{config.Job, config.Subtask, config.Attempt, config.Extension},
		rollSize:     config.RollSize,
		rollInterval: config.RollInterval,
		next:         config.Next,
	}}
	if w.lifecycle.rollSize == 0 {
		w.lifecycle.rollSize = DefaultRollSize
	}
	w.lifecycle.seen(listed)
	if err := w.probe(); err != nil {
		return nil, explain("open sink directory", config.Dir, err)
	}
	return w, nil
}

// probe makes sure that the directory takes files: better to hear of it now than at the first window. Its file has a hidden name of this
// attempt, so that the next one removes what a crash leaves of it.
func (w *Writer) probe() error {
	path := filepath.Join(w.dir, w.lifecycle.nextHidden())
	created, err := w.files.Create(path)
	if err != nil {
		return err
	}
	if err := errors.Join(created.Close(), w.files.Remove(path)); err != nil {
		return err
	}
	return w.files.SyncDir(w.dir)
}

// InWindow says that the rows of the next calls of Write are of the window from start to end, in ms.
func (w *Writer) InWindow(start, end int64) {
	w.lifecycle.windowStart, w.lifecycle.windowEnd = start, end
}

// Write adds the rows of batch. An error of the encoder, such as *format.RowError, is returned as it is.
func (w *Writer) Write(batch arrow.RecordBatch) error {
	for row, rows := 0, int(batch.NumRows()); row < rows && w.failed == nil; {
		row = w.append(batch, row)
	}
	return w.failed
}

// append adds rows up to where the file is full or the buffer must be written, and returns the next one.
func (w *Writer) append(batch arrow.RecordBatch, row int) (next int) {
	if w.current == nil && !w.create() {
		return row
	}
	before := len(w.buffer)
	limit := min(bufferSize, int64(before)+w.lifecycle.room())
	w.buffer, next, w.failed = w.encoder.AppendUntil(w.buffer, batch, row, int(limit))
	w.lifecycle.grew(next-row, len(w.buffer)-before, time.Now())
	switch {
	case w.failed != nil:
	case w.lifecycle.isFull():
		w.roll()
	case len(w.buffer) >= bufferSize:
		w.flush()
	}
	return next
}

func (w *Writer) create() bool {
	created, err := w.files.Create(filepath.Join(w.dir, w.lifecycle.nextHidden()))
	if err != nil {
		return w.fail("create part file", err)
	}
	w.lifecycle.opened(time.Now())
	w.digest.Reset()
	w.current, w.dirUnsynced = created, true
	return true
}

func (w *Writer) flush() bool {
	if len(w.buffer) > 0 {
		if _, err := w.current.Write(w.buffer); err != nil {
			return w.fail("write part file", err)
		}
		w.digest.Write(w.buffer)
		w.buffer = w.buffer[:0]
	}
	return true
}

// roll completes the current file and makes it durable.
func (w *Writer) roll() bool {
	if !w.flush() {
		return false
	}
	failpoint.Hit(failpoint.BeforeFileSync)
	if err := w.current.Sync(); err != nil {
		return w.fail("sync part file", err)
	}
	failpoint.Hit(failpoint.AfterFileSync)
	if err := w.current.Close(); err != nil {
		return w.fail("close part file", err)
	}
	w.current = nil
	w.lifecycle.closed([sha256.Size]byte(w.digest.Sum(nil)), time.Now())
	return true
}

func (w *Writer) fail(action string, err error) bool {
	w.failed = explain(action, w.dir, err)
	return false
}

// Tick rolls the current file if it has reached its age at the time now. It is to be called every now and then.
func (w *Writer) Tick(now time.Time) error {
	if w.failed == nil && w.lifecycle.isAged(now) {
		w.roll()
	}
	return w.failed
}

// Prepare completes the current file, makes all complete files durable, and returns those that are not published yet,
// for the state of a checkpoint: also the files of earlier calls, whose checkpoints may have failed.
func (w *Writer) Prepare() ([]Pending, error) {
	if w.failed != nil || w.current != nil && !w.roll() {
		return nil, w.failed
	}
	if w.dirUnsynced {
		if err := w.files.SyncDir(w.dir); err != nil {
			w.fail("sync sink directory", err)
			return nil, w.failed
		}
		w.dirUnsynced = false
		failpoint.Hit(failpoint.AfterDirSync)
	}
	return w.lifecycle.prepare(), nil
}

// Commit publishes files that Prepare returned, after the checkpoint that holds them is committed. It works as the package's Commit, but
// leaves those alone that it has published before, for an earlier checkpoint: somebody may have moved them away since.
func (w *Writer) Commit(pending []Pending) error {
	pending = w.lifecycle.unpublished(pending)
	if err := commit(w.files, w.dir, pending); err != nil {
		return err
	}
	w.lifecycle.published(pending, time.Now())
	return nil
}

// Files returns the files of this writer, oldest first; of the finished ones the last 1000.
func (w *Writer) Files() []File { return w.lifecycle.files() }

// Next returns the number of the next file, for the state of a checkpoint: it keeps numbers from being used again when
// finished files are taken from the directory.
func (w *Writer) Next() int64 { return w.lifecycle.next }

// Close ends the writer without publishing. It removes the files that no checkpoint can hold: those that Prepare has
// not returned. It may be called more than once.
func (w *Writer) Close() error {
	if errors.Is(w.failed, errClosed) {
		return nil
	}
	w.failed = errClosed
	var problems []error
	if w.current != nil {
		problems = append(problems, w.current.Close())
		w.current = nil
	}
	for _, hidden := range w.lifecycle.abandon() {
		if err := w.files.Remove(filepath.Join(w.dir, hidden)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, err)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return explain("close part file", w.dir, err)
	}
	return nil
}
