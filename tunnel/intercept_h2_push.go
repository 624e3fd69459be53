package tunnel

import (
	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
)

// beginPush promises the client what the origin has promised (RFC 9113 §8.4). It is called by the
// reader of the origin's connection: the promise goes out before what follows it on its stream.
func (r *h2relay) beginPush(st *conn.Stream) {
	parent, _ := st.OpenedBy().(*h2exchange)
	promise := st.Promise()
	var pushed *conn.Stream
	if parent != nil && !r.misdirected(promise.Authority) {
		if _, toClient := parent.streams(); toClient != nil {
			pushed, _ = toClient.Push(r.requestFields(promise, false))
			parent.leave()
		}
	}
	if pushed == nil {
		st.Reset(frame.Cancel)
		st.Release()
		return
	}
	r.client.FlushNoWait()
	x := &h2exchange{r: r, toClient: pushed, toOrigin: st}
	x.record = r.exchangeRecord("HTTP/2.0", promise.Method, promise.Path)
	x.uses.Start(1)
	st.OnEnd(x.originEnded)
	x.start()
}
