package page

import (
	"maps"
	"slices"
	"time"
)

// meta appends what a page knows before its first event.
func (e *encoder) meta(o Options, live bool) {
	e.open('{')
	e.text("title", o.Title)
	e.flag("live", live)
	e.number("maxFrames", int64(o.MaxFrames))
	e.number("maxOthers", int64(o.MaxOthers))
	e.names()
	e.close('}')
}

// counts appends what a page knows after its last event: how many of each kind have come and are
// shown, and the time that others are relative to.
func (e *encoder) counts(counts map[string]*count, base time.Time) {
	e.open('{')
	if !base.IsZero() {
		e.text("base", base.UTC().Format(time.RFC3339Nano))
	}
	e.key("counts")
	e.open('{')
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		e.key(kind)
		e.pair([2]int64{int64(counts[kind].came), int64(counts[kind].shown)})
	}
	e.close('}')
	e.close('}')
}
