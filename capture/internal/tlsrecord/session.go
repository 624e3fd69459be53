package tlsrecord

import (
	"bytes"
	"crypto/sha256"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// maxSessions bounds the sessions that are remembered.
const maxSessions = 1 << 14

// sessions are the secrets of the sessions of TLS 1.2, by the hash of their ID or ticket: a
// connection that resumes one has the same master secret, and crypto/tls does not log it again.
type sessions struct {
	by    map[random]*secrets
	order []random
	next  int
}

// put remembers a session. An empty name is none.
func (s *sessions) put(name []byte, is *secrets) {
	if len(name) == 0 || is == nil {
		return
	}
	if s.by == nil {
		s.by = make(map[random]*secrets)
	}
	id := random(sha256.Sum256(name))
	if s.by[id] == nil {
		if len(s.order) < maxSessions {
			s.order = append(s.order, id)
		} else {
			delete(s.by, s.order[s.next])
			s.order[s.next] = id
			s.next = (s.next + 1) % maxSessions
		}
	}
	s.by[id] = is
}

// get returns the secrets of a session, or nil.
func (s *sessions) get(name []byte) *secrets { return s.by[sha256.Sum256(name)] }

// resumedSecrets returns the secrets of the session that a connection of TLS 1.2 resumes, or nil.
func (c *Conn) resumedSecrets() *secrets {
	if !c.info.Resumed || c.version() != version12 {
		return nil
	}
	if of := c.keys.sessions.get(c.hello.client.ticket); of != nil {
		return of
	}
	return c.keys.sessions.get(c.hello.server.sessionID)
}

// remember is called once the secrets of a connection of TLS 1.2 are known, or a ticket has come.
func (c *Conn) remember() {
	if c.secrets.find(labelMaster, 0) == nil || !c.hello.done[wire.Server] {
		return
	}
	c.keys.sessions.put(c.hello.server.sessionID, c.secrets)
	c.keys.sessions.put(c.hello.ticket, c.secrets)
}

// parseTicket reads a NewSessionTicket of TLS 1.2 (RFC 5077 §3.3).
func parseTicket(body []byte) []byte {
	r := reader{p: body}
	r.next(4) // lifetime
	return bytes.Clone(r.vector16().p)
}
