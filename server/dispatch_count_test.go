package server

import (
	"testing"

	"github.com/sluice-go/sluice/conn"
)

// A request that was reset in the queue does not count as a handler, though a tick may find that
// others wait between the moment that a worker takes it and the moment that the worker lets go of
// it.
func TestDroppedRequestIsNoHandler(t *testing.T) {
	d := &dispatcher{pace: &pace{procs: 1}, limit: 10, workers: 1}
	w := new(worker)
	w.spare = newExchange(&w.draft)
	d.queue.push(new(conn.Stream))
	d.take(w)
	d.blockAllLocked() // as tick does
	d.drop(w)
	if d.running != 0 || d.blocked != 0 || d.active != nil || w.x != nil {
		t.Errorf("%d running, %d of them blocked, list %p", d.running, d.blocked, d.active)
	}
	if w.spare == nil || w.spare.is(blocked) {
		t.Error("the worker has no exchange for the next request, or one that counts as blocked")
	}
}
