package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/internal/httpfield"
)

// requestBody is the Request.Body of a request that has one. Read may be called by one goroutine at a time, Close by
// any, also after the handler has returned.
type requestBody struct {
	x     *exchange
	flags atomic.Uint32 // of the constants below
}

const (
	bodyPresent  = 1 << iota // the request has a body; set before the handler runs
	bodyContinue             // the client waits for 100 (Continue)
	bodyClosed
	bodySawEOF
)

func (b *requestBody) is(flag uint32) bool { return b.flags.Load()&flag != 0 }

// set sets a flag and tells whether it was set before.
func (b *requestBody) set(flag uint32) bool { return b.flags.Or(flag)&flag != 0 }

// clear clears a flag and tells whether it was set before.
func (b *requestBody) clear(flag uint32) bool { return b.flags.And(^flag)&flag != 0 }

// Read reads the body. The first one sends 100 (Continue) to a client that waits for it.
func (b *requestBody) Read(p []byte) (int, error) {
	if b.is(bodyClosed) || !b.x.enter() {
		return 0, http.ErrBodyReadAfterClose
	}
	defer b.x.leave()
	if b.is(bodySawEOF) {
		return 0, io.EOF
	}
	if b.is(bodyContinue) && b.clear(bodyContinue) {
		b.x.resp.sendContinue()
	}
	n, err := b.x.s.Read(p)
	switch {
	case err == io.EOF: //nolint:errorlint // the end of a connection may wrap it
		b.copyTrailers()
		b.set(bodySawEOF)
	case errors.Is(err, conn.ErrReadClosed):
		err = http.ErrBodyReadAfterClose
	case errors.Is(err, io.EOF): // of the connection: nobody is to take it for the end of the body
		err = fmt.Errorf("%w: %v", io.ErrUnexpectedEOF, err) //nolint:errorlint // on purpose
	}
	return n, err
}

// copyTrailers fills in the announced keys of Request.Trailer.
func (b *requestBody) copyTrailers() {
	want := b.x.req.Trailer
	if want == nil {
		return
	}
	for _, f := range b.x.s.Trailers() {
		key := httpfield.ByLower(f.Name).Canon
		if have, ok := want[key]; ok {
			want[key] = append(have, f.Value)
		}
	}
}

// Close drops the rest of the body and wakes a Read that waits for it.
func (b *requestBody) Close() error {
	if b.set(bodyClosed) || !b.x.enter() {
		return nil
	}
	if !b.is(bodySawEOF) {
		b.x.s.CloseRead()
	}
	b.x.leave()
	return nil
}

// finish ends the body when the handler has returned: whoever still reads is woken.
func (b *requestBody) finish() {
	if !b.set(bodyClosed) && !b.is(bodySawEOF) {
		b.x.s.CloseRead()
	}
}
