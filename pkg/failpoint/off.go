//go:build !failpoint

package failpoint

// Enabled says whether this program was built to die at points.
const Enabled = false

// Hit is called where the process comes to a point.
func Hit(Point) {}
