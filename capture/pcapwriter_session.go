package capture

import "crypto/sha256"

// A session of TLS 1.2 that is resumed has the master secret of the first connection, and a random
// of its own, for which crypto/tls gives no line. A PcapWriter makes that line: it remembers the
// master secret by the ticket that the server has given (RFC 5077 §3.3), and finds it by the one
// that the client offers.

// maxSessions is how many sessions a PcapWriter remembers.
const maxSessions = 1000

// ticketID is a hash of a ticket; the zero one is none.
type ticketID [sha256.Size]byte

// sessionLocked gives a connection the keys of the session that is resumed, and remembers its own.
func (f *pcapFlow) sessionLocked() {
	w := f.w
	if f.scan.resumed && f.keys.master == "" && f.scan.offered != (ticketID{}) {
		if master, ok := w.mu.sessions[f.scan.offered]; ok {
			w.keyLineLocked("CLIENT_RANDOM", f.random, master)
		}
		f.scan.offered = ticketID{}
	}
	if f.scan.given == (ticketID{}) || f.keys.master == "" {
		return
	}
	if len(w.mu.sessions) >= maxSessions {
		for id := range w.mu.sessions { // any one
			delete(w.mu.sessions, id)
			break
		}
	}
	w.mu.sessions[f.scan.given] = f.keys.master
	f.scan.given = ticketID{}
}

// message takes a message of the handshake.
func (s *tlsScan) message(typ byte, body []byte) {
	switch typ {
	case tlsClientHello:
		s.offered = idOf(offeredTicket(body))
	case tlsNewSessionTicket: // ticket_lifetime_hint and the ticket
		r := tlsReader{body}
		r.next(4)
		s.given = idOf(r.vector(2))
	}
}

func idOf(ticket []byte) ticketID {
	if len(ticket) == 0 {
		return ticketID{}
	}
	return sha256.Sum256(ticket)
}

// offeredTicket returns the ticket in the body of a ClientHello (RFC 5077 §3.2); nil is none.
func offeredTicket(hello []byte) []byte {
	const sessionTicket = 35
	r := tlsReader{hello}
	r.next(2 + len(clientRandom{}))
	r.vector(1) // the session's ID
	r.vector(2) // cipher suites
	r.vector(1) // compression
	for extensions := (tlsReader{r.vector(2)}); len(extensions.p) > 0; {
		typ := extensions.number(2)
		if ext := extensions.vector(2); typ == sessionTicket {
			return ext
		}
	}
	return nil
}

// tlsReader takes fields from a message. Where one is cut off, it is empty and so is all behind it.
type tlsReader struct{ p []byte }

func (r *tlsReader) next(n int) []byte {
	if n > len(r.p) {
		r.p = nil
		return nil
	}
	field := r.p[:n]
	r.p = r.p[n:]
	return field
}

// number takes a number of n octets.
func (r *tlsReader) number(n int) (v int) {
	for _, b := range r.next(n) {
		v = v<<8 | int(b)
	}
	return v
}

// vector takes a field that begins with its length, which has n octets.
func (r *tlsReader) vector(n int) []byte { return r.next(r.number(n)) }

// maxMessageOctets bounds a message that is looked at.
const maxMessageOctets = 16 << 10

// messageScan finds the messages of a handshake in the octets of its records.
type messageScan struct {
	head []byte // of a message whose header has not come as a whole
	typ  byte   // of the present message
	left int    // octets of it that are still to come
	body []byte // of one that is looked at
}

// feed takes octets and calls f for each message with a ticket that is complete.
func (m *messageScan) feed(p []byte, f func(typ byte, body []byte)) {
	const header = 4
	for len(p) > 0 {
		if m.left == 0 {
			n := min(header-len(m.head), len(p))
			m.head, p = append(m.head, p[:n]...), p[n:]
			if len(m.head) < header {
				return
			}
			r := tlsReader{m.head}
			m.typ, m.left = byte(r.number(1)), r.number(3)
			m.head, m.body = m.head[:0], nil
			continue
		}
		n := min(m.left, len(p))
		m.left -= n
		wanted := m.typ == tlsClientHello || m.typ == tlsNewSessionTicket
		if wanted && len(m.body)+n+m.left <= maxMessageOctets {
			m.body = append(m.body, p[:n]...)
			if m.left == 0 {
				f(m.typ, m.body)
				m.body = nil
			}
		}
		p = p[n:]
	}
}
