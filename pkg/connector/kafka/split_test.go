package kafka

import "testing"

func TestSplitID(t *testing.T) {
	if id := (Split{Topic: "orders", Partition: 3}).ID(); id != "orders-3" {
		t.Error(id)
	}
}
