package capture

import (
	"strconv"
	"time"
)

const (
	maxTwins   = 4096             // connections that are remembered
	twinOctets = 64               // of each direction, that are compared
	twinTime   = 30 * time.Second // between the two legs
)

// twins find the two legs of a tunnel, or of another relay, where both are in the capture. With
// TLS they have the same client random. Without, the first octets of both directions are the same,
// one of the two is in a tunnel, and the other goes to the port that the tunnel leads to.
type twins struct {
	seen  map[string]twin
	order []string // keys of seen, the oldest first
	ports map[uint16]bool
}

// A twin is a connection that may be one of two legs.
type twin struct {
	id     uint64
	nested bool
	t      time.Time
}

func newTwins() *twins { return &twins{seen: make(map[string]twin), ports: make(map[uint16]bool)} }

// expect says that there is a tunnel to a target.
func (w *twins) expect(target string) {
	if p, err := strconv.ParseUint(port(target), 10, 16); err == nil {
		w.ports[uint16(p)] = true
	}
}

// candidate reports whether a connection without TLS may be one of two legs.
func (w *twins) candidate(s *session) bool {
	return w != nil && (s.target != "" || s.depth == 0 && w.ports[s.info.Server.Port()])
}

// find returns the connection that was seen before with the same key, 0 for none; it is then
// forgotten. Otherwise the connection at hand is remembered. Without a client random, a leg within
// a tunnel belongs to one outside.
func (w *twins) find(key string, s *session, t time.Time, random bool) uint64 {
	me := twin{s.info.ID, s.depth > 0, t}
	if o, ok := w.seen[key]; ok && (random || o.nested != me.nested && t.Sub(o.t) < twinTime) {
		if !random {
			delete(w.seen, key)
		}
		return o.id
	}
	if _, ok := w.seen[key]; !ok {
		w.order = append(w.order, key)
	}
	w.seen[key] = me
	if len(w.order) > maxTwins {
		delete(w.seen, w.order[0])
		w.order = w.order[1:]
	}
	return 0
}

// twinWaits reports whether more octets have to come before it can be said if the connection is
// one of two legs.
func (s *session) twinWaits(v view) bool {
	return !v.last && s.a.twins.candidate(s) && (len(v.dirs[Client]) < twinOctets || len(v.dirs[Server]) < twinOctets)
}

// findTwin looks for the other leg.
func (s *session) findTwin(v view) {
	if !s.a.twins.candidate(s) {
		return
	}
	key := port(s.target)
	if s.depth == 0 {
		key = strconv.Itoa(int(s.info.Server.Port()))
	}
	for _, b := range v.dirs {
		key += "/" + string(b[:min(len(b), twinOctets)])
	}
	s.info.Twin = s.a.twins.find(key, s, s.info.Time, false)
}

// findTLSTwin looks for the other leg by the client random.
func (s *session) findTLSTwin() {
	if i := s.info.TLS; s.a.twins != nil && i != nil && len(i.ClientRandom) == 32 {
		s.info.Twin = s.a.twins.find(string(i.ClientRandom), s, s.info.Time, true)
	}
}
