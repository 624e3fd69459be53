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

	"github.com/sluice-go/sluice/benchmarks/internal/site"
)

// peers are the servers by name.
var peers = map[string]func(site.Spec) (site.Server, error){
	"net/http": site.NetHTTP,
	"x/net":    xnet,
	"dgrr":     dgrrServer,
}

func main() {
	if site.Main(peers) {
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

// xnet is golang.org/x/net/http2: its own code up to Go 1.26. From Go 1.27 on
// the package hands everything to net/http.
func xnet(spec site.Spec) (site.Server, error) {
	cfg, err := spec.TLS()
	if err != nil {
		return site.Server{}, err
	}
	what := version("golang.org/x/net") + " http2, " + wrapped + ", " + runtime.Version()
	h := http.HandlerFunc(site.Handler)
	h2 := &http2.Server{MaxConcurrentStreams: uint32(spec.MaxStreams)}
	s := &http.Server{Handler: h, TLSConfig: cfg, ErrorLog: site.Quiet}
	if err := http2.ConfigureServer(s, h2); err != nil {
		return site.Server{}, err
	}
	if cfg != nil {
		return site.Server{What: what, Serve: site.ServeFunc(s, true), Close: s.Close}, nil
	}
	a := &acceptor{serve: func(nc net.Conn) { h2.ServeConn(nc, &http2.ServeConnOpts{BaseConfig: s, Handler: h}) }}
	return site.Server{What: what, Serve: a.accept, Close: a.close}, nil
}

// dgrrServer is dgrr/http2 with fasthttp, in clear.
func dgrrServer(spec site.Spec) (site.Server, error) {
	h2 := dgrr.ConfigureServer(&fasthttp.Server{Handler: fast}, dgrr.ServerConfig{MaxConcurrentStreams: spec.MaxStreams})
	a := &acceptor{serve: func(nc net.Conn) { _ = h2.ServeConn(nc) }} // a client that ends its connection is no fault
	what := version("github.com/dgrr/http2") + ", " + version("github.com/valyala/fasthttp") + ", " + runtime.Version()
	return site.Server{What: what, Serve: a.accept, Close: a.close}, nil
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

var fields = site.FieldList()

// fast is the site for fasthttp, as far as dgrr/http2 goes.
func fast(ctx *fasthttp.RequestCtx) {
	if string(ctx.Path()) == site.Fields {
		for _, f := range fields {
			ctx.Response.Header.Set(f.Name, f.Value)
		}
	}
	ctx.SetBodyString(site.Answer)
}
