package demo

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// The picture is cut into Columns × Rows pieces, each a request of its own.
const (
	Columns = 10
	Rows    = 5
	Tiles   = Columns * Rows

	tileSize = 100 // in units of static/scene.svg, which is 1000 × 500
)

//go:embed static
var files embed.FS

// Info is what the page and /info.json show of the server.
type Info struct {
	Server     string `json:"server"`     // name and version
	TLSPort    string `json:"tlsPort"`    // port of the https:// listener, "" without one
	PlainPort  string `json:"plainPort"`  // port of the http:// listener, "" without one
	H2CUpgrade bool   `json:"h2cUpgrade"` // the http:// listener answers "Upgrade: h2c"
}

// Site is the demo site. Make it with [New].
type Site struct {
	info  Info
	stats func() any
	scene string // the drawing without its <svg> element
	mux   *http.ServeMux
	conns atomic.Int64
}

// New returns the site. stats, if not nil, supplies what /stats shows as JSON.
func New(info Info, stats func() any) *Site {
	s := &Site{info: info, stats: stats, scene: readScene(), mux: http.NewServeMux()}
	static, err := fs.Sub(files, "static")
	if err != nil {
		panic("BUG: the embedded files have no static directory: " + err.Error())
	}
	index := renderIndex()
	s.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'self'")
		fmt.Fprint(w, index)
	})
	assets := http.FileServerFS(static)
	for _, name := range []string{"style.css", "app.js", "scene.svg"} {
		s.mux.Handle("GET /"+name, assets)
	}
	s.mux.HandleFunc(
		"GET /favicon.ico",
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	)
	s.mux.HandleFunc("GET /tile/{name}", s.tile)
	s.mux.HandleFunc("GET /info.json", s.showInfo)
	s.endpoints()
	return s
}

// ServeHTTP answers one request. Nothing is cached, so that every reload of
// the page measures the network again.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if n, ok := r.Context().Value(connKey{}).(int64); ok {
		// Server-Timing is in the browser's timing entries, where the page
		// finds out which requests shared a connection.
		h.Set("Server-Timing", `conn;desc="`+strconv.FormatInt(n, 10)+`"`)
	}
	_, pattern := s.mux.Handler(r)
	if !slices.Contains(bodyReaders, pattern) {
		readSome(w, r)
	}
	s.mux.ServeHTTP(w, r)
}

// bodyReaders are the patterns whose handlers read the body themselves.
var bodyReaders = []string{"POST /echo", "PUT /echo", "/trailers"}

// readSome reads a body that no handler reads, as far as it comes soon, before the handler is
// called. A response that is sent before that ends the stream, and hides that the rest of the body
// is malformed (RFC 9113 §8.1.1).
func readSome(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	rc := http.NewResponseController(w)
	if rc.SetReadDeadline(time.Now().Add(readSomeFor)) != nil {
		return // without a limit a client could hold up the handler for ever
	}
	_, _ = io.CopyN(io.Discard, r.Body, readSomeMost) // an error of the stream is found by the handler, too
	_ = rc.SetReadDeadline(time.Time{})
}

// How much of a body that no handler reads is read, and for how long.
const (
	readSomeMost = 64 << 10
	readSomeFor  = time.Second
)

// connKey is the key of a connection's number in its context.
type connKey struct{}

// ConnContext numbers the connections; it has the form of
// http.Server.ConnContext. Without it the page does not count connections.
func (s *Site) ConnContext(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, s.conns.Add(1))
}

// tile draws one piece of the picture: the whole drawing seen through a
// window that is one piece large.
func (s *Site) tile(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutSuffix(r.PathValue("name"), ".svg")
	n, err := strconv.Atoi(name)
	if !ok || err != nil || n < 0 || n >= Tiles {
		http.Error(
			w,
			fmt.Sprintf("there is no such tile: they are /tile/0.svg to /tile/%d.svg", Tiles-1),
			http.StatusNotFound,
		)
		return
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="%d %d %d %d">%s</svg>`,
		n%Columns*tileSize, n/Columns*tileSize, tileSize, tileSize, s.scene)
}

// showInfo answers /info.json.
func (s *Site) showInfo(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, struct {
		Info
		Protocol string `json:"protocol"`
		Remote   string `json:"remote"`
	}{s.info, r.Proto, r.RemoteAddr})
}

func writeJSON(w http.ResponseWriter, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, "%s\n", b)
}

// readScene returns the drawing without its <svg> element.
func readScene() string {
	b, err := files.ReadFile("static/scene.svg")
	if err != nil {
		panic("BUG: the picture is not embedded: " + err.Error())
	}
	_, inner, ok := strings.Cut(string(b), ">")
	inner, _, ok2 := strings.Cut(inner, "</svg>")
	if !ok || !ok2 {
		panic("BUG: scene.svg is not one <svg> element")
	}
	return inner
}

// renderIndex fills in the template of the page, which is the same for every visitor.
func renderIndex() string {
	t := template.Must(template.ParseFS(files, "static/index.html"))
	tiles := make([]int, Tiles)
	for i := range tiles {
		tiles[i] = i
	}
	var b strings.Builder
	if err := t.Execute(&b, struct{ Tiles []int }{tiles}); err != nil {
		panic("BUG: the page's template does not fit its data: " + err.Error())
	}
	return b.String()
}
