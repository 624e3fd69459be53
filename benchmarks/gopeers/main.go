package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"

	dgrr "github.com/dgrr/http2"
	"github.com/valyala/fasthttp"
	"golang.org/x/net/http2"

	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
)

// servers are the servers by name.
var servers = map[string]func(peerserver.Spec) (peerserver.Server, error){
	"net/http": peerserver.NetHTTP,
	"x/net":    xnet,
	"dgrr":     dgrrServer,
}

func main() {
	if peerserver.Main(servers) {
		return
	}
	fmt.Fprintln(os.Stderr, "gopeers: go run ./benchmarks/compare starts this")
	os.Exit(2)
}

// version is that of a module in this program.
func version(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return module
	}
	for _, m := range info.Deps {
		if m.Path == module {
			return module + " " + m.Version
		}
	}
	return module
}

// xnet is golang.org/x/net/http2: its own code up to Go 1.26. From Go 1.27 on that package hands
// everything to net/http.
func xnet(spec peerserver.Spec) (peerserver.Server, error) {
	cfg, err := spec.TLS()
	if err != nil {
		return peerserver.Server{}, err
	}
	what := version("golang.org/x/net") + " http2, " + wrapped + ", " + runtime.Version()
	h := http.HandlerFunc(peerserver.Handler)
	h2 := &http2.Server{MaxConcurrentStreams: uint32(spec.MaxStreams)}
	s := &http.Server{Handler: h, TLSConfig: cfg, ErrorLog: peerserver.Quiet}
	if err := http2.ConfigureServer(s, h2); err != nil {
		return peerserver.Server{}, err
	}
	if cfg != nil {
		return peerserver.Server{What: what, Serve: peerserver.ServeFunc(s, true), Close: s.Close}, nil
	}
	a := &acceptor{serve: func(nc net.Conn) { h2.ServeConn(nc, &http2.ServeConnOpts{BaseConfig: s, Handler: h}) }}
	return peerserver.Server{What: what, Serve: a.accept, Close: a.close}, nil
}

// dgrrServer is dgrr/http2 with fasthttp, in clear.
func dgrrServer(spec peerserver.Spec) (peerserver.Server, error) {
	h2 := dgrr.ConfigureServer(&fasthttp.Server{Handler: fast}, dgrr.ServerConfig{MaxConcurrentStreams: spec.MaxStreams})
	a := &acceptor{serve: func(nc net.Conn) { _ = h2.ServeConn(nc) }} // a client that ends its connection is no fault
	what := version("github.com/dgrr/http2") + ", " + version("github.com/valyala/fasthttp") + ", " + runtime.Version()
	return peerserver.Server{What: what, Serve: a.accept, Close: a.close}, nil
}

// An acceptor gives each connection a goroutine.
type acceptor struct {
	l     net.Listener
	serve func(net.Conn)
}

func (a *acceptor) accept(l net.Listener) error {
	a.l = l
	for {
		nc, err := l.Accept()
		if err != nil {
			return err
		}
		go a.serve(nc)
	}
}

func (a *acceptor) close() error { return a.l.Close() } // the process ends with it

var fields = peerserver.FieldList()

// fast gives the answers of package peerserver with fasthttp, as far as dgrr/http2 can.
func fast(ctx *fasthttp.RequestCtx) {
	if string(ctx.Path()) == peerserver.Fields {
		for _, f := range fields {
			ctx.Response.Header.Set(f.Name, f.Value)
		}
	}
	ctx.SetBodyString(peerserver.Answer)
}
