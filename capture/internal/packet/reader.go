package packet

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// maxPacket is the longest packet that is read. Packets on loopback, and those before
	// segmentation offload, have 64 KiB and sometimes (BIG TCP) more.
	maxPacket = 1 << 20

	// bufferSize is what is read from a file at once.
	bufferSize = 256 << 10
)

// record is a packet in a file.
type record struct {
	data   []byte // what was captured
	length int    // on the wire
	time   time.Time
	link   LinkType
	iface  int
}

// A source reads the packets of a file of one format.
type source interface {
	// next returns io.EOF at the end of the file, and io.ErrUnexpectedEOF where the file ends
	// within a packet.
	next() (record, error)
}

// A Reader returns the TCP segments of a capture.
type Reader struct {
	src   source
	dec   decoder
	last  time.Time
	stats Stats
	seg   Segment
}

// NewReader returns a Reader of r, which has a pcap or pcapng file, or one compressed with gzip.
func NewReader(r io.Reader, o Options) (*Reader, error) {
	rd := &Reader{}
	rd.dec.stats = &rd.stats
	src, err := rd.open(r, o)
	if err != nil {
		return nil, err
	}
	rd.src = src
	return rd, nil
}

// open finds out what is in a file by how it begins.
func (r *Reader) open(file io.Reader, o Options) (source, error) {
	br := bufio.NewReaderSize(file, bufferSize)
	head, err := peek(br)
	if err != nil {
		return nil, err
	}
	if head[0] == 0x1f && head[1] == 0x8b {
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("the capture begins as gzip does, but: %w", err)
		}
		br = bufio.NewReaderSize(z, bufferSize)
		if head, err = peek(br); err != nil {
			return nil, err
		}
	}
	switch binary.BigEndian.Uint32(head) {
	case 0xa1b2c3d4, 0xd4c3b2a1, 0xa1b23c4d, 0x4d3cb2a1:
		return newPcap(br)
	case blockSection:
		return newPcapng(br, o.Secrets, &r.stats.BadBlocks)
	case 0xa1b2cd34, 0x34cdb2a1:
		return nil, errors.New("the capture is a modified pcap, which is not supported: " +
			"editcap -F pcap makes a plain one of it")
	}
	return nil, fmt.Errorf("not a pcap or pcapng file: it begins with the octets % x", head)
}

// peek returns the first 4 octets.
func peek(br *bufio.Reader) ([]byte, error) {
	head, err := br.Peek(4)
	switch {
	case err == nil:
		return head, nil
	case err != io.EOF:
		return nil, fmt.Errorf("cannot read the capture: %w", err)
	case len(head) == 0:
		return nil, errors.New("the capture is empty")
	}
	return nil, fmt.Errorf("not a pcap or pcapng file: it has %d octets", len(head))
}

// Next returns the next segment, which is valid until the next call; io.EOF at the end of the file;
// or a *TruncatedError where the file ends within a packet. There is nothing behind an error.
func (r *Reader) Next() (*Segment, error) {
	for {
		rec, err := r.src.next()
		if err != nil {
			return nil, r.failure(err)
		}
		r.stats.Packets++
		if rec.time.IsZero() { // Simple Packet Blocks have none
			rec.time = r.last
		}
		r.last = rec.time
		r.seg = Segment{Number: r.stats.Packets, Time: rec.time, Interface: rec.iface}
		if r.dec.decode(rec, &r.seg) {
			r.stats.Segments++
			if r.seg.Cut > 0 {
				r.stats.Cut++
			}
			return &r.seg, nil
		}
	}
}

// failure is what Next returns for an error of a source.
func (r *Reader) failure(err error) error {
	switch {
	case err == io.ErrUnexpectedEOF: //nolint:errorlint // an error of a lost source may wrap it
		return &TruncatedError{Packets: r.stats.Packets, Err: err}
	case err == io.EOF: //nolint:errorlint // an error of a lost source may wrap it
		return io.EOF
	}
	return fmt.Errorf("the capture cannot be read behind packet %d: %w", r.stats.Packets, err)
}

// Stats returns what was counted up to now. The map in it belongs to the Reader.
func (r *Reader) Stats() Stats { return r.stats }
