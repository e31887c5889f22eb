package window

// CheckFit returns a *MismatchError when a window that is configured as is cannot go on from the state of one that was configured as
// was: Restore would not take it.
func CheckFit(was, is Config) error { return compareLayouts(layoutOf(was), layoutOf(is)) }
