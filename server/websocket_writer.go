package server

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"sync"
)

// webSocketWriter is the ResponseWriter of a request that WebSocket has put into the form of
// HTTP/1.1.
type webSocketWriter struct {
	w    http.ResponseWriter // what WebSocket was called with: resp, or what wraps it
	resp *response
	ctx  context.Context // of the request

	mu     sync.Mutex // guards answer and conn, the pointer and what it points to
	answer webSocketAnswer
	conn   *webSocketConn // nil until Hijack
}

// webSocketAnswer is how the handler has answered.
type webSocketAnswer uint8

const (
	answerNone     webSocketAnswer = iota
	answerSwitches                 // 101; 200 was given to the ResponseWriter beneath
	answerRefuses                  // another status, with the content that the handler writes
	answerNoSwitch                 // 2xx, in place of which 501 was sent; what the handler writes is dropped
)

var (
	_ http.Hijacker = (*webSocketWriter)(nil)
	_ http.Flusher  = (*webSocketWriter)(nil)
)

// Unwrap returns the ResponseWriter beneath.
func (w *webSocketWriter) Unwrap() http.ResponseWriter { return w.w }

// Header returns the header map.
func (w *webSocketWriter) Header() http.Header { return w.w.Header() }

// WriteHeader answers the request; see WebSocket.
func (w *webSocketWriter) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		w.writeHeaderLocked(status)
	}
}

func (w *webSocketWriter) writeHeaderLocked(status int) {
	switch {
	case w.answer != answerNone:
	case status == http.StatusSwitchingProtocols:
		w.answer = answerSwitches
		h := w.w.Header()
		const acceptKey = "Sec-Websocket-Accept"
		accept, ok := h[acceptKey]
		delete(h, acceptKey)
		w.w.WriteHeader(http.StatusOK)
		if ok {
			h[acceptKey] = accept
		}
	case status >= 200 && status < 300:
		w.answer = answerNoSwitch
		http.Error(w.w, "This URL is no WebSocket: the request to switch protocols was answered with "+
			http.StatusText(status)+".", http.StatusNotImplemented)
	default:
		if status < 100 || status >= 200 {
			w.answer = answerRefuses
		}
		w.w.WriteHeader(status)
	}
}

// Write writes the content of an answer that is not 101.
func (w *webSocketWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	hijacked := w.conn != nil
	if !hijacked {
		w.writeHeaderLocked(http.StatusOK)
	}
	answer := w.answer
	w.mu.Unlock()
	switch {
	case hijacked:
		return 0, http.ErrHijacked
	case answer == answerRefuses:
		return w.w.Write(p)
	}
	return 0, http.ErrBodyNotAllowed
}

// Flush sends what is buffered.
func (w *webSocketWriter) Flush() { _ = w.FlushError() }

// FlushError sends what is buffered. Like a Write it answers with 200 where there is no answer yet.
func (w *webSocketWriter) FlushError() error {
	w.mu.Lock()
	hijacked := w.conn != nil
	if !hijacked {
		w.writeHeaderLocked(http.StatusOK)
	}
	w.mu.Unlock()
	if hijacked {
		return http.ErrHijacked
	}
	return http.NewResponseController(w.w).Flush()
}

// Hijack returns the stream as a connection. Before an answer of 101 it takes the head of a
// response of HTTP/1.1 first.
func (w *webSocketWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.conn != nil:
		return nil, nil, http.ErrHijacked
	case w.answer == answerRefuses || w.answer == answerNoSwitch:
		return nil, nil, ErrAnswered
	}
	c := &webSocketConn{w: w, nc: w.resp.x.sc.c.NetConn(), changed: make(chan struct{})}
	if w.answer == answerSwitches {
		if err := c.acceptLocked(); err != nil {
			return nil, nil, err
		}
	}
	w.conn = c
	return c, bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c)), nil
}

// finish is called when the handler has returned. The answer to a request whose connection was
// hijacked may be on its way yet, from another goroutine.
func (w *webSocketWriter) finish() {
	w.mu.Lock()
	if w.conn == nil {
		w.writeHeaderLocked(http.StatusOK)
	}
	c := w.conn
	w.mu.Unlock()
	if c != nil {
		c.awaitAnswer()
	}
}
