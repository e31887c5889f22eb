package subtask

import (
	"testing"
	"testing/synctest"
	"time"

	"pencere/pkg/eventtime"
)

// A heartbeat says which windows wait, though nothing has come since, also after a restore.
func TestReportOfOpenWindows(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		p := newPipeline(t, dir)
		p.start(1, nil)
		p.put(0, 3, 10, 20, 70)
		want := func() {
			t.Helper()
			synctest.Wait()
			windows := p.tasks[1].Report().GetOpenWindows()
			if len(windows) != 2 || p.tasks[1].Metrics().GetOpenWindows() != 2 {
				t.Fatalf("windows %v", windows)
			}
			first := windows[0]
			if first.GetGroups() != 2 || first.GetEndMs()-first.GetStartMs() != time.Minute.Milliseconds() || first.GetFiresAt() != first.GetEndMs()-1 {
				t.Errorf("first window %v", first)
			}
		}
		want()
		c := p.checkpoint(1)
		p.stop()
		p.start(1, c)
		want()
		p.stop()
	})
}

// A window subtask that waits is idle for as long as it does, not only when it has ended.
func TestWaitingIsIdle(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		p := newPipeline(t, dir)
		p.start(1, nil)
		<-time.After(time.Minute)
		if m := p.tasks[1].Metrics(); m.GetIdleMs() < 59_000 || m.GetBusyMs() > 1000 {
			t.Errorf("metrics %v", m)
		}
		p.stop()
	})
}

// A source that nobody reads from is back-pressured for as long as it lasts.
func TestBlockedIsBackpressured(t *testing.T) {
	inWorld(t, windowed, 1, func(w *world) {
		for range 5 {
			w.reader.put(records(0, 10))
		}
		<-time.After(time.Minute)
		if m := w.task.Metrics(); m.GetBackpressuredMs() < 59_000 || m.GetBusyMs() > 1000 {
			t.Errorf("metrics %v", m)
		}
	})
}

func TestReportOfSilence(t *testing.T) {
	inWorld(t, windowed, 2, func(w *world) {
		<-time.After(5 * time.Second)
		w.reader.put(records(1, 10))
		<-time.After(2 * time.Second)
		splits := w.task.Report().GetSplits()
		if silent := splits[0].GetSilentMs(); silent != 7000 || eventtime.Watermark(splits[0].GetWatermark()) != eventtime.None {
			t.Errorf("the silent split is reported as %v", splits[0])
		}
		if silent := splits[1].GetSilentMs(); silent != 2000 {
			t.Errorf("the other split is reported as %v", splits[1])
		}
		w.wants("rows 1")
	})
}
