package client_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// serve starts a server of HTTP/2 on cleartext for the examples.
func serve() (addr string, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	srv := &server.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Proto, r.URL.Path)
	})}
	go srv.Serve(l)
	return l.Addr().String(), func() { _ = srv.Close() }
}

// A Transport takes the place of net/http's. For https URLs the zero value is enough; HTTP/2 on
// cleartext is asked for.
func Example() {
	addr, stop := serve()
	defer stop()

	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &client.Transport{Protocols: &protocols}
	defer transport.CloseIdleConnections()
	hc := &http.Client{Transport: transport}

	resp, err := hc.Get("http://" + addr + "/hello")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Proto, string(body))
	// Output: HTTP/2.0 HTTP/2.0 /hello
}

// Configure has an http.Transport use this package for HTTP/2, and leaves it all else.
func ExampleConfigure() {
	addr, stop := serve()
	defer stop()

	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	t1 := &http.Transport{Protocols: &protocols}
	t2, err := client.Configure(t1)
	if err != nil {
		log.Fatal(err)
	}
	defer t1.CloseIdleConnections()
	resp, err := (&http.Client{Transport: t1}).Get("http://" + addr + "/")
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	fmt.Println(resp.Proto, t2.Stats().Requests)
	// Output: HTTP/2.0 1
}

// One connection over whatever carries octets.
func ExampleTransport_NewClientConn() {
	addr, stop := serve()
	defer stop()

	nc, err := net.Dial("tcp", addr)
	if err != nil {
		log.Fatal(err)
	}
	cc, err := new(client.Transport).NewClientConn(nc)
	if err != nil {
		log.Fatal(err)
	}
	defer cc.Close()
	if err := cc.Ping(context.Background()); err != nil {
		log.Fatal(err)
	}
	req, err := http.NewRequest("GET", "http://"+addr+"/one", nil)
	if err != nil {
		log.Fatal(err)
	}
	resp, err := cc.RoundTrip(req)
	if err != nil {
		log.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	fmt.Println(string(body))
	// Output: HTTP/2.0 /one
}

// Extended CONNECT (RFC 8441) opens a stream for another protocol, here one that sends back each
// line.
func ExampleTransport_Connect() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	srv := &server.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || len(r.Header[":protocol"]) == 0 || r.Header[":protocol"][0] != "echo" {
			http.Error(w, "unknown protocol", http.StatusNotImplemented) // RFC 9220 §3
			return
		}
		if tunnel, err := server.AcceptConnect(w); err == nil {
			_, _ = io.Copy(tunnel, tunnel)
		}
	})}
	srv.EnableConnectProtocol = true
	go srv.Serve(l)
	defer srv.Close()

	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &client.Transport{Protocols: &protocols}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequest(http.MethodConnect, "http://"+l.Addr().String()+"/lines", nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Header[":protocol"] = []string{"echo"}
	tunnel, resp, err := transport.Connect(req)
	switch {
	case errors.Is(err, client.ErrNoConnectProtocol):
		log.Fatal("the server knows no extended CONNECT")
	case err != nil:
		log.Fatal(err)
	case tunnel == nil:
		log.Fatal(resp.Status)
	}
	defer tunnel.Close()

	fmt.Fprintln(tunnel, "hello")
	line, err := bufio.NewReader(tunnel).ReadString('\n')
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(resp.Status, ": ", line)
	// Output: 200 OK: hello
}

// With Coalesce, a server that says so with an ORIGIN frame is asked for several origins on one
// connection.
func ExampleTransport_coalesce() {
	cert, err := selfsigned.Certificate("127.0.0.1", "localhost")
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	srv := &server.Server{
		Handler:   http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
		Config:    server.Config{Origins: []string{"https://localhost:" + port}},
	}
	go srv.ServeTLS(l, "", "")
	defer srv.Close()

	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	tr := &client.Transport{Coalesce: true, TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer tr.CloseIdleConnections()
	for _, host := range []string{"127.0.0.1", "localhost"} {
		resp, err := (&http.Client{Transport: tr}).Get("https://" + host + ":" + port)
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
	}
	fmt.Println(tr.Stats().ConnsOpened, "connection")
	// Output: 1 connection
}

// resolvedPool has a connection to each address of a host, and uses them one after another.
type resolvedPool struct {
	mu    sync.Mutex
	addrs []string
	conns map[string]*client.ClientConn
	next  int
}

func (p *resolvedPool) Get(req *http.Request, target *client.Target) (*client.ClientConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock() // a real pool would not dial with the lock held
	addr := p.addrs[p.next%len(p.addrs)]
	p.next++
	if cc := p.conns[addr]; cc != nil && cc.Reserve() == nil {
		return cc, nil
	}
	cc, err := target.DialAddr(req.Context(), addr)
	if err != nil {
		return nil, err
	}
	p.conns[addr] = cc
	return cc, cc.Reserve()
}

func (p *resolvedPool) CloseIdleConnections() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, cc := range p.conns {
		_ = cc.Shutdown(context.Background())
	}
}

// A Pool of one's own spreads the requests to a host over addresses that it has resolved itself.
func ExampleTarget_DialAddr() {
	pool := &resolvedPool{conns: make(map[string]*client.ClientConn)}
	for name := range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			log.Fatal(err)
		}
		srv := &server.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "backend %d for %s", name, r.Host)
		})}
		go srv.Serve(l)
		defer srv.Close()
		pool.addrs = append(pool.addrs, l.Addr().String())
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	tr := &client.Transport{Protocols: &protocols, Pool: pool}
	defer tr.CloseIdleConnections()
	for range 3 {
		resp, err := (&http.Client{Transport: tr}).Get("http://backends.example/")
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println(string(body))
	}
	// Output:
	// backend 0 for backends.example
	// backend 1 for backends.example
	// backend 0 for backends.example
}
