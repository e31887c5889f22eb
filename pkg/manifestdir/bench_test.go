package manifestdir

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pencere/pkg/manifest"
)

// BenchmarkVerify proves 16 files of 16 MB of rows like those of the reference job, from the page cache; its floor is to
// hash as many bytes in memory on one core.
func BenchmarkVerify(b *testing.B) {
	dir := b.TempDir()
	row := []byte("7,Televizyon,\"ikinci el LG OLED TV\",18000,0.18,21240.0,\"2025-03-04 11:54:00\"\n")
	content := bytes.Repeat(row, 16<<20/len(row))
	var files []manifest.File
	for n := range 16 {
		name := fmt.Sprintf("part-a-0-%d.csv", n)
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			b.Fatal(err)
		}
		files = append(files, manifest.File{
			Name: name, SHA256: manifest.Sum(content), Rows: int64(len(content) / len(row)), Bytes: int64(len(content)), Quote: `"`})
	}
	checkpoint := manifest.Checkpoint{ID: 1, Job: "a"}
	head, entries, err := manifest.Chain(manifest.Head{}, checkpoint, files)
	if err != nil {
		b.Fatal(err)
	}
	_, end, err := manifest.End(head, checkpoint)
	if err != nil {
		b.Fatal(err)
	}
	if err := Write(dir, append(entries, end)...); err != nil {
		b.Fatal(err)
	}
	b.Run("floor", func(b *testing.B) {
		b.SetBytes(int64(len(files) * len(content)))
		for b.Loop() {
			for range files {
				manifest.Sum(content)
			}
		}
	})
	b.Run("verify", func(b *testing.B) {
		b.SetBytes(int64(len(files) * len(content)))
		b.ReportAllocs()
		for b.Loop() {
			if report, err := Verify(os.DirFS(dir)); err != nil || !report.Proved() {
				b.Fatal(report, err)
			}
		}
	})
}
