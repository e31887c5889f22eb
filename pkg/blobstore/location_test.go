package blobstore_test

import (
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"pencere/pkg/blobstore"
	"pencere/pkg/checkpoint"
)

func TestLocations(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"/var/savepoints":                      "file:/var/savepoints/s",
		"/with space":                          "file:/with%20space/s",
		"relative":                             "file:" + here + "/relative/s",
		"file:/var/savepoints/":                "file:/var/savepoints/s",
		"file:///var/savepoints":               "file:/var/savepoints/s",
		"s3://bucket":                          "s3://bucket/s",
		"s3://bucket/a/b/?region=eu-central-1": "s3://bucket/a/b/s?region=eu-central-1",
	} {
		l, err := blobstore.Locate(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		joined := l.Join("s")
		if joined.String() != want {
			t.Errorf("%s: %s, want %s", text, joined, want)
		}
		again, err := blobstore.Locate(joined.String())
		if err != nil || again.String() != want {
			t.Errorf("%s is read as %s, %v", want, again, err)
		}
		if trimmed := joined.Join("_metadata").Trim("_metadata"); trimmed.String() != want {
			t.Errorf("%s: trimmed to %s", want, trimmed)
		}
	}
	for _, text := range []string{"", "file:relative", "file://host/dir", "s3:///key", "s3://%zz"} {
		if l, err := blobstore.Locate(text); err == nil {
			t.Errorf("%q is taken for %s", text, l)
		}
	}
}

func TestOpenMissing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there")
	l, err := blobstore.Locate(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Open(t.Context(), false); err == nil {
		t.Error("a directory that is not there was opened")
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it was made: %v", err)
	}
}

// A blob is copied whole or not at all.
func TestCopy(t *testing.T) {
	l, err := blobstore.Locate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	from, err := l.Join("from").Open(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := l.Join("to").Open(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	data := []byte("open windows")
	if err := from.WriteAll(t.Context(), "job/chk-1/w-0-0", data); err != nil {
		t.Fatal(err)
	}
	source := checkpoint.Blob{Key: "job/chk-1/w-0-0", Size: int64(len(data)), CRC32C: crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))}
	if err := blobstore.Copy(t.Context(), from, source, to, "w-0-0"); err != nil {
		t.Fatal(err)
	}
	if got, err := to.ReadAll(t.Context(), "w-0-0"); err != nil || string(got) != string(data) {
		t.Errorf("copied %q, %v", got, err)
	}
	damaged := source
	damaged.CRC32C++
	if err := blobstore.Copy(t.Context(), from, damaged, to, "damaged"); !errors.Is(err, blobstore.ErrDiffers) {
		t.Errorf("another checksum: %v", err)
	}
	if _, err := to.ReadAll(t.Context(), "damaged"); !blobstore.IsMissing(err) {
		t.Errorf("a damaged copy is there: %v", err)
	}
	source.Key = "gone"
	if err := blobstore.Copy(t.Context(), from, source, to, "gone"); !blobstore.IsMissing(err) {
		t.Errorf("a blob that is not there: %v", err)
	}
}
