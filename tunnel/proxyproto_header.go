package tunnel

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/pires/go-proxyproto"
)

// Sizes of PROXY protocol headers.
const (
	proxyHeaderStart = 12       // octets after which version 1 and 2 are told apart; none is shorter
	proxyHeaderFixed = 16       // octets of version 2 up to its addresses
	maxProxyHeaderV1 = 107      // octets of version 1, CRLF included
	maxProxyHeaderV2 = 16 << 10 // octets that are read of version 2, whose TLVs may carry certificates
)

var errNoProxyHeader = errors.New("it begins with something else")

// proxyHeader is what a PROXY protocol header says. The addresses are nil where they are those of
// the connection itself.
type proxyHeader struct{ source, destination net.Addr }

// readProxyHeader reads a header from r, and no octet behind it. The error is io.EOF where there is
// nothing to read.
func readProxyHeader(r io.Reader) (proxyHeader, error) {
	b := make([]byte, proxyHeaderStart, 2*maxProxyHeaderV1)
	if n, err := io.ReadFull(r, b); err != nil {
		if n > 0 && !looksLikeProxyHeader(b[:n]) {
			err = errNoProxyHeader
		}
		return proxyHeader{}, err
	}
	var err error
	switch {
	case !looksLikeProxyHeader(b):
		return proxyHeader{}, errNoProxyHeader
	case b[0] == proxyproto.SIGV1[0]:
		b, err = readProxyLine(r, b)
	default:
		b, err = readProxyBlock(r, b)
	}
	if err != nil {
		return proxyHeader{}, noEOF(err)
	}
	return parseProxyHeader(b)
}

// looksLikeProxyHeader reports whether b is the beginning of a header of either version.
func looksLikeProxyHeader(b []byte) bool {
	for _, signature := range [][]byte{proxyproto.SIGV1, proxyproto.SIGV2} {
		n := min(len(b), len(signature))
		if bytes.Equal(b[:n], signature[:n]) {
			return true
		}
	}
	return false
}

// readProxyLine reads the rest of a header of version 1, of which b was read.
func readProxyLine(r io.Reader, b []byte) ([]byte, error) {
	for b[len(b)-1] != '\n' {
		if len(b) == maxProxyHeaderV1 {
			return nil, proxyproto.ErrVersion1HeaderTooLong
		}
		b = append(b, 0)
		if _, err := io.ReadFull(r, b[len(b)-1:]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// readProxyBlock reads the rest of a header of version 2, of which b was read.
func readProxyBlock(r io.Reader, b []byte) ([]byte, error) {
	b = b[:proxyHeaderFixed]
	if _, err := io.ReadFull(r, b[proxyHeaderStart:]); err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint16(b[proxyHeaderFixed-2:]))
	if length > maxProxyHeaderV2 {
		return nil, fmt.Errorf("it has %d octets, and no more than %d are read", length, maxProxyHeaderV2)
	}
	whole := make([]byte, proxyHeaderFixed+length)
	copy(whole, b)
	_, err := io.ReadFull(r, whole[proxyHeaderFixed:])
	return whole, err
}

// noEOF returns err, which is not io.EOF: a part of a header has come.
func noEOF(err error) error {
	if err == io.EOF { //nolint:errorlint // an error that wraps it stays what it is
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseProxyHeader parses a whole header.
func parseProxyHeader(b []byte) (proxyHeader, error) {
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b), len(b)))
	if err != nil {
		return proxyHeader{}, noEOF(err)
	}
	source, ok1 := h.SourceAddr.(*net.TCPAddr)
	destination, ok2 := h.DestinationAddr.(*net.TCPAddr)
	if h.Command.IsLocal() || !ok1 || !ok2 {
		return proxyHeader{}, nil
	}
	return proxyHeader{source, destination}, nil
}
