package model

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn"
)

// settle lets everything end, and checks that it has.
func (w *testbed) settle() {
	done := make(chan struct{})
	go func() {
		w.callers.Wait()
		close(done)
	}()
	w.within(30*time.Minute, done, "a request has not ended")
	time.Sleep(2 * time.Minute) // handlers return, credit arrives, a PushCache drops what no request has asked for
	synctest.Wait()
	w.checkExchanges()
	w.checkNothingLeft()
	w.probe()
	w.stop()
	w.checkGoroutines()
}

// within waits for something that must not take longer than d.
func (w *testbed) within(d time.Duration, done <-chan struct{}, what string) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		w.failf("%s for %v\n%s", what, d, stacks())
	}
}

// stacks returns those of the goroutines in a bubble, without those of package synctest.
func stacks() string {
	buf := make([]byte, 1<<20)
	var list []string
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		head, _, _ := strings.Cut(g, "\n")
		if strings.Contains(head, "synctest bubble") && !strings.Contains(head, "synctest.Run") &&
			!strings.Contains(g, "testingSynctestTest") && !strings.Contains(g, "model.stacks") {
			list = append(list, g)
		}
	}
	return strings.Join(list, "\n\n")
}

func (w *testbed) checkExchanges() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range w.exchanges {
		if x.ended != 1 {
			w.failf("request %d has ended %d times", x.id, x.ended)
		}
		for i, s := range x.sources {
			if !s.closed.Load() {
				w.failf("request %d: body %d of %d is not closed\n%s", x.id, i+1, len(x.sources), stacks())
			}
		}
		x.checkWhole()
		x.checkClean()
	}
}

// checkWhole checks the lengths of bodies that were reported whole.
func (x *exchange) checkWhole() {
	if up := int64(x.op.num("up", 0)); x.readEOF {
		fail := int64(x.op.num("fail", -1))
		short := x.op.num("short", 0) > 0 && x.op.num("len", 0) != 0
		if x.read != up || fail >= 0 && fail <= up || short {
			x.w.failf("request %d: the handler has read a whole body of %d octets", x.id, x.read)
		}
	}
	if !x.eof {
		return
	}
	want := x.asked
	switch {
	case x.bare:
		want = 0
	case x.declared >= 0:
		want = x.declared
	}
	switch {
	case x.got != want:
		x.w.failf("request %d: the caller has read a whole body of %d octets, want %d", x.id, x.got, want)
	case x.bare || x.declared >= 0 && x.asked == want:
	case !x.returned:
		x.w.failf("request %d: the caller has read a whole body, and the handler did not return", x.id)
	case x.failed != nil:
		x.w.failf("request %d: the caller has read a whole body, and the handler got %v", x.id, x.failed)
	}
}

// checkClean checks that a request which nothing has disturbed has succeeded.
func (x *exchange) checkClean() {
	if !x.clean() {
		return
	}
	switch {
	case x.err != nil:
		x.w.failf("request %d: nothing has disturbed it, and it failed: %v", x.id, x.err)
	case !x.eof:
		x.w.failf("request %d: nothing has disturbed it, and its body failed at %d: %v", x.id, x.got, x.bodyErr)
	case x.failed != nil:
		x.w.failf("request %d: nothing has disturbed it, and its handler got %v", x.id, x.failed)
	}
}

// clean reports whether nothing in the script may make a request fail.
func (x *exchange) clean() bool {
	if x.op.str("timeout") != "" || x.op.str("fail") != "" || x.op.str("short") != "" {
		return false
	}
	if has(x.op.calls("srv"), "gxXqdD") || has(x.op.calls("cli"), "cxj") {
		return false
	}
	refusals := 0
	for _, o := range x.w.script {
		switch o.name {
		case "cancel", "close":
			if o.num("id", 0) == x.id {
				return false
			}
		case "cut", "restart":
			return false
		case "refuse":
			refusals += o.num("n", 1)
		case "goaway":
			refusals++
		case "do":
			if has(o.calls("srv"), "k") {
				refusals++
			}
		}
	}
	if k := x.w.cfg.str("ckind") + x.w.cfg.str("skind"); strings.Contains(k, "fatal") {
		return false
	}
	age := x.w.cfg.str("age") != ""
	if age || refusals > 6 {
		return false
	}
	if x.w.cfg.str("streams") != "" && x.w.single == nil {
		refusals++ // more may be sent than that before the client has seen the limit
	}
	return refusals == 0 || x.w.single == nil && x.replayable()
}

// replayable reports whether a transport can send the request again.
func (x *exchange) replayable() bool {
	kept := x.w.cfg.num("replay", 0)
	if kept == 0 {
		kept = 64 << 10
	}
	up, getBody := x.op.str("up") != "", x.op.num("getbody", 0) != 0
	if up && !getBody && x.w.cfg.str("client") == "configured" && x.op.num("len", 0) == 0 {
		return false // net/http has to dial, and is given whole bodies: the end of this one may not be waited for
	}
	return !up || getBody || x.op.num("up", 0) < kept
}

// checkNothingLeft checks that no connection has anything left of a request.
func (w *testbed) checkNothingLeft() {
	w.mu.Lock()
	servers, cconns, sconns := w.servers, w.cconns, w.sconns
	w.mu.Unlock()
	for _, s := range servers {
		if st := s.Stats(); st.Running != 0 || st.Queued != 0 {
			w.failf("no request is left, and the server's are %+v\n%s", st, stacks())
		}
	}
	alive := make(map[string]*conn.Conn)
	for _, c := range append(cconns[:len(cconns):len(cconns)], sconns...) {
		select {
		case <-c.Done():
			continue
		default:
		}
		name := c.NetConn().LocalAddr().String()
		alive[name] = c
		if st := c.Stats(); st.Streams != 0 || st.Unread != 0 {
			w.failf("no request is left, and %s has %d streams and %d unread octets", name, st.Streams, st.Unread)
		}
	}
	if w.single != nil {
		if st := w.single.State(); st.InFlight != 0 {
			w.failf("no request is left, and the connection has %d", st.InFlight)
		}
	}
	for name, c := range alive {
		w.checkCredit(name, c, alive[c.NetConn().RemoteAddr().String()])
	}
}

// checkCredit checks that a peer may send as much as the connection's window has, but for what
// it was not worth a frame to say.
func (w *testbed) checkCredit(name string, c, peer *conn.Conn) {
	if peer == nil {
		return
	}
	size, room := c.Stats().RecvWindow, peer.Stats().SendWindow
	if room < size-min(size/2, 1<<20)-1 || room > size {
		w.failf("all is read, and the peer of %s may send %d octets for a window of %d", name, room, size)
	}
}

// probe sends more requests at once than the server takes, with bodies that are larger than
// windows. All must succeed: what is missing of slots and credit shows here.
func (w *testbed) probe() {
	w.mu.Lock()
	w.refuse, w.doomed = 0, nil
	w.mu.Unlock()
	if w.single != nil && w.single.State().Err != nil || w.cfg.str("age") != "" ||
		strings.Contains(w.cfg.str("ckind")+w.cfg.str("skind"), "fatal") {
		return
	}
	for i := range 7 {
		w.callers.Go(func() { w.probeOne(70_000 + i) })
	}
	done := make(chan struct{})
	go func() {
		w.callers.Wait()
		close(done)
	}()
	w.within(10*time.Minute, done, "a request that was sent after all others has not ended")
}

func (w *testbed) probeOne(size int) {
	sent := make([]byte, size)
	fill(sent, 0, 0)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://model.test/probe",
		bytes.NewReader(sent))
	if err != nil {
		w.failf("NewRequest: %v", err)
		return
	}
	r.Header.Set("X-Probe", "1")
	resp, err := w.rt.RoundTrip(r)
	if err != nil {
		w.failf("a request that was sent after all others failed: %v", err)
		return
	}
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || !bytes.Equal(got, sent) {
		w.failf("a request that was sent after all others got %d of %d octets, %v", len(got), size, err)
	}
}

// stop ends client and servers, by the polite ways.
func (w *testbed) stop() {
	if w.single != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.single.Shutdown(ctx); err != nil {
			w.failf("Shutdown of the client's connection, which has no request: %v", err)
		}
	}
	w.closeIdle()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		w.failf("Shutdown of a server without requests: %v\n%s", err, stacks())
	}
	done := make(chan struct{})
	go func() {
		w.ending.Wait()
		close(done)
	}()
	w.within(10*time.Minute, done, "a server has not ended")
	time.Sleep(2 * time.Minute) // what lingers ends
	synctest.Wait()
	if n := w.transport.Stats().Conns; n != 0 {
		w.failf("all is over, and the transport has %d connections", n)
	}
	for _, s := range w.servers {
		if st := s.Stats(); st.Open != 0 {
			w.failf("all is over, and the server has %d connections", st.Open)
		}
	}
}

// checkGoroutines checks that the bubble has no goroutine but the one that plays the script.
func (w *testbed) checkGoroutines() {
	synctest.Wait()
	if left := stacks(); left != "" {
		w.failf("all is over, and goroutines are left:\n%s", left)
	}
}
