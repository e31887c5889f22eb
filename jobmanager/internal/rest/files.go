package rest

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"unicode/utf8"

	"pencere/jobmanager/internal/jobmaster"
	"pencere/jobmanager/internal/view"
	"pencere/pkg/plan"
)

func (s *server) spec(w http.ResponseWriter, r *http.Request) {
	j, err := s.job(r)
	if err != nil {
		fail(w, err)
		return
	}
	writeText(w, http.StatusOK, "text/plain; charset=utf-8", []byte(j.Spec))
}

type partFile struct {
	Name             string         `json:"name"`
	VertexID         string         `json:"vertex-id"`
	Subtask          int            `json:"subtask"`
	State            view.FileState `json:"state"`
	Rows             int64          `json:"rows"`
	Bytes            int64          `json:"bytes"`
	LastModification int64          `json:"last-modification"`
}

func (s *server) files(r *http.Request) (any, error) {
	dir, files, err := s.filesOf(r)
	if err != nil {
		return nil, err
	}
	shown := make([]partFile, len(files))
	for i, f := range files {
		shown[i] = partFile{f.Name, f.VertexID, f.Subtask, f.State, f.Rows, f.Bytes, f.Modified}
	}
	return map[string]any{"path": dir, "files": shown}, nil
}

func (s *server) filesOf(r *http.Request) (dir string, files []view.File, err error) {
	id, err := hexID(r, "jobid")
	if err != nil {
		return "", nil, err
	}
	dir, files, err = s.Cluster.Files(id)
	if errors.Is(err, jobmaster.ErrNoJob) {
		return "", nil, notFound("Job %s not found", id)
	}
	return dir, files, err
}

// The bounds of a preview. One that reaches the last of them ends with its last whole row.
const (
	defaultPreviewRows = 20
	maxPreviewRows     = 1000
	maxPreviewBytes    = 256 << 10
)

// filePreview gives the first rows of a finished part file, when the jobmanager can read it. Only names that the job
// has are opened, and none leads out of its directory.
func (s *server) filePreview(w http.ResponseWriter, r *http.Request) {
	text, err := s.preview(r)
	if err != nil {
		fail(w, err)
		return
	}
	writeText(w, http.StatusOK, "text/plain; charset=utf-8", text)
}

func (s *server) preview(r *http.Request) ([]byte, error) {
	rows, err := previewRows(r)
	if err != nil {
		return nil, err
	}
	job, err := s.job(r)
	if err != nil {
		return nil, err
	}
	dir, files, err := s.filesOf(r)
	if err != nil {
		return nil, err
	}
	name := r.PathValue("name")
	i := slices.IndexFunc(files, func(f view.File) bool { return f.Name == name })
	switch {
	case i < 0:
		return nil, notFound("part file %s: the job has no such file", name)
	case files[i].State != view.FileFinished:
		return nil, notFound("part file %s: it is %s; it can be read when it is finished", name, files[i].State)
	}
	text, err := readStart(dir, name)
	if err != nil {
		return nil, notFound("part file %s: not readable on the jobmanager's machine (it is on that of its taskmanager)", name)
	}
	return firstRows(text, rows, quoteOf(job.Plan.Sink)), nil
}

func previewRows(r *http.Request) (int, error) {
	value := r.URL.Query().Get("rows")
	if value == "" {
		return defaultPreviewRows, nil
	}
	rows, err := strconv.Atoi(value)
	if err != nil || rows < 1 {
		return 0, badParameter("query", "rows", value)
	}
	return min(rows, maxPreviewRows), nil
}

// readStart reads the first bytes of a file in dir. It opens nothing that could block, such as a named pipe.
func readStart(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, os.ErrInvalid
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxPreviewBytes))
}

// quoteOf is the character between which a field of the sink may hold a line's end; utf8.RuneError when there is none.
func quoteOf(sink plan.Sink) rune {
	if sink.CSV == nil || sink.CSV.Options["disable-quote-character"] == "true" {
		return utf8.RuneError
	}
	quote, _ := utf8.DecodeRuneInString(cmp.Or(sink.CSV.Options["quote-character"], `"`))
	return quote
}

// firstRows cuts text after so many rows, or after its last whole one when it was cut short. What has no end of a row
// at all stays whole.
func firstRows(text []byte, rows int, quote rune) []byte {
	end, quoted := 0, false
	for i, c := range string(text) {
		switch {
		case c == quote && quote != utf8.RuneError:
			quoted = !quoted
		case c == '\n' && !quoted:
			end = i + 1
			rows--
			if rows == 0 {
				return text[:end]
			}
		}
	}
	if end > 0 && len(text) == maxPreviewBytes {
		return text[:end]
	}
	return text
}

type splitInfo struct {
	Topic         string          `json:"topic"`
	Partition     int32           `json:"partition"`
	Subtask       int             `json:"subtask"`
	CurrentOffset int64           `json:"current-offset"`
	EndOffset     int64           `json:"end-offset"`
	Lag           int64           `json:"lag"`
	Watermark     int64           `json:"watermark"`
	Idle          bool            `json:"idle"`
	State         view.SplitState `json:"state"`
	Reason        string          `json:"reason"`
}

func (s *server) splits(r *http.Request) (any, error) {
	j, err := s.job(r)
	if err != nil {
		return nil, err
	}
	splits := []splitInfo{}
	for _, v := range j.Vertices {
		for _, sub := range v.Subtasks {
			for _, split := range sub.Splits {
				splits = append(splits, splitInfo{
					split.Topic, split.Partition, sub.Index, split.Offset, split.EndOffset, lag(split),
					int64(split.Watermark), split.Idle, split.State, split.Reason})
			}
		}
	}
	slices.SortFunc(splits, func(a, b splitInfo) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return map[string]any{"splits": splits}, nil
}
