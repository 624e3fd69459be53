package main

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream/priority"
)

// reader is a client that takes a fixed number of octets a second, and counts those of DATA.
type reader struct {
	s     setup
	nc    net.Conn
	enc   *hpack.Encoder
	block bytes.Buffer

	next   uint32         // identifier of the next request
	stream map[uint32]int // number of the stream, by identifier

	header [9]byte
	have   int   // octets of header
	left   int   // octets of the payload which are not read
	data   int   // number of the stream whose DATA is read; -1: none
	seen   int   // octets of DATA
	counts []int // octets that are counted, for each stream
}

// measure returns the share of each stream, of what s says is counted, and how many octets were
// read in a second.
func (s setup) measure() (shares []float64, rate float64, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, err
	}
	stop, err := s.serve(l)
	if err != nil {
		return nil, 0, errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, stop()) }()
	nc, err := s.dial(l.Addr().String())
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = nc.Close() }() // the server may still write
	r := &reader{s: s, nc: nc, stream: make(map[uint32]int), next: 1, data: -1, counts: make([]int, len(s.Scheme.Streams))}
	r.enc = hpack.NewEncoder(&r.block)
	if err := r.begin(); err != nil {
		return nil, 0, err
	}
	start := time.Now()
	if err := r.read(); err != nil {
		return nil, 0, err
	}
	return partsOf(r.counts), float64(r.seen) / time.Since(start).Seconds(), nil
}

func (s setup) dial(addr string) (net.Conn, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if s.Buffer > 0 {
		if err := nc.(*net.TCPConn).SetReadBuffer(s.Buffer); err != nil {
			return nil, err
		}
	}
	if s.TLS != "" {
		// Nothing is secret: both ends are in this process.
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	}
	return nc, nil
}

// begin sends what comes first, with all requests.
func (r *reader) begin() error {
	b := []byte(frame.Preface)
	b = frame.AppendSettings(b, frame.Setting{ID: frame.SettingInitialWindowSize, Value: frame.MaxWindow})
	b = frame.WindowUpdate{Increment: frame.MaxWindow - frame.DefaultWindow}.Append(b)
	for range r.s.times() {
		for i := range r.s.Scheme.Streams {
			b = r.request(b, i)
		}
	}
	_, err := r.nc.Write(b)
	return err
}

// request appends a request for the stream with number i.
func (r *reader) request(b []byte, i int) []byte {
	p, id := r.s.Scheme.Streams[i], r.next
	r.next += 2
	r.stream[id] = i
	r.block.Reset()
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "localhost"}, {":path", "/"}} {
		_ = r.enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}) // writing to a bytes.Buffer never fails
	}
	if p.Extensible {
		_ = r.enc.WriteField(hpack.HeaderField{Name: "priority", Value: p.Field()})
	}
	return headers(b, id, r.block.Bytes(), p)
}

func headers(b []byte, id uint32, block []byte, p priority.Params) []byte {
	f := frame.Headers{StreamID: id, EndStream: true, EndHeaders: true, Fragment: block}
	if p.Tree {
		f.HasPriority = true
		f.Priority = frame.PriorityParam{DependsOn: p.DependsOn, Exclusive: p.Exclusive, Weight: p.Weight}
	}
	return f.Append(b)
}

// read reads at its pace until enough is counted.
func (r *reader) read() error {
	buf := make([]byte, 32<<10)
	var timer *time.Timer
	start, taken := time.Now(), 0
	for r.seen < r.s.Skip+r.s.Count {
		n, err := r.nc.Read(buf)
		if err != nil {
			return err
		}
		taken += n
		if err := r.parse(buf[:n]); err != nil {
			return err
		}
		ahead := time.Duration(taken)*time.Second/time.Duration(r.s.Rate) - time.Since(start)
		if ahead <= 0 {
			continue
		}
		if timer == nil {
			timer = time.NewTimer(ahead)
		} else {
			timer.Reset(ahead)
		}
		<-timer.C
	}
	return nil
}

// parse takes the next octets of the connection.
func (r *reader) parse(b []byte) error {
	for len(b) > 0 {
		if r.left > 0 {
			n := min(r.left, len(b))
			if r.data >= 0 {
				r.count(n)
			}
			b = b[n:]
			r.left -= n
			continue
		}
		n := copy(r.header[r.have:], b)
		r.have += n
		b = b[n:]
		if r.have == len(r.header) {
			r.have = 0
			if err := r.begun(); err != nil {
				return err
			}
		}
	}
	return nil
}

// begun is called for the header of a frame.
func (r *reader) begun() error {
	h := r.header
	r.left = int(binary.BigEndian.Uint32(h[:4]) >> 8)
	id := binary.BigEndian.Uint32(h[5:]) & frame.MaxStreamID
	flags := frame.Flags(h[4])
	r.data = -1
	switch frame.Type(h[3]) {
	case frame.TypeData:
		r.data = r.stream[id]
	case frame.TypeSettings:
		if !flags.Has(frame.FlagAck) {
			_, err := r.nc.Write(frame.AppendSettingsAck(nil))
			return err
		}
	case frame.TypeGoAway, frame.TypeRSTStream:
		return fmt.Errorf("the server has sent %v", frame.Type(h[3]))
	}
	return nil
}

// count counts n octets of DATA.
func (r *reader) count(n int) {
	r.seen += n
	if r.seen > r.s.Skip && r.seen <= r.s.Skip+r.s.Count {
		r.counts[r.data] += n
	}
}
