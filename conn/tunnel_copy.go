package conn

import (
	"io"
	"net"
)

// WriteTo writes to w what the peer sends until it ends its direction. io.Copy calls it. It holds
// no buffer while there is nothing to read.
func (t *Tunnel) WriteTo(w io.Writer) (n int64, err error) {
	for {
		if err := t.awaitRead(); err != nil {
			if err == io.EOF { //nolint:errorlint // the peer's END_STREAM is this very value
				err = nil
			}
			return n, err
		}
		k, err := t.writeOnceTo(w)
		n += int64(k)
		if err != nil {
			return n, err
		}
	}
}

// awaitRead waits until Read would return.
func (t *Tunnel) awaitRead() error {
	if !t.enter() {
		return net.ErrClosed
	}
	t.c.mu.Lock()
	err := t.st.awaitBodyLocked(1, nil)
	t.c.unlockAndNotify()
	if err != nil {
		err = t.explain(err)
	}
	t.leave()
	return err
}

// writeOnceTo writes to w what one Read returns.
func (t *Tunnel) writeOnceTo(w io.Writer) (int, error) {
	buf := readPool.Get().(*buffer)
	defer putRead(buf)
	n, err := t.Read(*buf)
	if n == 0 {
		if err == io.EOF { //nolint:errorlint // it comes again
			err = nil
		}
		return 0, err
	}
	k, err := w.Write((*buf)[:n])
	if err == nil && k < n {
		err = io.ErrShortWrite
	}
	return k, err
}

// ReadFrom sends what it reads from r until io.EOF. io.Copy calls it. It holds a buffer of 4 KiB
// while r has nothing, and one of 64 KiB after a Read of r that has filled the buffer.
func (t *Tunnel) ReadFrom(r io.Reader) (n int64, err error) {
	pool := &waitReadPool
	for {
		buf := pool.Get().(*buffer)
		k, rerr := r.Read(*buf)
		sent, werr := 0, error(nil)
		if k > 0 {
			sent, werr = t.Write((*buf)[:k])
		}
		full := k == len(*buf)
		putRead(buf)
		n += int64(sent)
		switch {
		case werr != nil:
			return n, werr
		case rerr == io.EOF:
			return n, nil
		case rerr != nil:
			return n, rerr
		}
		if pool = &waitReadPool; full {
			pool = &readPool
		}
	}
}
