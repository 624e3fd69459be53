package tlsbatch

import (
	"bytes"
	"io"
	"net"
	"slices"
	"testing"
)

// pieces is a connection whose reads bring the given sizes, or less where there is less room.
type pieces struct {
	net.Conn
	data  []byte
	sizes []int
	asked []int // room in each read
}

func (c *pieces) Read(p []byte) (int, error) {
	c.asked = append(c.asked, len(p))
	if len(c.sizes) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.sizes[0])], c.data)
	c.data = c.data[n:]
	if c.sizes[0] -= n; c.sizes[0] == 0 {
		c.sizes = c.sizes[1:]
	}
	return n, nil
}

func TestReadAhead(t *testing.T) {
	data := make([]byte, 330_000)
	for i := range data {
		data[i] = byte(i * i >> 8)
	}
	const room = 17 << 10
	socket := &pieces{data: data, sizes: []int{5000, 280_000, 44_000, 1000}}
	c := New(socket)
	c.ReadAhead()
	var got []byte
	p := make([]byte, room)
	for {
		n, err := c.Read(p)
		got = append(got, p[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
	}
	if !bytes.Equal(got, data) {
		t.Error("the octets are not those that came")
	}
	// 5000 are short, but the beginning of 280,000 fills what it was given, and so does that of
	// 44,000.
	want := []int{room, room, readAheadSize, readAheadSize, room, readAheadSize, readAheadSize, room}
	if !slices.Equal(socket.asked, want) {
		t.Errorf("read with room for %v, want %v", socket.asked, want)
	}
	if c.buf != nil {
		t.Error("memory is held after the records have stopped")
	}
}

// A connection that ends while more is expected says so, and holds nothing.
func TestReadAheadEnd(t *testing.T) {
	c := New(&pieces{data: make([]byte, 32<<10), sizes: []int{32 << 10}})
	c.ReadAhead()
	if n, err := io.Copy(io.Discard, c); n != 32<<10 || err != nil {
		t.Error(n, err)
	}
	if _, err := c.Read(make([]byte, 16<<10)); err != io.EOF || c.buf != nil {
		t.Errorf("after the end: %v, %v", err, c.buf != nil)
	}
}
