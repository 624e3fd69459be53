package stress

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
)

// content is the body of a request or response, of which every octet follows from the request's
// number, the direction and the place. Reading gives it in pieces of random sizes.
type content struct {
	seed uint64
	size int64
	at   int64
}

// Which body of a request.
const (
	ofRequest = iota
	ofResponse
)

func newContent(id uint64, direction int, size int64) *content {
	return &content{seed: mix(id*2 + uint64(direction)), size: size}
}

// mix is the finalizer of SplitMix64: every bit of its result depends on all of x.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// fill writes the octets from the current place on, without going on.
func (c *content) fill(p []byte) {
	var word uint64
	for i := range p {
		at := uint64(c.at) + uint64(i)
		if i == 0 || at%8 == 0 {
			word = mix(c.seed + at/8)
		}
		p[i] = byte(word >> (8 * (at % 8)))
	}
}

func (c *content) Read(p []byte) (int, error) {
	p = p[:min(int64(len(p)), c.size-c.at)]
	if len(p) > 1 && rand.IntN(2) == 0 {
		p = p[:1+rand.IntN(len(p))]
	}
	c.fill(p)
	if c.at += int64(len(p)); c.at == c.size && (len(p) == 0 || rand.IntN(2) == 0) {
		return len(p), io.EOF
	}
	return len(p), nil
}

// check compares what has come with the octets from the current place on.
func (c *content) check(p []byte) error {
	var want [512]byte
	for len(p) > 0 {
		w := want[:min(len(want), len(p))]
		c.fill(w)
		if string(w) != string(p[:len(w)]) {
			return fmt.Errorf("other octets than were sent, between %d and %d of %d", c.at, c.at+int64(len(w)), c.size)
		}
		c.at += int64(len(w))
		p = p[len(w):]
	}
	if c.at > c.size {
		return fmt.Errorf("%d octets of %d have come", c.at, c.size)
	}
	return nil
}

// wrongContent is an error that nothing explains.
type wrongContent struct{ error }

// checkAll reads r to its end, or up to limit octets if that is not negative. A wrongContent is a
// fault of what was read, any other error is that of r.
func (c *content) checkAll(r io.Reader, limit int64) error {
	var space [8 << 10]byte
	buf := space[:1+rand.IntN(len(space))]
	for limit < 0 || c.at < limit {
		n, err := r.Read(buf)
		if fault := c.check(buf[:n]); fault != nil {
			return wrongContent{fault}
		}
		if err == io.EOF && c.at < c.size {
			return wrongContent{fmt.Errorf("the end after %d octets of %d", c.at, c.size)}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// requestBody is a body that notices what must not happen to it.
type requestBody struct {
	*content
	reading, closes atomic.Int32
	shared          atomic.Bool // it was read by two goroutines at once
}

func (b *requestBody) Read(p []byte) (int, error) {
	if b.reading.Add(1) != 1 {
		b.shared.Store(true)
	}
	defer b.reading.Add(-1)
	if rand.IntN(8) == 0 {
		runtime.Gosched()
	}
	return b.content.Read(p)
}

func (b *requestBody) Close() error {
	b.closes.Add(1)
	return nil
}
