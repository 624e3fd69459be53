package model

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"time"
)

// handle is the handler of all requests.
func (w *testbed) handle(rw http.ResponseWriter, r *http.Request) {
	if n, err := strconv.Atoi(r.URL.Query().Get("pushed")); err == nil {
		w.pushed(rw, r, n)
		return
	}
	id, _ := strconv.Atoi(r.Header.Get("X-Id"))
	w.mu.Lock()
	x := w.byID[id]
	w.mu.Unlock()
	switch {
	case x != nil:
		x.handle(rw, r)
	case r.Header.Get("X-Probe") != "":
		_, _ = io.Copy(rw, r.Body) // the probe sees what is missing
	default:
		w.failf("a request that was not sent: %s %s %v", r.Method, r.URL, r.Header)
	}
}

func (w *testbed) pushed(rw http.ResponseWriter, r *http.Request, n int) {
	id, _ := strconv.Atoi(r.URL.Query().Get("id"))
	p := make([]byte, n)
	fill(p, pushBody(id), 0)
	rw.Header().Set("X-Id", fmt.Sprint(id))
	_, _ = rw.Write(p) // the client may not want it
}

func (x *exchange) handle(rw http.ResponseWriter, r *http.Request) {
	calls := x.op.calls("srv")
	x.w.mu.Lock()
	x.runs++
	runs := x.runs
	x.w.mu.Unlock()
	if runs > 1 {
		x.w.failf("request %d: a handler runs for the second time", x.id)
	}
	switch x.w.mutate {
	case "mute":
		<-r.Context().Done()
	case "leak":
		go func() { select {} }()
	case "again":
		x.handleAgain(rw, r)
	}
	rw.Header().Set("X-Id", fmt.Sprint(x.id))
	if has(calls, "t") {
		rw.Header().Set("Trailer", "X-Sum")
	}
	status := x.status()
	x.bare = r.Method == http.MethodHead || status == 204 || status == 304
	for _, t := range calls {
		x.w.steps.Add(1)
		x.step(rw, r, t)
	}
	x.w.mu.Lock()
	defer x.w.mu.Unlock()
	x.returned = true
	if x.w.mutate == "cutoff" {
		x.asked++
	}
}

// handleAgain is a fault that the oracle must find.
func (x *exchange) handleAgain(rw http.ResponseWriter, r *http.Request) {
	x.w.mu.Lock()
	again := x.runs == 1
	x.w.mu.Unlock()
	if again {
		x.handle(rw, r)
	}
}

// step does one of a handler's calls: r reads octets, e reads to the end, b closes the body; h
// sets the status, l the length, i sends an interim response, w writes octets, c copies them, f
// flushes, t sets trailers, p pushes; s sleeps for milliseconds, d and D set deadlines for reading
// and writing in as many, k ends the connection; q waits until the request is over, g calls Goexit,
// x and X panic.
func (x *exchange) step(rw http.ResponseWriter, r *http.Request, t token) {
	rc := http.NewResponseController(rw)
	at := time.Now().Add(time.Duration(t.n) * time.Millisecond)
	switch t.call {
	case 'r':
		x.receive(r, int64(t.n))
	case 'e':
		x.receive(r, 1<<40)
	case 'b':
		_ = r.Body.Close()
	case 'h', 'i':
		rw.WriteHeader(t.n)
	case 'l':
		x.declare(rw)
	case 'w':
		x.write(rw, int64(t.n), false)
	case 'c':
		x.write(rw, int64(t.n), true)
	case 'f':
		x.record(rc.Flush())
	case 't':
		rw.Header().Set("X-Sum", fmt.Sprint(x.id))
	case 'p':
		if p, ok := rw.(http.Pusher); ok {
			_ = p.Push(fmt.Sprintf("/%d?pushed=%d&id=%d", x.id, t.n, x.id), nil) // clients need not take it
		}
	default:
		x.control(rw, r, t, rc, at)
	}
}

func (x *exchange) control(
	rw http.ResponseWriter, r *http.Request, t token, rc *http.ResponseController, at time.Time,
) {
	switch t.call {
	case 's':
		time.Sleep(time.Until(at))
	case 'd':
		_ = rc.SetReadDeadline(at) // fails where the stream has ended
	case 'D':
		_ = rc.SetWriteDeadline(at)
	case 'k':
		rw.Header().Set("Connection", "close")
	case 'q':
		select {
		case <-r.Context().Done():
		case <-time.After(2 * time.Second):
		}
	case 'g':
		runtime.Goexit()
	case 'x':
		panic(http.ErrAbortHandler)
	case 'X':
		panic("as planned")
	default:
		x.w.failf("no call %q", t.call)
	}
}

// record keeps the first error of a response.
func (x *exchange) record(err error) {
	x.w.mu.Lock()
	defer x.w.mu.Unlock()
	if x.failed == nil {
		x.failed = err
	}
}

// declare sets the Content-Length to the sum of the writes.
func (x *exchange) declare(rw http.ResponseWriter) {
	n := int64(0)
	for _, t := range x.op.calls("srv") {
		if t.call == 'w' || t.call == 'c' {
			n += int64(t.n)
		}
	}
	x.w.mu.Lock()
	x.declared = n
	x.w.mu.Unlock()
	rw.Header().Set("Content-Length", fmt.Sprint(n))
}

func (x *exchange) write(rw http.ResponseWriter, n int64, byCopy bool) {
	if x.bare && x.status() != http.StatusOK {
		return // http.ErrBodyNotAllowed
	}
	x.w.mu.Lock()
	off := x.asked
	x.asked += n
	x.w.mu.Unlock()
	if x.w.mutate == "hole" {
		off++
	}
	p := make([]byte, n)
	fill(p, downBody(x.id), off)
	if byCopy {
		k, err := io.Copy(rw, &plain{p})
		if err == nil && k < n {
			x.w.failf("request %d: Copy took %d of %d octets without an error", x.id, k, n)
		}
		x.record(err)
		return
	}
	k, err := rw.Write(p)
	if err == nil && int64(k) < n {
		x.w.failf("request %d: Write took %d of %d octets without an error", x.id, k, n)
	}
	x.record(err)
}

// plain is a reader of pieces, and nothing else.
type plain struct{ p []byte }

func (r *plain) Read(p []byte) (int, error) {
	if len(r.p) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 5000)], r.p)
	r.p = r.p[n:]
	return n, nil
}

// receive reads up to n octets of the request's body, and checks each.
func (x *exchange) receive(r *http.Request, n int64) {
	buf := make([]byte, 6000)
	for n > 0 {
		k, err := r.Body.Read(buf[:min(n, int64(len(buf)))])
		x.w.steps.Add(1)
		if diff := compare(buf[:k], upBody(x.id), x.read); diff != nil {
			x.w.failf("request %d: of the request, %v", x.id, diff)
		}
		x.w.mu.Lock()
		x.read += int64(k)
		whole := err == io.EOF // the bare error only is an end
		x.readEOF = x.readEOF || whole
		x.w.mu.Unlock()
		if whole && x.op.num("trailer", 0) != 0 && r.Trailer.Get("X-Sum") != fmt.Sprint(x.id) {
			x.w.failf("request %d: the trailers of the whole request are %v", x.id, r.Trailer)
		}
		if err != nil {
			return
		}
		n -= int64(k)
	}
}
