package server

import (
	"testing"

	"github.com/sluice-go/sluice/conn"
)

// A request that was reset in the queue does not count as a handler, though checkProgress may find
// that others wait between the moment that a worker takes it and the moment that the worker drops
// it.
func TestDroppedRequestIsNoHandler(t *testing.T) {
	d := &dispatcher{sc: new(serverConn), handlerTime: &handlerTime{procs: 1}, limit: 10}
	d.mu.workers = 1
	w := new(worker)
	d.mu.queue.items = append(d.mu.queue.items, new(conn.Stream))
	d.dequeue(w)
	d.blockAllLocked() // as checkProgress does
	d.undoDequeue(w)
	if d.mu.running != 0 || d.mu.blocked != 0 || d.mu.active != nil || w.x != nil {
		t.Errorf("%d running, %d of them blocked, list %p", d.mu.running, d.mu.blocked, d.mu.active)
	}
	if w.spare == nil || w.spare.is(blocked) {
		t.Error("the worker has no exchange for the next request, or one that counts as blocked")
	}
}
