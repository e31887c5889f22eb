package jobfsm

// NewestRestart returns the number that the last StartTimer had.
func (j *Job) NewestRestart() int { return j.restart }
