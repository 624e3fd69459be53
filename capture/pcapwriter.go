package capture

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// flushDelay is how long what a PcapWriter has recorded may wait for more of it.
const flushDelay = 100 * time.Millisecond

// A PcapWriter records connections of this program as a capture in the format pcapng, with the
// secrets of their TLS, so that Wireshark and Read show at once what was in them. What writes a
// capture outside of a program needs rights for that, and has no secrets.
//
// Connections are recorded below TLS: WrapListener, WrapConn and WrapDial return connections that
// record what is read and written, in packets of TCP that the PcapWriter makes. Recording costs
// speed: such a connection is no socket for package server and client, which then do without what
// they know of sockets, and the file is written by the goroutines that read and write, which wait
// for it. What is recorded is in the file after 100 ms at the latest, and when Close has returned.
//
// An error of the file ends the recording, and no connection: see Err. All methods may be called by
// several goroutines at once.
type PcapWriter struct {
	over atomic.Bool // nothing more is recorded

	mu struct {
		sync.Mutex // held while the file is written
		ng         *pcapgo.NgWriter
		file       io.Closer // that of CreatePcap; nil without
		err        error     // of the file, the first one
		packet     gopacket.SerializeBuffer
		flush      *time.Timer // nil before the first packet
		flushDue   bool        // flush runs
		unnamed    uint16      // connections without addresses

		awaitsKeys bool // KeyLogWriter was called
		keys       map[clientRandom]*loggedKeys
		sessions   map[ticketID]string // master secrets
		held       int                 // octets of packets that wait for keys
	}
}

// CreatePcap makes a file for a capture, which replaces an old one. Only its owner may read it
// (mode 0600): the keys in it decrypt what is recorded.
func CreatePcap(name string) (*PcapWriter, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600) //nolint:gosec // the caller names the file
	if err != nil {
		return nil, err
	}
	w, err := createPcap(f)
	if err != nil {
		_ = f.Close() // the first error says more
		return nil, err
	}
	return w, nil
}

func createPcap(f *os.File) (*PcapWriter, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().IsRegular() { // not a pipe to Wireshark
		if err := errors.Join(f.Chmod(0o600), f.Truncate(0)); err != nil {
			return nil, err
		}
	}
	w, err := NewPcapWriter(f)
	if err != nil {
		return nil, err
	}
	w.mu.file = f
	return w, nil
}

// NewPcapWriter writes a capture to w, with the keys that decrypt it.
func NewPcapWriter(w io.Writer) (*PcapWriter, error) {
	ng, err := pcapgo.NewNgWriterInterface(w, pcapgo.NgInterface{
		Name: "sluice", Description: "connections of a program, recorded below their TLS",
		LinkType: layers.LinkTypeRaw, TimestampResolution: 9,
	}, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "sluice"}})
	if err == nil {
		err = ng.Flush()
	}
	if err != nil {
		return nil, err
	}
	p := &PcapWriter{}
	p.mu.ng, p.mu.packet = ng, gopacket.NewSerializeBuffer()
	p.mu.keys, p.mu.sessions = map[clientRandom]*loggedKeys{}, map[ticketID]string{}
	return p, nil
}

// Err returns the error of the file that has ended the recording; nil is none.
func (w *PcapWriter) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.err
}

// Close writes what is left, closes the file if CreatePcap has made it, and returns the first error
// of the file. Connections go on and are recorded no more.
func (w *PcapWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.ng == nil {
		return w.mu.err
	}
	for _, k := range w.mu.keys {
		k.releaseLocked()
	}
	w.flushLocked()
	w.over.Store(true)
	w.mu.ng = nil
	if w.mu.flush != nil {
		w.mu.flush.Stop()
	}
	if w.mu.file != nil {
		w.noteLocked(w.mu.file.Close())
	}
	return w.mu.err
}

// KeyLogWriter returns what is to be set as the KeyLogWriter of the tls.Config of connections that
// are recorded. Each line becomes a Decryption Secrets Block, in front of the packets that need it.
// A packet whose keys are not known yet waits for them, within bounds. A connection with Encrypted
// ClientHello (RFC 9849) is not decrypted: its keys have another name than its packets.
func (w *PcapWriter) KeyLogWriter() io.Writer {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.awaitsKeys = true
	return (*keyLog)(w)
}

// keyLog is a PcapWriter as the KeyLogWriter of a tls.Config.
type keyLog PcapWriter

// Write takes whole lines. It never fails, since that would end the handshake.
func (l *keyLog) Write(p []byte) (int, error) {
	w := (*PcapWriter)(l)
	w.mu.Lock()
	defer w.mu.Unlock()
	for line := range strings.Lines(string(p)) {
		w.lineLocked(line)
	}
	return len(p), nil
}

// lineLocked takes a line of a key log.
func (w *PcapWriter) lineLocked(line string) {
	var random clientRandom
	f := strings.Fields(line)
	if len(f) != 3 || len(f[1]) != hex.EncodedLen(len(random)) {
		return
	}
	if _, err := hex.Decode(random[:], []byte(f[1])); err == nil {
		w.keyLineLocked(f[0], random, f[2])
	}
}

// keyLineLocked records a line of a key log, unless the file has it, and the packets that have
// waited for it.
func (w *PcapWriter) keyLineLocked(label string, random clientRandom, secret string) {
	k := w.mu.keys[random] // nil where the connection is not one that is recorded, such as one within another
	if !k.add(label, secret) || w.over.Load() {
		return
	}
	line := fmt.Appendf(nil, "%s %x %s\n", label, random, secret)
	w.noteLocked(w.mu.ng.WriteDecryptionSecretsBlock(pcapgo.DSB_SECRETS_TYPE_TLS, line))
	w.flushSoonLocked()
	if k.complete() {
		k.releaseLocked()
	}
}

// writeLocked records a packet.
func (w *PcapWriter) writeLocked(t time.Time, packet []byte) {
	if w.over.Load() {
		return
	}
	w.noteLocked(w.mu.ng.WritePacket(gopacket.CaptureInfo{
		Timestamp: t, CaptureLength: len(packet), Length: len(packet),
	}, packet))
	w.flushSoonLocked()
}

// noteLocked ends the recording for an error of the file.
func (w *PcapWriter) noteLocked(err error) {
	if err != nil && w.mu.err == nil {
		w.mu.err = err
		w.over.Store(true)
	}
}

// flushSoonLocked has the file written within flushDelay.
func (w *PcapWriter) flushSoonLocked() {
	if w.mu.flushDue || w.over.Load() {
		return
	}
	w.mu.flushDue = true
	if w.mu.flush != nil {
		w.mu.flush.Reset(flushDelay)
		return
	}
	w.mu.flush = time.AfterFunc(flushDelay, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.mu.flushDue = false
		w.flushLocked()
	})
}

func (w *PcapWriter) flushLocked() {
	if !w.over.Load() {
		w.noteLocked(w.mu.ng.Flush())
	}
}
