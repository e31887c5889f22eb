package rest

import (
	"net/http"

	"pencere/jobmanager/internal/view"
	"pencere/pkg/ledger"
)

// fates are what became of the records that were read: Read is the sum of those up to Open. Lost and Truncations are what could not be read.
type fates struct {
	Read         int64 `json:"read"`
	Emitted      int64 `json:"emitted"`
	Filtered     int64 `json:"filtered"`
	Late         int64 `json:"late"`
	DeadLettered int64 `json:"dead-lettered"`
	Skipped      int64 `json:"skipped"`
	Collapsed    int64 `json:"collapsed"`
	Open         int64 `json:"open"`
	Lost         int64 `json:"lost"`
	Truncations  int64 `json:"truncations"`
}

func fatesOf(e ledger.Entry) fates {
	return fates{e.Read, e.Emitted, e.Filtered, e.Late, e.DeadLettered, e.Skipped, e.Collapsed, e.Open, e.Lost, e.Truncations}
}

type splitFates struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	fates
	// The offsets that were read, from StartOffset to before NextOffset.
	StartOffset int64 `json:"start-offset"`
	NextOffset  int64 `json:"next-offset"`
}

// ledgerInfo is the ledger of the newest checkpoint, whose id is 0 when there is none yet.
type ledgerInfo struct {
	Balanced     bool         `json:"balanced"`
	Imbalance    string       `json:"imbalance"`
	CheckpointID uint64       `json:"checkpoint-id"`
	Total        fates        `json:"total"`
	Splits       []splitFates `json:"splits"`
}

func (s *server) ledger(r *http.Request) (any, error) {
	j, err := s.job(r)
	if err != nil {
		return nil, err
	}
	answer := ledgerInfo{
		Balanced: j.Imbalance == "", Imbalance: j.Imbalance, CheckpointID: j.LedgerCheckpoint, Total: fatesOf(j.Ledger.Total()),
		Splits: []splitFates{},
	}
	for _, e := range j.Ledger {
		name := splitName(j, e.Split)
		split := splitFates{Topic: name.Topic, Partition: name.Partition, fates: fatesOf(e)}
		if int(e.Split) < len(j.LedgerRanges) {
			split.StartOffset, split.NextOffset = j.LedgerRanges[e.Split].From, j.LedgerRanges[e.Split].To
		}
		answer.Splits = append(answer.Splits, split)
	}
	return answer, nil
}

// splitName names a split of a ledger.
func splitName(j view.Job, number int32) view.SplitName {
	if int(number) >= len(j.SplitNames) {
		return view.SplitName{Partition: -1} // which the job does not know
	}
	return j.SplitNames[number]
}
