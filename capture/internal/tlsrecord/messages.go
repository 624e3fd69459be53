package tlsrecord

// maxMessage bounds the messages that are kept to be read. No ClientHello in use comes near it.
const maxMessage = 1 << 16

// messages finds the messages of the handshake in the content of records: a record may have
// several, and a message may take several records (RFC 8446 §5.1). Of most types the body is not
// kept.
type messages struct {
	head [4]byte // type and length
	n    int     // octets of head that are there
	left int     // octets of the body to come
	body []byte  // nil where it is not kept
	lost bool    // where a message begins is not known
}

// feed takes the content of a record, and calls f for each message that ends in it. The body is nil
// for those that are not kept.
func (m *messages) feed(p []byte, f func(typ byte, body []byte)) {
	for len(p) > 0 && !m.lost {
		if m.n < len(m.head) {
			k := copy(m.head[m.n:], p)
			m.n += k
			p = p[k:]
			if m.n < len(m.head) {
				return
			}
			m.left = int(m.head[1])<<16 | int(m.head[2])<<8 | int(m.head[3])
			m.body = nil
			if m.kept() {
				m.body = make([]byte, 0, min(m.left, 1024))
			}
		}
		k := min(m.left, len(p))
		if m.body != nil {
			m.body = append(m.body, p[:k]...)
		}
		m.left -= k
		p = p[k:]
		m.finish(f)
	}
}

// kept reports whether the message that begins is of use.
func (m *messages) kept() bool {
	switch m.head[0] {
	case msgClientHello, msgServerHello, msgNewSessionTicket, msgEncryptedExtensions, msgKeyUpdate:
		return m.left <= maxMessage
	}
	return false
}

// finish calls f where the message is complete.
func (m *messages) finish(f func(typ byte, body []byte)) {
	if m.n < len(m.head) || m.left > 0 {
		return
	}
	body := m.body
	m.n, m.body = 0, nil
	f(m.head[0], body)
}

// skip passes over n octets that are missing. Only within a body that is not kept is it still known
// afterwards where the next message begins; it reports whether it is.
func (m *messages) skip(n int, f func(typ byte, body []byte)) bool {
	if m.lost || m.n < len(m.head) || m.body != nil || n > m.left {
		*m = messages{lost: true}
		return false
	}
	m.left -= n
	m.finish(f)
	return true
}
