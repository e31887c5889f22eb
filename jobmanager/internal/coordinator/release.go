package coordinator

import "pencere/pkg/checkpoint"

// released keeps a savepoint no longer than a periodic checkpoint.
func (c *Coordinator) released(e Released) {
	for i := range c.retained {
		if c.retained[i].id == e.ID {
			c.retained[i].kind = checkpoint.Periodic
		}
	}
	if c.over {
		c.forget(func(r retained) bool { return !r.kind.IsSavepoint() })
	}
}
