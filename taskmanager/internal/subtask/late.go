package subtask

// Owes reports, once Run has returned, whether there may still be word that a checkpoint is committed whose files the subtask
// has not published.
func (s *Subtask) Owes() bool { return s.late != nil && (len(s.late.cuts) > 0 || s.late.ended != nil) }

// Settle carries out the commits that came when Run had returned, or was about to. A subtask may end, because it lost a
// peer, before it hears of a commit that was announced to all; and if the job is being cancelled, no later attempt
// publishes the checkpoint's files. It is called after Run, by one goroutine at a time.
func (s *Subtask) Settle() error {
	if s.late == nil {
		return nil
	}
	return s.late.carryOut()
}

// carryOut carries out the commits that wait.
func (p *participant) carryOut() error {
	for _, o := range p.task.takeOrders() {
		if o.kind != orderCommit {
			continue
		}
		if _, err := p.settle(o); err != nil {
			return err
		}
	}
	return nil
}
