package kafka

import (
	"sync"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// heldPerFetched is how much memory, in multiples of fetch.max.bytes, one round of fetches may come to when it is
	// decompressed and cut into records. Uncompressed records of 100 bytes and more stay below it by themselves.
	heldPerFetched = 4
	// minFetchBytes is the least that is asked for: less costs more in requests than it saves.
	minFetchBytes = 64 << 10
	recordSize    = int64(unsafe.Sizeof(kgo.Record{}))
)

// budget bounds what a Reader reads ahead. A broker counts the bytes that it sends; memory holds what they become: JSON
// often takes ten times the room when it is decompressed. So it asks each broker for as much less as batches were found to
// grow, and as brokers share the room.
type budget struct {
	limit, partitionLimit int32 // bytes: fetch.max.bytes, max.partition.fetch.bytes
	client                *kgo.Client

	mu            sync.Mutex
	brokers       map[int32]bool // those that sent records
	fetched, held int64          // bytes as sent, and in memory
	asking        int32          // bytes, of each broker
}

var (
	_ kgo.HookNewClient      = (*budget)(nil)
	_ kgo.HookFetchBatchRead = (*budget)(nil)
)

// newBudget makes a budget that begins carefully, before it knows how records grow.
func newBudget(limit, partitionLimit int32) *budget {
	return &budget{limit: limit, partitionLimit: partitionLimit, asking: fit(limit, 1, 4*heldPerFetched), brokers: make(map[int32]bool)}
}

// OnNewClient is called by kgo before the client reads.
func (b *budget) OnNewClient(client *kgo.Client) {
	b.client = client
	client.UpdateFetchMaxBytes(b.asking, min(b.asking, b.partitionLimit))
}

// OnFetchBatchRead is called by kgo for each batch that came.
func (b *budget) OnFetchBatchRead(broker kgo.BrokerMetadata, _ string, _ int32, m kgo.FetchBatchMetrics) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.brokers[broker.NodeID] = true
	b.fetched += int64(m.CompressedBytes)
	b.held += int64(m.UncompressedBytes) + int64(m.NumRecords)*recordSize
	if b.fetched < int64(b.asking) {
		return
	}
	asking := fit(b.limit, len(b.brokers), float64(b.held)/float64(b.fetched))
	b.fetched, b.held = b.fetched/2, b.held/2 // older batches count less
	if asking < b.asking || asking > b.asking+b.asking/8 {
		b.asking = asking
		b.client.UpdateFetchMaxBytes(asking, min(asking, b.partitionLimit))
	}
}

// fit returns how many bytes to ask each of so many brokers for, when a byte becomes growth bytes.
func fit(limit int32, brokers int, growth float64) int32 {
	share := heldPerFetched * float64(limit) / float64(brokers) / max(growth, 1)
	return min(limit, max(minFetchBytes, int32(min(share, float64(limit)))))
}
