package conformance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	h2specclient "github.com/summerwind/h2spec/client"
	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/spec"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/internal/selfsigned"
)

// h2specClientCases is how many cases the suite for clients has: a case that gets lost on the way
// to a subtest shows.
const h2specClientCases = 57

// A clientCase is one case of h2spec under the name that its own command line has for it.
type clientCase struct {
	name string // group/section/number
	*spec.ClientTestCase
}

// allClientCases lists the suite in h2spec's order and numbering.
func allClientCases() []clientCase {
	var all []clientCase
	var walk func(*spec.ClientTestGroup)
	walk = func(g *spec.ClientTestGroup) {
		for _, c := range g.Tests {
			all = append(all, clientCase{fmt.Sprintf("%s/%d", g.ID(), c.Seq), c})
		}
		for _, sub := range g.Groups {
			walk(sub)
		}
	}
	walk(h2specclient.Spec())
	return all
}

// play has h2spec be the server of one connection. It calls the case's own function instead of
// spec.Listen and spec.ClientTestCase.Test, which need a port that is known in advance, start a
// program as the client, print in colour to the standard output and keep the result in the shared
// tree.
func (c clientCase) play(cfg config.Config, nc net.Conn) (err error) {
	conn, err := spec.Accept(&cfg, nc)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer func() {
		// h2spec dereferences nil where a client sends a frame type that it does not know, or none
		// at all.
		if p := recover(); p != nil {
			err = fmt.Errorf("h2spec panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return c.Run(&cfg, conn)
}

// explain describes a failure in the words of the case.
func (c clientCase) explain(err error) string {
	asServerCase := specCase{c.name, &spec.TestCase{Desc: c.Desc, Requirement: c.Requirement}}
	return asServerCase.explain(err)
}

// acceptOne returns a listener's address and a function that waits for the first connection and
// accepts no other: what a client tries after that is no part of the case.
func acceptOne(t *testing.T, secure bool) (addr string, accept func() (net.Conn, error)) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String(), func() (net.Conn, error) {
		nc, err := l.Accept()
		if err != nil {
			return nil, err
		}
		l.Close()
		if !secure {
			return nc, nil
		}
		cert, err := selfsigned.Certificate()
		if err != nil {
			return nil, err
		}
		tc := tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
		tc.SetDeadline(time.Now().Add(rawTimeout))
		if err := tc.Handshake(); err != nil {
			return nil, err
		}
		return tc, tc.SetDeadline(time.Time{})
	}
}

// newTransport returns our client, which speaks nothing but HTTP/2 and trusts the certificates of
// the tests.
func newTransport(t *testing.T, configure ...func(*client.Transport)) *client.Transport {
	tr := &client.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	tr.Protocols.SetHTTP2(true)
	tr.Protocols.SetUnencryptedHTTP2(true)
	for _, c := range configure {
		c(tr)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// fetch makes a request and reads all of the response.
func fetch(ctx context.Context, rt http.RoundTripper, url string) error {
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func TestH2SpecClient(t *testing.T) {
	cases := allClientCases()
	if len(cases) != h2specClientCases {
		t.Errorf("h2spec has %d cases for clients, want %d", len(cases), h2specClientCases)
	}
	for _, secure := range []bool{false, true} {
		name, scheme := "h2c", "http"
		if secure {
			name, scheme = "tls", "https"
		}
		t.Run(name, func(t *testing.T) {
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) { c.test(t, secure, scheme) })
			}
		})
	}
}

// test has our Transport fetch a page from the case. Beside what the case wants, the request has to
// end as soon as the connection has, with a whole response or a typed error; where the connection
// ended before the request was sent, the error is that of dialling again.
func (c clientCase) test(t *testing.T, secure bool, scheme string) {
	addr, accept := acceptOne(t, secure)
	fetched := make(chan error, 1)
	go func() { fetched <- fetch(t.Context(), newTransport(t), scheme+"://"+addr+"/") }()
	nc, err := accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	cfg := config.Config{Timeout: 20 * time.Second, MaxHeaderLen: 4000, TLS: secure}
	if err := c.play(cfg, nc); err != nil {
		t.Error(c.explain(err))
	}
	select {
	case err := <-fetched:
		var typed *client.Error
		if err != nil && !errors.As(err, &typed) && !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("the request ended with %T, want a *client.Error: %v", err, err)
		}
	case <-time.After(rawTimeout):
		t.Error("the request goes on after the end of its connection")
	}
}

// A client that says nothing fails a case, and the failure names what was expected and what came.
func TestH2SpecClientFailureIsExplained(t *testing.T) {
	for _, c := range allClientCases() {
		if c.name != "client/6.7/1" {
			continue
		}
		ours, theirs := net.Pipe()
		defer ours.Close()
		go func() {
			io.WriteString(ours, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
			io.CopyN(io.Discard, ours, 9) // half a frame, and then the end
			ours.Close()
		}()
		err := c.play(config.Config{Timeout: 20 * time.Second}, theirs)
		if err == nil {
			t.Fatal("the case passed against a client that answers no PING")
		}
		text := c.explain(err)
		for _, want := range []string{c.Requirement, "expected: PING Frame", "actual: "} {
			if !strings.Contains(text, want) {
				t.Errorf("the explanation lacks %q:\n%s", want, text)
			}
		}
		return
	}
	t.Fatal("case client/6.7/1 is not there")
}
