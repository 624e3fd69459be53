package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/header"
)

// requestBody is the Request.Body of a request that has one: another type for its exchange. Its
// methods may be called by any goroutines, also after the handler has returned.
type requestBody exchange

// The flags of an exchange.
const (
	bodyPresent     = 1 << iota // the request has a body; set before the handler runs
	bodyContinue                // the client waits for 100 (Continue)
	bodyClosed                  // Close was called, or the handler has returned
	bodySawEOF                  // Read has returned io.EOF, and the trailers are in Request.Trailer
	connectAccepted             // AcceptConnect was called
	blocked                     // the exchange is counted by dispatcher.mu.blocked; guarded by dispatcher.mu
)

// is reports whether a flag is set.
func (x *exchange) is(flag uint32) bool { return x.flags.Load()&flag != 0 }

// set sets a flag and reports whether it was set before.
func (x *exchange) set(flag uint32) bool { return x.flags.Or(flag)&flag != 0 }

// clear clears a flag and reports whether it was set before.
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
	case errors.Is(err, io.EOF): // the end of the connection must not look like the end of the body
		err = fmt.Errorf("%w: %v", io.ErrUnexpectedEOF, err) //nolint:errorlint // on purpose
	}
	return n, err
}

// trailersMu guards the values of Request.Trailer while they are copied: several goroutines may
// read a body, and each may find its end. Requests with trailers are too rare to have a lock each.
var trailersMu sync.Mutex

// sawEOF sets bodySawEOF, once the trailers are in Request.Trailer.
func (x *exchange) sawEOF() {
	if x.req.Trailer == nil {
		x.set(bodySawEOF)
		return
	}
	trailersMu.Lock()
	defer trailersMu.Unlock()
	if !x.is(bodySawEOF) {
		x.copyTrailersLocked()
		x.set(bodySawEOF)
	}
}

// copyTrailersLocked fills in the announced keys of Request.Trailer. It needs trailersMu.
func (x *exchange) copyTrailersLocked() {
	want := x.req.Trailer
	if want == nil {
		return
	}
	for _, f := range x.s.Trailers() {
		key := header.ByLower(f.Name).Canon
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

// finishBody closes the body when the handler has returned. A Read that waits returns.
func (x *exchange) finishBody() {
	if !x.set(bodyClosed) && !x.is(bodySawEOF) {
		x.s.CloseRead()
	}
}
