package tlsrecord

import (
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// A Conn decrypts a connection. It is a wire.Sink for the octets of TCP.
type Conn struct {
	keys  *Keys
	to    Sink
	times Times // to, if it is one
	begun bool  // times has been called
	o     Options

	halves    [2]half
	hello     hellos
	info      Info
	announced bool     // the Sink has the Info
	secrets   *secrets // of this connection; nil until they are needed and found
	suites    []*suite // one, or those that may be it
	guessed   bool     // there is no ServerHello, and TLS 1.3 is tried
	budget    int64    // octets that may be decrypted in vain

	held       held
	changed    bool   // since what is held was looked at, something has become known
	generation uint64 // of keys, when what is held was looked at
	forced     bool   // nothing is waited for
}

// hellos is what the messages of the handshake say.
type hellos struct {
	count  [2]int // of ClientHello and ServerHello, by direction
	client clientHello
	server serverHello
	done   [2]bool // client and server are set; server is no HelloRetryRequest
	early  earlyData
	named  bool   // of TLS 1.2: the message behind ServerHello has come
	ticket []byte // of TLS 1.2, that the server has issued
}

// earlyData says what has become of 0-RTT data.
type earlyData uint8

const (
	earlyNone    earlyData = iota
	earlyOffered           // and it is not known yet, or not to be known, what the server does
	earlyAccepted
	earlyRejected
)

// stage says which keys a direction uses.
type stage uint8

const (
	stageClear     stage = iota
	stageEarly           // 0-RTT data
	stageHandshake       // of TLS 1.3
	stageData
)

// half is one direction.
type half struct {
	dir     wire.Dir
	stage   stage
	key     *key   // nil in the clear, and while there is no secret for the stage
	hello   int    // of TLS 1.2: the count of the ServerHello that key is from
	later   *key   // the key of the next stage, once it was needed
	seq     uint64 // of the next record
	opened  bool   // key has opened a record
	failed  int    // records in a row that key has not opened
	in      input
	skip    int // octets to come of a record whose beginning is lost
	counted undecrypted
	failure string // why nothing more can be decrypted

	searching bool
	gap       int64 // octets since the last record that is known, without those of in; -1 is unknown
	passed    int64 // octets since the last record that is known which are in the capture, and were looked at

	messages messages
	broken   bool // what this direction sends in the clear is not all there
	padded   bool // records with padding were seen
	carried  bool // data was seen
	ticket   bool // of TLS 1.3: a NewSessionTicket was seen
	last     bool // no octets come any more
	closed   bool // the Sink has the End
}

// New returns a Conn that hands on what it decrypts with k.
func New(k *Keys, to Sink, o Options) *Conn {
	c := &Conn{keys: k, to: to, o: o, budget: minBudget, generation: k.generation}
	c.held.of = &k.held
	c.times, _ = to.(Times)
	c.begun = o.StartMissing
	for d := range c.halves {
		h := &c.halves[d]
		h.dir = wire.Dir(d)
		if o.StartMissing {
			h.broken = true
			c.lose(h, -1)
		}
	}
	return c
}

// Octets takes the next octets of a direction. They are not changed, and not kept.
func (c *Conn) Octets(d wire.Dir, t time.Time, p []byte) {
	c.budget += int64(len(p)) * budgetPerOctet
	c.keys.octets += int64(len(p))
	if d == wire.Client && c.times != nil && !c.begun {
		c.begun = true
		c.times.Begun(t)
	}
	c.submit(item{call: callOctets, d: d, t: t, octets: p})
}

// Lost takes the news that n octets of a direction are missing; n is -1 where it is not known.
func (c *Conn) Lost(d wire.Dir, t time.Time, n int64, _ string) {
	c.submit(item{call: callLost, d: d, t: t, lost: n})
}

// End is the last call for a direction.
func (c *Conn) End(d wire.Dir, t time.Time, how wire.How) {
	c.submit(item{call: callEnd, d: d, t: t, how: how})
}

// A verdict says what has become of a record.
type verdict uint8

const (
	done  verdict = iota
	wait          // it is not taken, and has to come again once more is known
	again         // it is not taken, and has to come again at once
)

// feed takes octets of a direction. It returns what is left of them where the verdict is wait.
func (c *Conn) feed(h *half, t time.Time, p []byte) (rest []byte, v verdict) {
	for {
		switch {
		case h.closed:
			return nil, done
		case h.failure != "":
			c.countFailed(h, t, p)
			return nil, done
		case h.skip > 0 && len(p) > 0:
			n := min(h.skip, len(p))
			h.skip -= n
			p = p[n:]
		case h.searching:
			if p, v = c.scan(h, t, p); v != again {
				return p, v
			}
		case h.in.whole():
			switch c.process(h, t, h.in.p) {
			case done:
				h.in.clear()
			case wait:
				return p, wait
			}
		case len(p) == 0:
			return nil, done
		default:
			if p, v = c.direct(h, t, p); v == wait {
				return p, wait
			}
		}
	}
}

// direct takes the record at the front of p. One that is not whole is kept.
func (c *Conn) direct(h *half, t time.Time, p []byte) (rest []byte, v verdict) {
	if len(h.in.p) == 0 && len(p) >= headerSize {
		if n := recordSize(p); n != 0 && n <= len(p) {
			if v = c.process(h, t, p[:n]); v == done {
				p = p[n:]
			}
			return p, v
		}
	}
	p = h.in.fill(p, headerSize)
	n := h.in.need()
	if n == 0 {
		c.strange(h)
	}
	return h.in.fill(p, n), done
}

// strange is called where something else follows than a record.
func (c *Conn) strange(h *half) {
	if h.stage == stageClear && c.hello.count[h.dir] == 0 {
		c.giveUp(h, "what the "+h.dir.String()+" sends is not TLS")
		return
	}
	c.lose(h, -1)
}

// process takes a record.
func (c *Conn) process(h *half, t time.Time, record []byte) verdict {
	switch {
	case h.stage != stageClear && c.version() == version13:
		return c.open13(h, t, record)
	case h.stage != stageClear:
		return c.open12(h, t, record)
	}
	switch record[0] {
	case recHandshake:
		c.handshake(h, t, record[headerSize:])
	case recAlert:
		c.alert(h, t, record[headerSize:])
	case recChangeCipherSpec:
		return c.changeCipherSpec(h)
	case recData:
		return c.firstData(h, t, record)
	}
	return done
}

// version is that of the ServerHello, or what is tried without one: 0 is unknown.
func (c *Conn) version() uint16 {
	if c.guessed {
		return version13
	}
	return c.info.Version
}

// data hands on plaintext.
func (c *Conn) data(h *half, t time.Time, p []byte) {
	if len(p) == 0 {
		return
	}
	h.carried = true
	c.announce()
	c.flush(h)
	c.to.Octets(h.dir, t, p)
}

// alert takes an alert (RFC 8446 §6).
func (c *Conn) alert(h *half, t time.Time, p []byte) {
	if len(p) != 2 {
		return
	}
	if p[1] == 0 {
		c.close(h, t, wire.Closed)
		return
	}
	if to, ok := c.to.(Alerts); ok {
		c.announce()
		to.Alert(h.dir, t, p[0] == 2, p[1])
	}
}

// end is called where no more octets come.
func (c *Conn) end(h *half, t time.Time, how wire.How) {
	if h.searching && h.failure == "" && !h.closed {
		c.endSearch(h, t)
	}
	if h.failure != "" {
		c.countFailed(h, t, nil)
	} else if n := len(h.in.p); n > 0 && (h.stage != stageClear || h.in.p[0] == recData) && !h.closed {
		why := "the stream ends within a record"
		if how == wire.Open {
			why = "the capture ends within a record"
		}
		c.undecrypted(h, t, why, int64(n))
	}
	h.in.clear()
	h.last, c.changed = true, true
	c.close(h, t, how)
}

// close tells the Sink that a direction is over.
func (c *Conn) close(h *half, t time.Time, how wire.How) {
	if h.closed {
		return
	}
	h.closed = true
	c.announce()
	c.flush(h)
	c.to.End(h.dir, t, how)
}

// announce tells the Sink of the handshake.
func (c *Conn) announce() {
	if !c.announced {
		c.announced = true
		c.to.Handshake(c.info)
	}
}
