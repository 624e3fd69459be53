package tlsrecord

import (
	"bytes"
	"encoding/binary"
)

// Types of handshake messages (RFC 8446 §4).
const (
	msgHelloRequest        = 0
	msgClientHello         = 1
	msgServerHello         = 2
	msgNewSessionTicket    = 4
	msgEndOfEarlyData      = 5
	msgEncryptedExtensions = 8
	msgCertificate         = 11
	msgFinished            = 20
	msgKeyUpdate           = 24
)

// Extensions (RFC 8446 §4.2, RFC 5077, RFC 7366, RFC 9849).
const (
	extServerName           = 0
	extALPN                 = 16
	extEncryptThenMAC       = 22
	extSessionTicket        = 35
	extPreSharedKey         = 41
	extEarlyData            = 42
	extSupportedVersions    = 43
	extEncryptedClientHello = 0xfe0d
)

// Versions of TLS.
const (
	version10 = 0x0301
	version12 = 0x0303
	version13 = 0x0304
)

// maxList bounds the entries of a list that are kept.
const maxList = 256

// helloRetry is the random of a ServerHello that is a HelloRetryRequest (RFC 8446 §4.1.3).
var helloRetry = random{
	0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91,
	0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
}

// reader takes fields from the front of a message. After a field that is not there, bad is true and
// all further ones are empty.
type reader struct {
	p   []byte
	bad bool
}

// next takes n octets.
func (r *reader) next(n int) []byte {
	if r.bad || n > len(r.p) {
		r.bad, r.p = true, nil
		return nil
	}
	out := r.p[:n]
	r.p = r.p[n:]
	return out
}

func (r *reader) uint8() int {
	if b := r.next(1); b != nil {
		return int(b[0])
	}
	return 0
}

func (r *reader) uint16() int {
	if b := r.next(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

// vector8 takes a vector with a length of one octet.
func (r *reader) vector8() *reader {
	p := r.next(r.uint8())
	return &reader{p: p, bad: r.bad}
}

// vector16 takes a vector with a length of two octets.
func (r *reader) vector16() *reader {
	p := r.next(r.uint16())
	return &reader{p: p, bad: r.bad}
}

// extensions calls f for each extension in what is left of the message.
func (r *reader) extensions(f func(typ int, body *reader)) {
	if r.bad || len(r.p) == 0 {
		return
	}
	for list := r.vector16(); !list.bad && len(list.p) > 0; {
		typ := list.uint16()
		body := list.vector16()
		if !list.bad {
			f(typ, body)
		}
	}
}

// grease reports whether a value is one of RFC 8701, which mean nothing.
func grease(v int) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

// clientHello is what is of use in a ClientHello.
type clientHello struct {
	random     random
	sessionID  []byte
	serverName string
	alpn       []string // without GREASE
	ticket     []byte   // of a session of TLS 1.2
	earlyData  bool
	encrypted  bool // it has an Encrypted ClientHello
}

// parseClientHello reads the body of a ClientHello. It reports false where it is none.
func parseClientHello(body []byte) (h clientHello, ok bool) {
	r := reader{p: body}
	r.uint16() // legacy_version
	copy(h.random[:], r.next(32))
	h.sessionID = bytes.Clone(r.vector8().p) // not to keep the whole message
	r.vector16()                             // cipher suites
	r.vector8()                              // compression
	if r.bad {
		return h, false
	}
	r.extensions(func(typ int, body *reader) {
		switch typ {
		case extServerName:
			h.serverName = parseServerName(body)
		case extALPN:
			h.alpn = parseALPN(body)
		case extSessionTicket:
			h.ticket = bytes.Clone(body.p)
		case extEarlyData:
			h.earlyData = true
		case extEncryptedClientHello:
			h.encrypted = true
		}
	})
	return h, true
}

// parseServerName reads the extension of RFC 6066 §3.
func parseServerName(body *reader) string {
	for list := body.vector16(); !list.bad && len(list.p) > 0; {
		typ := list.uint8()
		if name := list.vector16(); typ == 0 {
			return string(name.p)
		}
	}
	return ""
}

// parseALPN reads the list of RFC 7301 §3.1.
func parseALPN(body *reader) (names []string) {
	for list := body.vector16(); !list.bad && len(list.p) > 0 && len(names) < maxList; {
		name := string(list.vector8().p)
		if list.bad || len(name) == 2 && grease(int(name[0])<<8|int(name[1])) {
			continue
		}
		names = append(names, name)
	}
	return names
}

// serverHello is what is of use in a ServerHello.
type serverHello struct {
	version        uint16
	random         random
	sessionID      []byte
	suite          uint16
	compression    int
	alpn           string // of TLS 1.2
	preSharedKey   bool
	encryptThenMAC bool
}

// retry reports whether the message is a HelloRetryRequest.
func (h *serverHello) retry() bool { return h.random == helloRetry }

// parseServerHello reads the body of a ServerHello. It reports false where it is none.
func parseServerHello(body []byte) (h serverHello, ok bool) {
	r := reader{p: body}
	h.version = uint16(r.uint16())
	copy(h.random[:], r.next(32))
	h.sessionID = bytes.Clone(r.vector8().p)
	h.suite = uint16(r.uint16())
	h.compression = r.uint8()
	if r.bad {
		return h, false
	}
	r.extensions(func(typ int, body *reader) {
		switch typ {
		case extSupportedVersions:
			h.version = uint16(body.uint16())
		case extALPN:
			h.alpn = first(parseALPN(body))
		case extPreSharedKey:
			h.preSharedKey = true
		case extEncryptThenMAC:
			h.encryptThenMAC = true
		}
	})
	return h, true
}

// encryptedExtensions is what is of use in EncryptedExtensions (RFC 8446 §4.3.1).
type encryptedExtensions struct {
	alpn      string
	earlyData bool
}

func parseEncryptedExtensions(body []byte) (e encryptedExtensions) {
	r := reader{p: body}
	r.extensions(func(typ int, body *reader) {
		switch typ {
		case extALPN:
			e.alpn = first(parseALPN(body))
		case extEarlyData:
			e.earlyData = true
		}
	})
	return e
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
