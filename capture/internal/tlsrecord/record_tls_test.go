package tlsrecord

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/internal/memconn"
)

// A piece is what one Write has sent.
type piece struct {
	d      wire.Dir
	octets []byte
}

// A tape has what has passed in both directions, in order.
type tape struct {
	mu     sync.Mutex
	pieces []piece
	grown  chan struct{} // has an element once there are more; nil if nobody waits
}

func (tp *tape) add(d wire.Dir, p []byte) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.pieces = append(tp.pieces, piece{d, bytes.Clone(p)})
	select {
	case tp.grown <- struct{}{}:
	default:
	}
}

// await waits until a condition holds, which may do so once something has passed.
func (tp *tape) await(t *testing.T, holds func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for !holds() {
		select {
		case <-tp.grown:
		case <-deadline:
			t.Fatal("nothing passes")
		}
	}
}

// sizes is how many pieces of a size have passed.
func (tp *tape) sizes(d wire.Dir, size int) (n int) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	for _, p := range tp.pieces {
		if p.d == d && len(p.octets) == size {
			n++
		}
	}
	return n
}

// A taped conn puts what is written to it on a tape.
type taped struct {
	net.Conn
	d    wire.Dir
	tape *tape
}

func (c *taped) Write(p []byte) (int, error) {
	c.tape.add(c.d, p)
	return c.Conn.Write(p)
}

// An exchange is a connection of crypto/tls on a tape.
type exchange struct {
	tape
	keyLog bytes.Buffer
	sent   [2][]byte // plaintext, by direction
	state  tls.ConnectionState
	info   Info // of those in testdata
}

var certificates = sync.OnceValues(func() (rsaCert, ecdsaCert tls.Certificate) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "example.com"}, DNSNames: []string{"example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	rsaDER, err := x509.CreateCertificate(rand.Reader, template, template, &r.PublicKey, r)
	if err != nil {
		panic(err)
	}
	ecdsaDER, err := x509.CreateCertificate(rand.Reader, template, template, &e.PublicKey, e)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{rsaDER}, PrivateKey: r},
		tls.Certificate{Certificate: [][]byte{ecdsaDER}, PrivateKey: e}
})

// configs returns a client and a server with the defaults of these tests.
func configs() (client, server *tls.Config) {
	rsaCert, ecdsaCert := certificates()
	client = &tls.Config{
		InsecureSkipVerify: true, ServerName: "example.com", NextProtos: []string{"h2", "http/1.1"},
	}
	server = &tls.Config{Certificates: []tls.Certificate{ecdsaCert, rsaCert}, NextProtos: []string{"h2"}}
	server.SetSessionTicketKeys([][32]byte{{1}}) // those of the clones, too
	return client, server
}

// run makes an exchange: the client sends requests, and the server answers each one of them.
func run(t testing.TB, client, server *tls.Config, requests, responses [][]byte) *exchange {
	t.Helper()
	x := &exchange{}
	client, server = client.Clone(), server.Clone()
	client.KeyLogWriter = &x.keyLog
	a, b := memconn.Pipe(memconn.Options{})
	cc := tls.Client(&taped{a, wire.Client, &x.tape}, client)
	sc := tls.Server(&taped{b, wire.Server, &x.tape}, server)
	failed := make(chan error, 1)
	go func() {
		defer sc.Close()
		for i, request := range requests {
			if _, err := io.ReadFull(sc, make([]byte, len(request))); err != nil {
				failed <- err
				return
			}
			if _, err := sc.Write(responses[i]); err != nil {
				failed <- err
				return
			}
		}
		_, err := io.Copy(io.Discard, sc)
		failed <- err
	}()
	for i, request := range requests {
		if _, err := cc.Write(request); err != nil {
			t.Fatalf("client writes: %v", err)
		}
		if _, err := io.ReadFull(cc, make([]byte, len(responses[i]))); err != nil {
			t.Fatalf("client reads: %v", err)
		}
		x.sent[wire.Client] = append(x.sent[wire.Client], request...)
		x.sent[wire.Server] = append(x.sent[wire.Server], responses[i]...)
	}
	x.state = cc.ConnectionState()
	closed := make(chan struct{})
	go func() { io.Copy(io.Discard, cc); close(closed) }()
	if err := cc.CloseWrite(); err != nil {
		t.Fatalf("client closes: %v", err)
	}
	if err := <-failed; err != nil {
		t.Fatalf("server: %v", err)
	}
	<-closed
	return x
}

// keys are those of the exchange.
func (x *exchange) keys() *Keys {
	k := &Keys{}
	k.Add(x.keyLog.Bytes())
	return k
}

// gap is a loss that a Sink was told of.
type gap struct {
	at int // octets delivered before it
	n  int64
}

// result is a Sink that keeps what it is told.
type result struct {
	info   []Info
	got    [2][]byte
	lost   [2][]gap
	ends   [2][]wire.How
	why    [2]string
	hidden [2]int64 // octets that were not decrypted
	alerts []uint8
	early  bool // data came before Handshake
	at     [2]time.Time
	back   bool // time has gone back
}

func (r *result) Handshake(i Info) { r.info = append(r.info, i) }

func (r *result) Octets(d wire.Dir, t time.Time, p []byte) {
	r.early = r.early || len(r.info) == 0
	r.back = r.back || t.Before(r.at[d])
	r.at[d] = t
	r.got[d] = append(r.got[d], p...)
}

func (r *result) Lost(d wire.Dir, _ time.Time, n int64, _ string) {
	if i := len(r.lost[d]) - 1; i >= 0 && r.lost[d][i].at == len(r.got[d]) {
		if before := &r.lost[d][i].n; n < 0 || *before < 0 {
			*before = -1
		} else {
			*before += n
		}
		return
	}
	r.lost[d] = append(r.lost[d], gap{len(r.got[d]), n})
}

func (r *result) End(d wire.Dir, _ time.Time, how wire.How) { r.ends[d] = append(r.ends[d], how) }

func (r *result) Undecrypted(why string, d wire.Dir, _ time.Time, n int64) {
	r.early = r.early || len(r.info) == 0
	r.why[d] = why
	r.hidden[d] += n
}

func (r *result) Alert(_ wire.Dir, _ time.Time, _ bool, description uint8) {
	r.alerts = append(r.alerts, description)
}

// play gives a tape to a Conn.
func play(k *Keys, o Options, pieces []piece) *result {
	r := &result{}
	c := New(k, r, o)
	t := time.Unix(1, 0)
	for _, p := range pieces {
		t = t.Add(time.Millisecond)
		c.Octets(p.d, t, p.octets)
	}
	c.End(wire.Client, t, wire.Closed)
	c.End(wire.Server, t, wire.Closed)
	return r
}
