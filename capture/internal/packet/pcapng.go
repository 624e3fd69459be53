package packet

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// LinkType is what packets begin with, by the numbers of pcap.
type LinkType = layers.LinkType

// pcapngFile reads pcapng files.
type pcapngFile struct {
	r      *pcapgo.NgReader
	blocks *blockFilter
	before int // interfaces of sections before this one
}

func newPcapng(br *bufio.Reader, secrets func([]byte), bad *uint64) (*pcapngFile, error) {
	f := &pcapngFile{blocks: &blockFilter{r: br, secrets: secrets, bad: bad}}
	r, err := pcapgo.NewNgReader(bufio.NewReaderSize(f.blocks, bufferSize), pcapgo.NgReaderOptions{
		WantMixedLinkType:  true,
		SkipUnknownVersion: true,
		SectionEndCallback: func(ifaces []pcapgo.NgInterface, _ pcapgo.NgSectionInfo) {
			f.before += len(ifaces)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("the first section of the pcapng file cannot be read: %w", err)
	}
	f.r = r
	return f, nil
}

var errNoLinkType = errors.New("a packet without a link type")

func (f *pcapngFile) next() (record, error) {
	data, ci, err := f.r.ZeroCopyReadPacketData()
	if err != nil {
		if f.blocks.truncated {
			err = io.ErrUnexpectedEOF
		}
		return record{}, err
	}
	if len(ci.AncillaryData) == 0 {
		return record{}, errNoLinkType
	}
	link, ok := ci.AncillaryData[0].(LinkType)
	if !ok {
		return record{}, errNoLinkType
	}
	return record{
		data:   data,
		length: max(ci.Length, len(data)),
		time:   ci.Timestamp,
		link:   link,
		iface:  f.before + ci.InterfaceIndex,
	}, nil
}
