package client

import (
	"bytes"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
)

// source is the body of a request, over all attempts to send it. It closes the body exactly once, and does not touch it
// after that.
type source struct {
	mu   sync.Mutex
	cond sync.Cond

	body    io.ReadCloser
	getBody func() (io.ReadCloser, error)
	left    int64 // octets that the body must still give; -1: not known

	kept    []byte // what was read, for another attempt
	keep    int    // how much may be kept; -1: too much was read already
	touched bool   // a Read was begun
	reading bool   // somebody is in body.Read
	closed  bool
	err     error // that ended reading, io.EOF included
}

// newSource returns nil for a request without a body.
func newSource(req *http.Request, keep int) *source {
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	s := &source{body: req.Body, getBody: req.GetBody, left: bodyLength(req), keep: keep}
	s.cond.L = &s.mu
	if req.GetBody != nil || s.left > int64(keep) {
		s.keep = -1
	}
	return s
}

// bodyLength is how long a request's body is, -1 where that is not known.
func bodyLength(req *http.Request) int64 {
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		return 0
	case req.ContentLength > 0:
		return req.ContentLength
	}
	return -1
}

// inMemory tells whether all of the body can be had at once, without waiting for anybody, and is at most n octets long.
func (s *source) inMemory(n int) bool {
	return s.left > 0 && s.left <= int64(n) && !s.touched && isInMemory(s.body)
}

var (
	nopCloserType         = reflect.TypeOf(io.NopCloser(nil))
	nopCloserWriterToType = reflect.TypeOf(io.NopCloser(struct {
		io.Reader
		io.WriterTo
	}{}))
)

// isInMemory knows the readers that http.NewRequest knows, and its way to make bodies of them.
func isInMemory(body io.ReadCloser) bool {
	if t := reflect.TypeOf(body); t != nopCloserType && t != nopCloserWriterToType {
		return false
	}
	switch reflect.ValueOf(body).Field(0).Interface().(type) {
	case *bytes.Reader, *bytes.Buffer, *strings.Reader:
		return true
	}
	return false
}

// read reads at position pos, which is one attempt's own. It waits while a read of an attempt that was given up is
// still under way.
func (s *source) read(pos int, p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case pos < len(s.kept):
			n := copy(p, s.kept[pos:])
			if pos+n == len(s.kept) && !s.reading {
				return n, s.err
			}
			return n, nil
		case s.err != nil:
			return 0, s.err
		case s.closed:
			return 0, http.ErrBodyReadAfterClose
		case !s.reading:
			return s.readBody(p)
		}
		s.cond.Wait()
	}
}

// readBody reads from the body itself. It lets go of mu.
func (s *source) readBody(p []byte) (int, error) {
	s.touched, s.reading = true, true
	s.mu.Unlock()
	n, err := s.body.Read(p)
	s.mu.Lock()
	s.reading = false
	s.cond.Broadcast()
	if s.left >= 0 {
		if s.left -= int64(n); s.left < 0 {
			n, err = 0, errBodyTooLong
		} else if err == io.EOF && s.left > 0 {
			err = errBodyTooShort
		}
	}
	if s.keep >= 0 {
		if len(s.kept)+n <= s.keep {
			s.kept = append(s.kept, p[:n]...)
		} else {
			s.kept, s.keep = nil, -1
		}
	}
	s.err = err
	return n, err
}

// isTouched tells whether the body was read or closed.
func (s *source) isTouched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.touched || s.closed
}

// isWhole tells that all of the body was read and is kept, so that who reads it again is in nobody's way.
func (s *source) isWhole() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keep >= 0 && isEOF(s.err)
}

// rewind makes the source begin anew and tells whether it can.
func (s *source) rewind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.touched && !s.closed:
		return true
	case s.getBody != nil:
	default:
		return s.keep >= 0 && (!s.closed || isEOF(s.err)) // then all of it is kept
	}
	return false
}

// again returns the source for another attempt, nil where the body cannot be had again.
func (s *source) again(req *http.Request) *source {
	if s.rewind() {
		return s
	}
	if s.getBody == nil {
		return nil
	}
	s.close(true)
	body, err := s.getBody()
	if err != nil {
		return nil
	}
	next := &source{body: body, getBody: s.getBody, left: bodyLength(req), keep: -1}
	next.cond.L = &next.mu
	return next
}

// close closes the body, once. Where a Read is under way, and with async, a goroutine does so, since what a user's body
// does is not known: to close it is the way to end a Read that waits.
func (s *source) close(async bool) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	async = async || s.reading
	s.cond.Broadcast()
	s.mu.Unlock()
	if async {
		go func() { _ = s.body.Close() }() // ends when the user's Close returns; nobody waits for it, as in net/http
		return
	}
	_ = s.body.Close() // as net/http: what it says does not concern the request
}
