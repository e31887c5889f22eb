package blobstore_test

import (
	"context"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"pencere/pkg/blobstore"
	"pencere/pkg/checkpoint"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

const accessKey = "AKIAPENCERE"

// objectStore is a server that speaks S3 and lets nobody in but those who sign with the access key. It has one bucket.
func objectStore(t *testing.T) (query string) {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("states"); err != nil {
		t.Fatal(err)
	}
	s3 := gofakes3.New(backend).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "Credential="+accessKey+"/") {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`<Error><Code>InvalidAccessKeyId</Code><Message>unknown key</Message></Error>`))
			return
		}
		s3.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	return url.Values{"endpoint": {server.URL}, "region": {"eu-central-1"}, "use_path_style": {"true"}}.Encode()
}

// State is kept on S3 with the credentials of the environment, and removed from it.
func TestObjectStore(t *testing.T) {
	query := objectStore(t)
	t.Setenv("AWS_ACCESS_KEY_ID", accessKey)
	storage, err := blobstore.URL("s3://states?" + query)
	if err != nil {
		t.Fatal(err)
	}
	store := blobstore.New(storage)
	defer store.Close()
	bucket, err := store.Bucket(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	data := []byte(strings.Repeat("open windows ", 500_000)) // more than one part of an upload
	if err := bucket.WriteAll(t.Context(), "job/chk-1/w-0-0", data); err != nil {
		t.Fatal(err)
	}
	source := checkpoint.Blob{Key: "job/chk-1/w-0-0", Size: int64(len(data)), CRC32C: crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))}
	if got, err := blobstore.Read(t.Context(), bucket, source); err != nil || len(got) != len(data) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}

	location, err := blobstore.Locate("s3://states/savepoints/first?" + query)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := location.Open(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	if err := blobstore.Copy(t.Context(), bucket, source, folder, "w-0-0"); err != nil {
		t.Fatal(err)
	}
	if there, err := bucket.Exists(t.Context(), "savepoints/first/w-0-0"); err != nil || !there {
		t.Errorf("the copy is there: %t, %v", there, err)
	}
	aborted, abort := context.WithCancel(t.Context())
	half, err := bucket.NewWriter(aborted, "job/chk-2/w-0-0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := half.Write(data); err != nil {
		t.Fatal(err)
	}
	abort()
	if err := half.Close(); err == nil {
		t.Error("an aborted blob is closed without an error")
	}
	if there, err := bucket.Exists(t.Context(), "job/chk-2/w-0-0"); err != nil || there {
		t.Errorf("the aborted blob is there: %t, %v", there, err)
	}
	if err := store.Delete(t.Context(), []string{source.Key, "job/chk-9/none"}); err != nil {
		t.Error(err)
	}
	if _, err := blobstore.Read(t.Context(), bucket, source); !blobstore.IsMissing(err) {
		t.Errorf("after it was deleted: %v", err)
	}
}

// Errors name the storage, without the query, and what to do.
func TestObjectStoreRefuses(t *testing.T) {
	query := objectStore(t)
	for _, test := range []struct {
		storage, key string
		want         []string
	}{
		{"s3://states?" + query, "somebody", []string{"s3://states", "AWS_ACCESS_KEY_ID", "InvalidAccessKeyId"}},
		{"s3://other?" + query, accessKey, []string{"s3://other", "check that the bucket is there", "NoSuchBucket"}},
		{"s3://states?" + query, "", []string{"s3://states", "AWS_ACCESS_KEY_ID"}},
		{"gs://states", "", []string{"gs://states", "s3://states?endpoint=https://storage.googleapis.com"}},
		{"ftp://states", "", []string{"ftp://states", "s3://bucket or azblob://container"}},
		{"azblob://states", "", []string{"azblob://states", "AZURE_STORAGE_ACCOUNT"}},
	} {
		t.Run(test.storage+" "+test.key, func(t *testing.T) {
			t.Setenv("AWS_ACCESS_KEY_ID", test.key)
			if test.key == "" {
				t.Setenv("AWS_SECRET_ACCESS_KEY", "")
			}
			var buckets blobstore.Buckets
			defer buckets.Close()
			bucket, err := buckets.Open(t.Context(), test.storage)
			if err == nil {
				err = bucket.WriteAll(t.Context(), "job/chk-1/w-0-0", []byte("x"))
			}
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "use_path_style") {
				t.Errorf("%v shows the query", err)
			}
		})
	}
}
