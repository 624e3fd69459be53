package capture

import "time"

// How long packets wait for keys.
//
// crypto/tls gives the keys of a connection when it has derived them: a server before it writes
// anything that needs them, but a client when it has read such octets already, and a server of TLS
// 1.2 too. A packet with such octets therefore waits, with all that come behind it, until the
// file has the keys. It waits no longer where they do not come:
//
//  1. A TLS 1.2 session that is resumed has no line of its own (pcapwriter_session.go). The server
//     is then the first to send ChangeCipherSpec (RFC 5246 §7.3).
//  2. The connection is closed, or the PcapWriter.
//  3. More than maxHeldOctets of the connection, or maxAllHeldOctets of all, would wait; or the
//     first packet has waited for maxHeldTime when another one comes.
const (
	maxHeldOctets    = 256 << 10
	maxAllHeldOctets = 16 << 20
	maxHeldTime      = 10 * time.Second
)

// clientRandom is by what a key log names a connection.
type clientRandom [32]byte

// loggedKeys are the lines of a key log that the file has of a connection.
type loggedKeys struct {
	have   uint8  // bits of keyLabels
	master string // of TLS 1.2: the master secret, as in its line
	flows  []*pcapFlow
}

// What a connection needs, as bits of keyLabels.
const (
	tls12Keys = 1
	tls13Keys = 2 | 4 | 8 | 16
)

// keyLabels are the labels of lines that a connection may wait for.
var keyLabels = map[string]uint8{
	"CLIENT_RANDOM":                   1,
	"CLIENT_HANDSHAKE_TRAFFIC_SECRET": 2,
	"SERVER_HANDSHAKE_TRAFFIC_SECRET": 4,
	"CLIENT_TRAFFIC_SECRET_0":         8,
	"SERVER_TRAFFIC_SECRET_0":         16,
}

// add notes a line and reports whether it is new. k may be nil.
func (k *loggedKeys) add(label, secret string) bool {
	bit := keyLabels[label]
	if k == nil || bit == 0 {
		return true
	}
	if bit == tls12Keys {
		k.master = secret
	}
	isNew := k.have&bit == 0
	k.have |= bit
	return isNew
}

// complete reports whether the file has all that a connection needs.
func (k *loggedKeys) complete() bool {
	return k != nil && (k.have&tls12Keys != 0 || k.have&tls13Keys == tls13Keys)
}

// releaseLocked lets the packets go that have waited for the keys.
func (k *loggedKeys) releaseLocked() {
	for _, f := range k.flows {
		f.releaseLocked()
	}
}

// tlsScan finds in the octets of a connection when keys are needed.
type tlsScan struct {
	started bool      // a ClientHello was found
	done    bool      // nothing more is looked for
	resumed bool      // a session of TLS 1.2 is resumed
	data    bool      // the server has sent application data, or what TLS 1.3 makes look so
	client  Dir       // the side that has sent the ClientHello
	start   [2][]byte // what may be the beginning of one, by side
	records [2]recordScan

	offered, given ticketID // of the ClientHello, and of NewSessionTicket
}

// recordScan is how far the TLS records of a direction were read.
type recordScan struct {
	head     []byte // of a record whose header has not come as a whole
	typ      byte   // of the present record
	left     int    // octets of it that are still to come
	coded    bool   // ChangeCipherSpec was sent
	messages messageScan
}

const (
	tlsRecordHeader = 5
	// helloStart is what is needed of a ClientHello: the headers of record and message, the version
	// and the random (RFC 8446 §4.1.2, §5.1).
	helloStart = tlsRecordHeader + 4 + 2 + 32

	tlsChangeCipherSpec = 20
	tlsAlert            = 21
	tlsHandshake        = 22
	tlsApplicationData  = 23

	tlsClientHello      = 1
	tlsNewSessionTicket = 4
)

// hello takes octets of a side, and returns the random of a ClientHello once that has come. It may
// come behind something else, as behind CONNECT, but begins what the side has written at a time.
func (s *tlsScan) hello(d Dir, p []byte) (random clientRandom, found bool) {
	had := len(s.start[d])
	if had == 0 && !maybeHello(p) {
		return random, false
	}
	b := append(s.start[d], p[:min(len(p), helloStart-had)]...)
	if s.start[d] = b; !maybeHello(b) {
		s.start[d] = nil
		return s.hello(d, p)
	}
	if len(b) < helloStart {
		return random, false
	}
	copy(random[:], b[helloStart-len(random):])
	s.started, s.client = true, d
	_ = s.needsKeys(d, b[:had]) // a part of the ClientHello
	s.start = [2][]byte{}
	return random, true
}

// maybeHello reports whether a ClientHello may begin with b.
func maybeHello(b []byte) bool {
	return len(b) > 0 && b[0] == tlsHandshake && (len(b) < 2 || b[1] == 3) &&
		(len(b) <= tlsRecordHeader || b[tlsRecordHeader] == tlsClientHello)
}

// needsKeys takes the next octets of a side, behind the start of the ClientHello, and reports
// whether there is something in them that is encrypted.
func (s *tlsScan) needsKeys(d Dir, p []byte) bool {
	r, needs := &s.records[d], false
	for len(p) > 0 && !s.done {
		if r.left > 0 {
			n := min(r.left, len(p))
			if r.typ == tlsHandshake && !r.coded {
				r.messages.feed(p[:n], s.message)
			}
			r.left, p = r.left-n, p[n:]
			continue
		}
		n := min(tlsRecordHeader-len(r.head), len(p))
		r.head, p = append(r.head, p[:n]...), p[n:]
		if len(r.head) < tlsRecordHeader {
			break
		}
		r.typ, r.left = r.head[0], int(r.head[3])<<8|int(r.head[4])
		needs = s.record(d, r.typ) || needs
		r.head = r.head[:0]
	}
	return needs
}

// record reports whether a record of this type is encrypted.
func (s *tlsScan) record(d Dir, typ byte) bool {
	coded := s.records[d].coded
	switch typ {
	case tlsChangeCipherSpec: // TLS 1.3 has it too, without effect
		s.records[d].coded = true
		return false
	case tlsApplicationData:
		s.data = s.data || d != s.client
		return true
	case tlsAlert, tlsHandshake:
		// In TLS 1.3 neither side begins with ChangeCipherSpec and goes on with these.
		s.resumed = s.resumed || coded && d != s.client && !s.records[s.client].coded
		return coded
	default:
		s.done = true // that is no TLS
		return false
	}
}
