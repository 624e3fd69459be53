package packet

import (
	"bufio"
	"fmt"
	"io"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"
)

// pcapFile reads pcap files.
type pcapFile struct {
	br *bufio.Reader
	r  *pcapgo.Reader
}

func newPcap(br *bufio.Reader) (*pcapFile, error) {
	r, err := pcapgo.NewReader(br) // reads from br itself, which is a bufio.Reader
	if err != nil {
		return nil, fmt.Errorf("the header of the pcap file cannot be read: %w", err)
	}
	// The header's own bound is not held by what is written before segmentation offload.
	r.SetSnaplen(maxPacket)
	return &pcapFile{br, r}, nil
}

func (f *pcapFile) next() (record, error) {
	data, ci, err := f.r.ZeroCopyReadPacketData()
	if err != nil {
		if data, err = f.recover(ci, err); err != nil {
			return record{}, err
		}
	}
	return record{data: data, length: max(ci.Length, len(data)), time: ci.Timestamp, link: f.r.LinkType()}, nil
}

// recover reads the packet that pcapgo refuses because more of it was captured than there was, and
// tells a file that ends behind the header of a packet from one that ends behind a packet.
func (f *pcapFile) recover(ci gopacket.CaptureInfo, err error) ([]byte, error) {
	n := ci.CaptureLength
	switch {
	case err == io.EOF: //nolint:errorlint // an error of a lost source may wrap it
		if n > 0 {
			return nil, io.ErrUnexpectedEOF
		}
		return nil, io.EOF
	case err == io.ErrUnexpectedEOF: //nolint:errorlint // an error of a lost source may wrap it
		return nil, err
	case n < 0 || n > maxPacket:
		return nil, fmt.Errorf("the next packet would have %d octets", uint32(n))
	case n <= ci.Length:
		return nil, err
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(f.br, data); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return data, nil
}
