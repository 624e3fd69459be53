package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/internal/httpfield"
)

// requestBody is the Request.Body of a request that has one: a view of its exchange. Its methods
// may be called by any goroutines, also after the handler has returned.
type requestBody exchange

// The flags of an exchange.
const (
	bodyPresent  = 1 << iota // the request has a body; set before the handler runs
	bodyContinue             // the client waits for 100 (Continue)
	bodyClosed
	bodySawEOF
	connectAccepted // AcceptConnect was called
	blocked         // has waited in a call of ours; guarded by dispatcher.mu
)

func (x *exchange) is(flag uint32) bool { return x.flags.Load()&flag != 0 }

// set sets a flag and tells whether it was set before.
func (x *exchange) set(flag uint32) bool { return x.flags.Or(flag)&flag != 0 }

// clear clears a flag and tells whether it was set before.
func (x *exchange) clear(flag uint32) bool { return x.flags.And(^flag)&flag != 0 }

// Read reads the body. The first one sends 100 (Continue) to a client that waits for it.
func (b *requestBody) Read(p []byte) (int, error) {
	x := (*exchange)(b)
	if x.is(bodyClosed) || !x.enter() {
		return 0, http.ErrBodyReadAfterClose
	}
	defer x.leave()
	if x.is(bodySawEOF) {
		return 0, io.EOF
	}
	if x.is(bodyContinue) && x.clear(bodyContinue) {
		x.resp.sendContinue()
	}
	n, err := x.s.Read(p)
	switch {
	case err == io.EOF: //nolint:errorlint // the end of a connection may wrap it
		x.sawEOF()
	case errors.Is(err, conn.ErrReadClosed):
		err = http.ErrBodyReadAfterClose
	case errors.Is(err, io.EOF): // of the connection: nobody is to take it for the end of the body
		err = fmt.Errorf("%w: %v", io.ErrUnexpectedEOF, err) //nolint:errorlint // on purpose
	}
	return n, err
}

// trailersMu is held while trailers are copied: several goroutines may read a body, and each may
// find its end. Requests with trailers are too few for a lock of their own.
var trailersMu sync.Mutex

// sawEOF notes the end of the body. Whoever finds the flag set finds the trailers too.
func (x *exchange) sawEOF() {
	if x.req.Trailer == nil {
		x.set(bodySawEOF)
		return
	}
	trailersMu.Lock()
	defer trailersMu.Unlock()
	if !x.is(bodySawEOF) {
		x.copyTrailers()
		x.set(bodySawEOF)
	}
}

// copyTrailers fills in the announced keys of Request.Trailer.
func (x *exchange) copyTrailers() {
	want := x.req.Trailer
	if want == nil {
		return
	}
	for _, f := range x.s.Trailers() {
		key := httpfield.ByLower(f.Name).Canon
		if have, ok := want[key]; ok {
			want[key] = append(have, f.Value)
		}
	}
}

// Close drops the rest of the body and wakes a Read that waits for it.
func (b *requestBody) Close() error {
	x := (*exchange)(b)
	if x.set(bodyClosed) || !x.enter() {
		return nil
	}
	if !x.is(bodySawEOF) {
		x.s.CloseRead()
	}
	x.leave()
	return nil
}

// finishBody ends the body when the handler has returned: whoever still reads is woken.
func (x *exchange) finishBody() {
	if !x.set(bodyClosed) && !x.is(bodySawEOF) {
		x.s.CloseRead()
	}
}
