package peerserver

import (
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
)

// Quiet is a log that drops what servers say about connections that end, which costs time.
var Quiet = log.New(io.Discard, "", 0)

// NetHTTP is the server of the standard library.
func NetHTTP(spec Spec) (Server, error) {
	cfg, err := spec.TLS()
	if err != nil {
		return Server{}, err
	}
	var p http.Protocols
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	s := &http.Server{
		Handler: http.HandlerFunc(Handler), Protocols: &p, TLSConfig: cfg, ErrorLog: Quiet,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: spec.MaxStreams},
	}
	return Server{"net/http of " + runtime.Version(), ServeFunc(s, cfg != nil), s.Close}, nil
}

// A tlsServer serves with TLS or without, as the server of net/http does.
type tlsServer interface {
	Serve(net.Listener) error
	ServeTLS(l net.Listener, certFile, keyFile string) error
}

// ServeFunc returns the function by which s serves, with TLS or without.
func ServeFunc(s tlsServer, secure bool) func(net.Listener) error {
	if !secure {
		return s.Serve
	}
	return func(l net.Listener) error { return s.ServeTLS(l, "", "") }
}
