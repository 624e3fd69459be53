package page

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/sluice-go/sluice/capture"
)

// DefaultMaxViewers is how many viewers a Server has at once by default.
const DefaultMaxViewers = 16

// ServerOptions say what a Server shows, and to what it answers.
type ServerOptions struct {
	// Options.MaxFrames bounds how many of the last events are kept, and Options.MaxOctets their
	// octets; the latter is 32 MiB by default here.
	Options

	// Token lets in: a request without it is answered with 403. NewToken makes one.
	Token string

	// Hosts are names that may stand in a request's Host field, without a port. IP addresses and
	// localhost may always: only other names can be bound to this address by a stranger's DNS.
	Hosts []string

	// MaxViewers bounds the viewers at once; 0 is DefaultMaxViewers.
	MaxViewers int
}

// A Server serves a page to which it adds events as they come. Its methods may be called at once by
// several goroutines.
//
// A viewer opens URL, which has the token. It gets the token as a cookie and is sent to the page,
// so that the token does not stay in the address.
//
// Browsers send the cookies of a host to all its ports. So that servers on other ports neither see
// the token nor replace the cookie, its name and the path that it is for are made from the token,
// and the page is below that path.
type Server struct {
	o      ServerOptions
	cookie string // its name
	path   string // of the page; it ends in a slash
	page   []byte
	events ring
}

// NewToken makes a token of 128 bits.
func NewToken() string {
	b := make([]byte, 16)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// NewServer returns a Server. It panics without a token.
func NewServer(o ServerOptions) *Server {
	if o.Token == "" {
		panic("BUG: page: NewServer without a token")
	}
	if o.MaxOctets <= 0 {
		o.MaxOctets = DefaultMaxOctets / 2
	}
	o.Options = o.withDefaults()
	if o.MaxViewers <= 0 {
		o.MaxViewers = DefaultMaxViewers
	}
	sum := sha256.Sum256([]byte(o.Token))
	s := &Server{
		o: o, cookie: "sluice-" + hex.EncodeToString(sum[:4]), path: "/" + hex.EncodeToString(sum[len(sum)/2:]) + "/",
	}
	s.page = s.makePage()
	s.events.init(o.MaxFrames, o.MaxOctets)
	return s
}

// URL is the address that lets a viewer in, for a Server at address, such as "127.0.0.1:8080".
func (s *Server) URL(address string) string {
	return "http://" + address + "/?token=" + s.o.Token
}

// Handle adds an event; it is a capture.Handler that never waits for a viewer.
func (s *Server) Handle(ev capture.Event) { s.events.add(ev) }

// Close disconnects the viewers. Requests that come later are answered as before, but no events
// come.
func (s *Server) Close() { s.events.close() }

// makePage is the page without events.
func (s *Server) makePage() []byte {
	var b bytes.Buffer
	t := parts()
	b.WriteString(strings.Replace(t.head, t.policy("'none'"), t.policy("'self'"), 1))
	var e encoder
	b.WriteString(`<script type="application/json" id="meta">`)
	e.meta(s.o.Options, true)
	b.Write(e.b)
	b.WriteString("</script>\n")
	b.WriteString(t.foot)
	return b.Bytes()
}

// ServeHTTP answers "/", with the token, with a redirect to the path of the page, and below that
// "events" with a stream of events.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", parts().policy("'self'")+"; frame-ancestors 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	switch {
	case !s.hostAllowed(r.Host):
		http.Error(w, "this page is not served under the name "+quoteHost(r.Host), http.StatusMisdirectedRequest)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
	case r.URL.Path == "/" && r.URL.Query().Has("token"):
		s.login(w, r)
	case !s.allowed(r):
		http.Error(w, "open the address with ?token= that was printed when this server began", http.StatusForbidden)
	case r.URL.Path == s.path:
		h.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(s.page) // the viewer is gone where it fails
	case r.URL.Path == s.path+"events":
		s.serveEvents(w, r)
	default:
		http.NotFound(w, r)
	}
}

// login takes the token of an address into a cookie, and sends to the address without it.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	if !s.equalsToken(r.URL.Query().Get("token")) {
		http.Error(w, "the token is wrong: open the address that was printed last", http.StatusForbidden)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: s.cookie, Value: s.o.Token, Path: s.path, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: r.TLS != nil,
	})
	http.Redirect(w, r, s.path, http.StatusSeeOther)
}

// allowed reports whether a request has the cookie with the token.
func (s *Server) allowed(r *http.Request) bool {
	c, err := r.Cookie(s.cookie)
	return err == nil && s.equalsToken(c.Value)
}

// equalsToken compares in a time that does not depend on where the difference is.
func (s *Server) equalsToken(v string) bool {
	a, b := sha256.Sum256([]byte(v)), sha256.Sum256([]byte(s.o.Token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// hostAllowed reports whether a Host field is one that a stranger's DNS cannot have made.
func (s *Server) hostAllowed(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if strings.HasPrefix(host, "[") {
		host = strings.Trim(host, "[]")
	}
	if _, err := netip.ParseAddr(host); err == nil || host == "localhost" {
		return true
	}
	return slices.ContainsFunc(s.o.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// quoteHost is a Host field for an error: short, and in characters that cannot mislead.
func quoteHost(host string) string {
	var e encoder
	e.string(host[:min(len(host), 100)])
	return string(e.b)
}
