package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/tunnel"
)

// relayEnv is the variable that says, in the environment of a child process, that it is a proxy,
// with a relaySpec, or the two ends of the load, with relayEnds.
const (
	relayEnv  = "SLUICE_COMPARE_RELAY"
	relayEnds = "ends"
)

// A relaySpec is what a proxy of this module is started with.
type relaySpec struct {
	Name      string
	Cert, Key string // files, in PEM
	Backend   string // the address of the proxy behind
	Profile   string // file for a CPU profile, "" for none
}

// A relayJob is what the ends of the load are asked to do.
type relayJob struct {
	Proxy    string    `json:"proxy"` // address
	Root     []byte    `json:"root"`  // its certificate
	Kind     relayKind `json:"kind"`
	Count    int       `json:"count"`
	InFlight int       `json:"in_flight"`
	Size     int64     `json:"size"`
}

type relayDone struct {
	Took    time.Duration `json:"took_ns"`
	Problem string        `json:"problem,omitempty"`
}

// relayMain runs a proxy, or the ends of a load, if this process was started as one, and reports
// whether it was.
func relayMain() bool {
	setting, ok := os.LookupEnv(relayEnv)
	if !ok {
		return false
	}
	run := relayLoadMain
	if setting != relayEnds {
		run = func(in io.Reader, out io.Writer) error { return relayProxyMain(setting, in, out) }
	}
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "compare, as a relay:", err)
		os.Exit(1)
	}
	return true
}

func relayWhat(name string) string {
	if name == direct {
		return "this module's server without a proxy, " + runtime.Version()
	}
	return "this module's tunnel.Proxy, " + runtime.Version()
}

// relayProxyMain serves as a proxy, or with the answers of package peerserver, until in ends.
func relayProxyMain(setting string, in io.Reader, out io.Writer) error {
	var spec relaySpec
	if err := json.Unmarshal([]byte(setting), &spec); err != nil {
		return err
	}
	cert, err := tls.LoadX509KeyPair(spec.Cert, spec.Key)
	if err != nil {
		return err
	}
	behind := &url.URL{Scheme: "http", Host: spec.Backend}
	s := &server.Server{
		Handler: &tunnel.Proxy{
			Policy:   &tunnel.Rules{AllowPrivate: true, Ports: tunnel.Ports{{First: 1, Last: 65535}}},
			Upstream: func(*tunnel.Target) (*url.URL, error) { return behind, nil },
		},
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
		ErrorLog:  peerserver.Quiet,
	}
	if spec.Name == direct {
		s.Handler = http.HandlerFunc(peerserver.Handler)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if spec.Profile != "" {
		f, err := os.Create(spec.Profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, in)
		pprof.StopCPUProfile()
		os.Exit(0)
	}()
	return s.ServeTLS(l, "", "")
}

// relayLoadMain greets with the address of the proxy behind, and then does a job for each line of
// in.
func relayLoadMain(in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go serveBehind(l)
	fmt.Fprintln(out, l.Addr())
	enc := json.NewEncoder(out)
	var e relayEnd
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var j relayJob
		if err := json.Unmarshal(lines.Bytes(), &j); err != nil {
			return err
		}
		start := time.Now()
		err := e.do(j)
		d := relayDone{Took: time.Since(start)}
		if err != nil {
			d.Problem = err.Error()
		}
		if err := enc.Encode(d); err != nil {
			return err
		}
	}
	return nil
}

// A relayEnd is the client of a proxy.
type relayEnd struct {
	transport *client.Transport
	cc        *client.ClientConn
}

// connect makes the one connection to the proxy.
func (e *relayEnd) connect(j relayJob) error {
	cert, err := x509.ParseCertificate(j.Root)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	nc, err := tls.Dial("tcp", j.Proxy, &tls.Config{RootCAs: roots, NextProtos: []string{"h2"}})
	if err != nil {
		return err
	}
	e.transport = &client.Transport{}
	e.cc, err = e.transport.NewClientConn(nc)
	return err
}

func (e *relayEnd) do(j relayJob) error {
	if j.Count == 0 {
		runtime.GC()
		return nil
	}
	if e.cc == nil {
		if err := e.connect(j); err != nil {
			return err
		}
	}
	var wg sync.WaitGroup
	problems := make([]error, j.InFlight)
	for i := range j.InFlight {
		share := j.Count / j.InFlight
		if i < j.Count%j.InFlight {
			share++
		}
		wg.Go(func() {
			for range share {
				if problems[i] = e.one(j); problems[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(problems...)
}

// one makes one tunnel or request.
func (e *relayEnd) one(j relayJob) error {
	if j.Kind == relayGet || j.Kind == directGet {
		return e.get(j)
	}
	// The target's name says what the origin does: see serveBehind.
	target := fmt.Sprintf("%s.%d.example:443", j.Kind, j.Size)
	req := &http.Request{
		Method: http.MethodConnect, URL: &url.URL{Scheme: "https", Host: target}, Host: target, Header: http.Header{},
	}
	t, resp, err := e.cc.Connect(req)
	if err != nil {
		return err
	}
	if t == nil {
		resp.Body.Close()
		return fmt.Errorf("CONNECT: %s", resp.Status)
	}
	// Not every proxy takes END_STREAM for the end of a tunnel.
	defer t.Abort(frame.Cancel)
	return carry(t, j)
}

// carry has the tunnel carry what the job wants, and checks the number of octets.
func carry(t *conn.Tunnel, j relayJob) error {
	switch j.Kind {
	case relayUp:
		if err := writeOctets(t, j.Size); err != nil {
			return err
		}
	case relayEcho:
		if _, err := t.Write([]byte{1}); err != nil {
			return err
		}
	}
	// Neither side ends its direction before both are done: not every proxy keeps half a tunnel.
	want := int64(1)
	if j.Kind == relayDown {
		want = j.Size
	}
	return read(t, want)
}

// get makes a request with the scheme http.
func (e *relayEnd) get(j relayJob) error {
	u := "http://get.example/"
	if j.Kind == directGet {
		u = "https://" + j.Proxy + peerserver.Hello
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, u, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := e.cc.RoundTrip(req)
	if err != nil {
		return err
	}
	n, err := drain(resp.Body, make([]byte, 512))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || n != int64(len(peerserver.Answer)) {
		return fmt.Errorf("%s with %d octets", resp.Status, n)
	}
	return nil
}

// serveBehind is the proxy behind the one that is measured, and the origin.
func serveBehind(l net.Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer nc.Close()
			if err := serveOne(nc.(*net.TCPConn)); err != nil && !errors.Is(err, io.EOF) {
				fmt.Fprintln(os.Stderr, "compare, as the origin:", err)
			}
		}()
	}
}

// serveOne answers requests, or is the far end of a tunnel whose target names a relayKind and a
// number of octets.
func serveOne(nc *net.TCPConn) error {
	r := bufio.NewReaderSize(nc, 64<<10)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return err
		}
		if req.Method != http.MethodConnect {
			_, err := fmt.Fprintf(
				nc,
				"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s",
				len(peerserver.Answer),
				peerserver.Answer,
			)
			if err != nil {
				return err
			}
			continue
		}
		if _, err := io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
			return err
		}
		part := strings.Split(req.Host, ".")
		if len(part) < 2 {
			return fmt.Errorf("%q is not the name of a load", req.Host)
		}
		size, err := strconv.ParseInt(part[1], 10, 64)
		if err != nil {
			return err
		}
		return serveTunnel(nc, r, relayKind(part[0]), size)
	}
}

// serveTunnel is the far end of one tunnel, until the client closes it.
func serveTunnel(nc *net.TCPConn, r io.Reader, kind relayKind, size int64) error {
	if kind == relayDown {
		if err := writeOctets(nc, size); err != nil {
			return err
		}
	} else {
		if err := read(r, max(1, size)); err != nil {
			return err
		}
		if _, err := nc.Write([]byte{1}); err != nil {
			return err
		}
	}
	_, _ = drain(r, make([]byte, 1)) // the client resets the tunnel
	return nil
}

// read reads size octets.
func read(r io.Reader, size int64) error {
	buf := make([]byte, min(size, 64<<10))
	for size > 0 {
		n, err := r.Read(buf[:min(size, int64(len(buf)))])
		if size -= int64(n); err != nil && size > 0 {
			return fmt.Errorf("%d octets are missing: %w", size, err)
		}
	}
	return nil
}

var someOctets = make([]byte, 64<<10)

// writeOctets writes size octets.
func writeOctets(w io.Writer, size int64) error {
	for size > 0 {
		n, err := w.Write(someOctets[:min(size, int64(len(someOctets)))])
		if err != nil {
			return err
		}
		size -= int64(n)
	}
	return nil
}
