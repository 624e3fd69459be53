package conformance

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-go/sluice/server"
)

const (
	uploadSize = 10 << 20 // octets that the peers send and fetch
	someSize   = 64 << 10 // octets that a peer with a tiny window fetches
	earlyLink  = "</style.css>; rel=preload; as=style"
	helloBody  = "hello, world\n"
)

// bigBody is what the peers upload and download: the same octets in every run, which nothing
// compresses.
var bigBody = sync.OnceValue(func() []byte {
	b := make([]byte, uploadSize)
	rand.NewChaCha8([32]byte([]byte("sluice conformance body, 32 byte"))).Read(b)
	return b
})

// checksum is the form in which testHandler and the peers compare bodies.
func checksum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// bigFile writes bigBody to a file that a peer can read.
func bigFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "big.bin")
	if err := os.WriteFile(name, bigBody(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// testHandler is the handler of the servers that peers talk to. It has a path for each thing that
// they check.
func testHandler() http.Handler {
	mux := http.NewServeMux()
	hello := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, helloBody) }
	mux.HandleFunc("/{$}", hello)
	mux.HandleFunc("/hello", hello)
	mux.HandleFunc("/proto", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", r.Method, r.Proto, r.Host)
	})
	mux.HandleFunc("/upload", serveUpload)
	mux.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) { w.Write(bigBody()) })
	mux.HandleFunc("/some", func(w http.ResponseWriter, r *http.Request) { w.Write(bigBody()[:someSize]) })
	mux.HandleFunc("/trailers", serveTrailers)
	mux.HandleFunc("/hints", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", earlyLink)
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		io.WriteString(w, helloBody)
	})
	mux.HandleFunc("/refuse", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "not wanted", http.StatusForbidden) // without reading the body
	})
	mux.HandleFunc("/wait", serveWait)
	mux.HandleFunc("/push", func(w http.ResponseWriter, r *http.Request) {
		if p, ok := w.(http.Pusher); ok {
			if err := p.Push(cmp.Or(r.FormValue("asset"), "/big"), nil); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		io.WriteString(w, helloBody)
	})
	// A page that names the resources that it needs; the middleware pushes them.
	mux.Handle("/preload", server.PushPreloads(server.EarlyHints(http.HandlerFunc(hello), func(*http.Request) []string {
		return []string{"</some>; rel=preload; as=image", "</proto>; rel=preload; as=fetch"}
	})))
	return mux
}

// serveUpload answers with the protocol, the length and the checksum of what came.
func serveUpload(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	n, err := io.Copy(h, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%s %d %x", r.Proto, n, h.Sum(nil))
}

// serveTrailers sends a trailer field that was announced and one that was not, and gives back, in
// the body, the trailer field X-Client of the request.
func serveTrailers(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Trailer", "X-Checksum")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reply := fmt.Sprintf("body=%s x-client=%s", body, r.Trailer.Get("X-Client"))
	io.WriteString(w, reply)
	// The flush keeps the server from adding a content-length, after whose octets curl stops
	// reading.
	if err := http.NewResponseController(w).Flush(); err != nil {
		return
	}
	w.Header().Set("X-Checksum", checksum([]byte(reply)))
	w.Header().Set(http.TrailerPrefix+"X-Late", "yes")
}

// waits has channels that get how requests for /wait ended, by the token in their query.
var waits sync.Map // token → chan error

// serveWait answers nothing until the client gives up, and reports the reason that the request's
// context gives.
func serveWait(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush() // fails where the client has given up already, which the context says
	<-r.Context().Done()
	if c, ok := waits.Load(strings.TrimPrefix(r.URL.RawQuery, "token=")); ok {
		c.(chan error) <- r.Context().Err()
	}
}
