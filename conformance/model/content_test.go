package model

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// octet is the one at an offset of a body. The factors make two bodies, and a body beside itself
// moved by a power of two, differ nearly everywhere.
func octet(body int, off int64) byte {
	return byte(body*101) ^ byte(off) ^ byte(off>>8)*31 ^ byte(off>>16)*17
}

func fill(p []byte, body int, off int64) {
	for i := range p {
		p[i] = octet(body, off+int64(i))
	}
}

// compare returns an error that names the first octet that is not the body's.
func compare(p []byte, body int, off int64) error {
	for i, b := range p {
		if want := octet(body, off+int64(i)); b != want {
			return fmt.Errorf("octet %d is %#x, and %#x was sent", off+int64(i), b, want)
		}
	}
	return nil
}

// Bodies of a request, its response and what is pushed beside it have different content.
func upBody(id int) int   { return 3 * id }
func downBody(id int) int { return 3*id + 1 }
func pushBody(id int) int { return 3*id + 2 }

var errSource = errors.New("the source of the body failed")

// source is the body of a request.
type source struct {
	w    *testbed
	id   int
	size int64 // where it ends
	fail int64 // where it fails, -1 for nowhere
	step int
	gap  time.Duration

	off     int64
	reading atomic.Bool
	closed  atomic.Bool
}

// Read returns some octets of the body.
func (s *source) Read(p []byte) (int, error) {
	s.w.steps.Add(1)
	if s.reading.Swap(true) {
		s.w.failf("request %d: two Reads of its body at a time", s.id)
	}
	defer s.reading.Store(false)
	if s.gap > 0 {
		time.Sleep(s.gap)
	}
	end := s.size
	if s.fail >= 0 {
		end = min(end, s.fail)
	}
	n := min(int64(len(p)), end-s.off)
	if s.step > 0 {
		n = min(n, int64(s.step))
	}
	fill(p[:n], upBody(s.id), s.off)
	s.off += n
	switch {
	case n > 0:
		return int(n), nil
	case s.fail >= 0 && s.off == s.fail:
		return 0, errSource
	}
	return 0, io.EOF
}

// Close may be called while a Read runs, and again.
func (s *source) Close() error {
	s.closed.Store(s.w.mutate != "unclosed")
	return nil
}
