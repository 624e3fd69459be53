package client

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/sluice-go/sluice/server"
)

// benchSite is a server of ours on loopback, in its own right, for our client and net/http's.
func benchSite(b *testing.B, h http.Handler, secure bool) (url string, trusted *tls.Config) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &server.Server{Handler: h}
	b.Cleanup(func() { _ = srv.Close() })
	if !secure {
		go srv.Serve(l)
		return "http://" + l.Addr().String(), nil
	}
	var cfg *tls.Config
	cfg, trusted = testTLS(b)
	srv.TLSConfig = cfg
	go srv.ServeTLS(l, "", "")
	return "https://" + l.Addr().String(), trusted
}

// benchClients are what is compared.
func benchClients(trusted *tls.Config) map[string]http.RoundTripper {
	if trusted != nil {
		return map[string]http.RoundTripper{
			"sluice":   &Transport{TLSClientConfig: trusted},
			"net-http": &http.Transport{TLSClientConfig: trusted.Clone(), ForceAttemptHTTP2: true},
		}
	}
	return map[string]http.RoundTripper{
		"sluice":   &Transport{Protocols: h2cOnly()},
		"net-http": &http.Transport{Protocols: h2cOnly()},
	}
}

func BenchmarkGet(b *testing.B) {
	hello := []byte("hello, world\n")
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(hello) })
	for _, concurrency := range []int{1, 10, 100} {
		url, _ := benchSite(b, handler, false)
		for _, name := range []string{"sluice", "net-http"} {
			rt := benchClients(nil)[name]
			b.Run(fmt.Sprintf("c%d/%s", concurrency, name), func(b *testing.B) {
				b.ReportAllocs()
				var wg sync.WaitGroup
				n := b.N
				for i := range concurrency {
					share := n / concurrency
					if i < n%concurrency {
						share++
					}
					wg.Go(func() {
						req, _ := http.NewRequest("GET", url+"/", nil)
						buf := make([]byte, 64)
						for range share {
							resp, err := rt.RoundTrip(req)
							if err != nil {
								b.Error(err)
								return
							}
							for {
								if _, err := resp.Body.Read(buf); err != nil {
									break
								}
							}
							_ = resp.Body.Close()
						}
					})
				}
				wg.Wait()
			})
		}
	}
}

func BenchmarkDownload(b *testing.B) {
	const size = 64 << 20
	chunk := bytes.Repeat([]byte("x"), 256<<10)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range size / len(chunk) {
			_, _ = w.Write(chunk)
		}
	})
	for _, secure := range []bool{false, true} {
		url, trusted := benchSite(b, handler, secure)
		for _, name := range []string{"sluice", "net-http"} {
			rt := benchClients(trusted)[name]
			b.Run(fmt.Sprintf("tls=%v/%s", secure, name), func(b *testing.B) {
				b.SetBytes(size)
				buf := make([]byte, 64<<10)
				for b.Loop() {
					req, _ := http.NewRequest("GET", url+"/", nil)
					resp, err := rt.RoundTrip(req)
					if err != nil {
						b.Fatal(err)
					}
					if n, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{resp.Body}, buf); n != size || err != nil {
						b.Fatal(n, err)
					}
					_ = resp.Body.Close()
				}
			})
		}
	}
}
