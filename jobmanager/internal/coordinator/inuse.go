package coordinator

import "pencere/pkg/checkpoint"

// InUse returns the blobs of the committed checkpoints that are kept, and the ID of the newest of these, 0 if there is none.
func (c *Coordinator) InUse() (blobs []checkpoint.Blob, newest checkpoint.ID) {
	for _, r := range c.retained {
		blobs, newest = append(blobs, r.blobs...), r.id
	}
	return blobs, newest
}
