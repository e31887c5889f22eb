package eventtime_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"pencere/pkg/eventtime"
)

// A generator is as far behind the newest row as its delay, and never goes back.
func TestGenerator(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		delay := rapid.Int64Range(0, 10_000).Draw(t, "delay")
		g := eventtime.NewGenerator(delay)
		if w := g.Watermark(); w != eventtime.None {
			t.Fatalf("watermark before the first row is %d", w)
		}
		newest := int64(math.MinInt64)
		for _, ms := range rapid.SliceOfN(rapid.Int64Range(-20_000, 20_000), 1, 20).Draw(t, "rows") {
			g.Observe(ms)
			newest = max(newest, ms)
			if w := g.Watermark(); w != eventtime.Watermark(newest-delay) {
				t.Fatalf("watermark is %d after %d, the newest being %d", w, ms, newest)
			}
		}
	})
}

// At the ends of event time there is nothing to subtract from.
func TestGeneratorDoesNotWrap(t *testing.T) {
	g := eventtime.NewGenerator(5000)
	g.Observe(math.MinInt64 + 4999)
	if w := g.Watermark(); w != eventtime.None {
		t.Errorf("watermark is %d, want none", w)
	}
	g.Observe(math.MaxInt64)
	if w := g.Watermark(); w != math.MaxInt64-5000 {
		t.Errorf("watermark is %d", w)
	}
}

// A combiner, through any calls, holds to: the least of the active inputs, the greatest of all when none is active, but never
// less than before.
func TestCombiner(t *testing.T) {
	type state struct {
		watermark eventtime.Watermark
		idle      bool
	}
	rapid.Check(t, func(t *rapid.T) {
		c := eventtime.NewCombiner[int]()
		model := map[int]state{}
		current := eventtime.None
		input := func(t *rapid.T) int { return rapid.IntRange(0, 3).Draw(t, "input") }
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				k := input(t)
				if _, ok := model[k]; !ok {
					model[k] = state{watermark: eventtime.None}
				}
				c.Add(k)
			},
			"remove": func(t *rapid.T) {
				k := input(t)
				delete(model, k)
				c.Remove(k)
			},
			"update": func(t *rapid.T) {
				k, w := input(t), eventtime.Watermark(rapid.Int64Range(-5, 5).Draw(t, "watermark"))
				if s, ok := model[k]; ok {
					s.watermark = max(s.watermark, w)
					model[k] = s
				}
				c.Update(k, w)
			},
			"idle": func(t *rapid.T) {
				k, idle := input(t), rapid.Bool().Draw(t, "idle")
				if s, ok := model[k]; ok {
					s.idle = idle
					model[k] = s
				}
				c.SetIdle(k, idle)
			},
			"": func(t *rapid.T) {
				var active []eventtime.Watermark
				greatest := eventtime.None
				for _, s := range model {
					greatest = max(greatest, s.watermark)
					if !s.idle {
						active = append(active, s.watermark)
					}
				}
				if len(active) > 0 {
					least := active[0]
					for _, w := range active {
						least = min(least, w)
					}
					current = max(current, least)
				} else {
					current = max(current, greatest)
				}
				w, allIdle := c.Watermark()
				if w != current || allIdle != (len(active) == 0) {
					t.Fatalf("watermark is %d (all idle: %v), want %d; active inputs %v", w, allIdle, current, active)
				}
			},
		})
	})
}
