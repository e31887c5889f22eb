package partfile_test

import (
	"crypto/sha256"
	"testing"
)

// BenchmarkDigest is what the digest of a part file adds to each of its rows of 100 bytes.
func BenchmarkDigest(b *testing.B) {
	piece := make([]byte, 256<<10)
	digest := sha256.New()
	b.SetBytes(int64(len(piece)))
	for b.Loop() {
		digest.Write(piece)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(piece))*100, "ns/row")
}
