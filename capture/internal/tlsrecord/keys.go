package tlsrecord

import (
	"bytes"
	"encoding/hex"
	"strconv"
)

// What Keys has takes up to 60 MB: the oldest client randoms are given up, with their secrets.
const (
	maxConnections = 1 << 17            // client randoms
	maxSecrets     = 5 * maxConnections // secrets of all of them that there is room for
)

// moreSecrets is for how many secrets more there is room after the first one: TLS 1.3 has up to
// five, TLS 1.2 has one.
const moreSecrets = 4

// maxUpdates bounds the numbers of traffic secrets that are read. Those after a KeyUpdate are
// derived where they are not in the log.
const maxUpdates = 15

// maxGuessed bounds the octets that are decrypted in vain, by all connections, because all secrets
// of the log are tried.
const maxGuessed = 1 << 30

// random is the Random of a ClientHello.
type random [32]byte

// A label says what a secret is for.
type label uint8

const (
	labelNone label = iota
	labelMaster
	labelEarly
	labelClientHandshake
	labelServerHandshake
	labelClientTraffic
	labelServerTraffic
	labelIgnored // of the format, but of no use here
)

// labels are those of the NSS key log format.
var labels = map[string]label{
	"CLIENT_RANDOM":                   labelMaster,
	"CLIENT_EARLY_TRAFFIC_SECRET":     labelEarly,
	"CLIENT_HANDSHAKE_TRAFFIC_SECRET": labelClientHandshake,
	"SERVER_HANDSHAKE_TRAFFIC_SECRET": labelServerHandshake,
	"EXPORTER_SECRET":                 labelIgnored,
	"EARLY_EXPORTER_SECRET":           labelIgnored,
	"EARLY_EXPORTER_MASTER_SECRET":    labelIgnored,
	"ECH_SECRET":                      labelIgnored,
	"ECH_CONFIG":                      labelIgnored,
	"RSA":                             labelIgnored,
}

func (l label) String() string {
	for name, is := range labels {
		if is == l {
			return name
		}
	}
	return map[label]string{
		labelClientTraffic: "CLIENT_TRAFFIC_SECRET_0",
		labelServerTraffic: "SERVER_TRAFFIC_SECRET_0",
	}[l]
}

// A secret is a line of a key log.
type secret struct {
	label  label
	update uint8 // of a traffic secret: the KeyUpdates before it
	size   uint8 // 32 or 48 octets
	value  [48]byte
}

func (s *secret) octets() []byte { return s.value[:s.size] }

// secrets are those of a client random.
type secrets struct {
	random random
	list   []secret
}

// find returns a secret, or nil.
func (s *secrets) find(l label, update int) []byte {
	if s == nil {
		return nil
	}
	for i := range s.list {
		if s.list[i].label == l && int(s.list[i].update) == update {
			return s.list[i].octets()
		}
	}
	return nil
}

// tls13 reports whether there are secrets of TLS 1.3.
func (s *secrets) tls13() bool {
	for i := range s.list {
		if s.list[i].label > labelMaster {
			return true
		}
	}
	return false
}

// Keys are the secrets of key logs in the format of NSS (SSLKEYLOGFILE). The zero value has none.
type Keys struct {
	byRandom   map[random]*secrets
	order      []*secrets // oldest first
	room       int        // secrets that the lists have room for, of maxSecrets
	junk       int
	sessions   sessions
	guessed    int64  // of maxGuessed
	held       int    // octets that wait, of all connections
	vain       int64  // octets that were decrypted in vain, by all connections
	octets     int64  // that all connections have had
	generation uint64 // counts the calls of Add that have brought something
}

// Add takes the whole lines of a key log, in any order, and returns how many of them have a secret
// that is of use. Comments, empty lines, and lines for exporters and RSA are passed over; lines
// that are not of the format are counted by Junk.
func (k *Keys) Add(text []byte) (lines int) {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		r, s := parseLine(line)
		switch s.label {
		case labelNone:
			k.junk++
		case labelIgnored:
		default:
			k.put(r, s)
			lines++
		}
	}
	if lines > 0 {
		k.generation++
	}
	return lines
}

// Junk is the number of lines that were not understood.
func (k *Keys) Junk() int { return k.junk }

// Connections is the number of client randoms that there are secrets for.
func (k *Keys) Connections() int { return len(k.order) }

// get returns the secrets of a client random, or nil.
func (k *Keys) get(r random) *secrets { return k.byRandom[r] }

// draw takes up to n octets out of maxGuessed.
func (k *Keys) draw(n int64) int64 {
	n = min(n, maxGuessed-k.guessed)
	k.guessed += n
	return n
}

// put keeps a secret. A later one of the same label takes the place of an earlier one.
func (k *Keys) put(r random, s secret) {
	of := k.byRandom[r]
	if of == nil {
		of = k.open(r)
	}
	for i := range of.list {
		if of.list[i].label == s.label && of.list[i].update == s.update {
			of.list[i] = s
			return
		}
	}
	if len(of.list) == cap(of.list) {
		of = k.grow(of)
	}
	of.list = append(of.list, s)
}

// open begins the secrets of a client random.
func (k *Keys) open(r random) *secrets {
	if k.byRandom == nil {
		k.byRandom = make(map[random]*secrets)
	}
	if len(k.order) == maxConnections {
		k.evict()
	}
	of := &secrets{random: r}
	k.order = append(k.order, of)
	k.byRandom[r] = of
	return of
}

// grow makes room for a secret more, and returns those of the same client random: others, where it
// was the oldest one and had to make room itself.
func (k *Keys) grow(of *secrets) *secrets {
	for k.room+moreSecrets > maxSecrets && k.order[0] != of {
		k.evict()
	}
	if k.room+moreSecrets > maxSecrets {
		k.evict()
		of = k.open(of.random)
	}
	more := moreSecrets
	if len(of.list) == 0 {
		more = 1
	}
	k.room += more
	of.list = append(make([]secret, 0, len(of.list)+more), of.list...)
	return of
}

// evict gives the oldest client random up.
func (k *Keys) evict() {
	of := k.order[0]
	k.order[0] = nil
	k.order = k.order[1:]
	k.room -= cap(of.list)
	delete(k.byRandom, of.random)
}

// parseLine reads "LABEL hex-of-random hex-of-secret". The label of the secret is labelNone where
// the line is not of the format.
func parseLine(line []byte) (r random, s secret) {
	parts := bytes.Fields(line[:min(len(line), 512)])
	if len(parts) != 3 || len(line) > 512 {
		return r, secret{label: ignoredLabel(parts)}
	}
	l, update := parseLabel(string(parts[0]))
	if l == labelNone || l == labelIgnored {
		return r, secret{label: l}
	}
	if !decodeHex(r[:], parts[1], 32) {
		return r, secret{}
	}
	size := len(parts[2]) / 2
	if size != 48 && (size != 32 || l == labelMaster) {
		return r, secret{}
	}
	s = secret{label: l, update: uint8(update), size: uint8(size)}
	if !decodeHex(s.value[:], parts[2], size) {
		return r, secret{}
	}
	return r, s
}

// ignoredLabel is the label of a line that has not three parts, or that is long: lines for ECH and
// RSA may be either.
func ignoredLabel(parts [][]byte) label {
	if len(parts) > 0 && labels[string(parts[0])] == labelIgnored {
		return labelIgnored
	}
	return labelNone
}

// parseLabel tells what a label is, and of a traffic secret its number.
func parseLabel(name string) (label, int) {
	if l, ok := labels[name]; ok {
		return l, 0
	}
	for prefix, l := range map[string]label{
		"CLIENT_TRAFFIC_SECRET_": labelClientTraffic,
		"SERVER_TRAFFIC_SECRET_": labelServerTraffic,
	} {
		digits, ok := bytes.CutPrefix([]byte(name), []byte(prefix))
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(string(digits), 10, 32)
		switch {
		case err != nil:
			return labelNone, 0
		case n > maxUpdates:
			return labelIgnored, 0
		}
		return l, int(n)
	}
	return labelNone, 0
}

// decodeHex decodes the n octets of text to the front of to, and reports whether there are as many.
func decodeHex(to, text []byte, n int) bool {
	if len(text) != 2*n {
		return false
	}
	_, err := hex.Decode(to, text)
	return err == nil
}
