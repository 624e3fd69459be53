package tunnel

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// withCredentials returns a CONNECT request with a Proxy-Authorization field.
func withCredentials(fields ...string) *http.Request {
	r := httptest.NewRequest(http.MethodConnect, "example.com:443", nil)
	r.RequestURI = "example.com:443"
	for _, f := range fields {
		r.Header.Add("Proxy-Authorization", f)
	}
	return r
}

func basicField(userAndPassword string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(userAndPassword))
}

func mustWrite(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func bcryptLine(t *testing.T, user, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return user + ":" + strings.Replace(string(hash), "$2a$", "$2y$", 1) + "\n" // as htpasswd writes it
}

// newBasicFile returns a BasicFile that knows anna with the password "open: sesame" and bert with
// "".
func newBasicFile(t *testing.T) *BasicFile {
	t.Helper()
	f := &BasicFile{Path: filepath.Join(t.TempDir(), "users"), Realm: `the "inner" realm`}
	mustWrite(t, f.Path, "# users\n\n"+bcryptLine(t, "anna", "open: sesame")+bcryptLine(t, "bert", ""))
	if err := f.Load(); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestBasic(t *testing.T) {
	users := map[string]string{"anna": "open: sesame", "bert": ""}
	const field = `Basic realm="the \"inner\" realm", charset="UTF-8"`
	for name, auth := range map[string]Authenticator{
		"callback": Basic(`the "inner" realm`, StaticUsers(users)), "file": newBasicFile(t),
	} {
		for _, test := range []struct {
			fields []string
			user   string
		}{
			{[]string{basicField("anna:open: sesame")}, "anna"},
			{[]string{basicField("anna:open: sesame")}, "anna"}, // from memory
			{[]string{"bAsIc   " + base64.StdEncoding.EncodeToString([]byte("bert:")) + " "}, "bert"},
			{nil, ""},
			{[]string{""}, ""},
			{[]string{"Basic"}, ""},
			{[]string{"Basic !!!"}, ""},
			{[]string{basicField("anna")}, ""},
			{[]string{basicField("anna:open")}, ""},
			{[]string{basicField("anna:")}, ""},
			{[]string{basicField("Anna:open: sesame")}, ""},
			{[]string{basicField("anna:open: sesame\x00")}, ""},
			{[]string{basicField("carl:open: sesame")}, ""},
			{[]string{basicField(":")}, ""},
			{[]string{basicField("anna\xff:open: sesame")}, ""},
			{[]string{basicField("anna:open: sesame"), basicField("anna:open: sesame")}, ""},
			{[]string{"Bearer x"}, ""},
			{[]string{basicField("anna:" + strings.Repeat("x", maxCredentials))}, ""},
		} {
			user, refusal := auth.Authenticate(withCredentials(test.fields...))
			if user != test.user || (refusal == nil) != (user != "") {
				t.Errorf("%s: %.80q: user %q, %v; want %q", name, test.fields, user, refusal, test.user)
			}
			if refusal != nil && (refusal.Status != 407 || refusal.Header.Get("Proxy-Authenticate") != field) {
				t.Errorf("%s: %.80q: %+v", name, test.fields, refusal)
			}
		}
	}
}

// What was remembered is forgotten with Load, and a wrong file changes nothing.
func TestBasicFileReload(t *testing.T) {
	f := newBasicFile(t)
	sesame := withCredentials(basicField("anna:open: sesame"))
	if user, _ := f.Authenticate(sesame); user != "anna" {
		t.Fatal("anna is not let in")
	}
	mustWrite(t, f.Path, "anna:{SHA}xxx\n")
	if err := f.Load(); err == nil {
		t.Error("Load of a wrong file has no error")
	}
	if user, _ := f.Authenticate(sesame); user != "anna" {
		t.Error("anna is not let in after a Load that failed")
	}
	mustWrite(t, f.Path, bcryptLine(t, "anna", "new"))
	if err := f.Load(); err != nil {
		t.Fatal(err)
	}
	if _, refusal := f.Authenticate(sesame); refusal == nil {
		t.Error("anna is let in with the old password")
	}
	if user, _ := (&BasicFile{Path: f.Path}).Authenticate(withCredentials(basicField("anna:new"))); user != "" {
		t.Error("anna is let in before Load")
	}
}

// The memory of right credentials is bounded, has no wrong ones, and is used by many at once.
func TestBasicFileVerified(t *testing.T) {
	f := newBasicFile(t)
	users := f.users.Load()
	f.Authenticate(withCredentials(basicField("anna:wrong")))
	f.Authenticate(withCredentials(basicField("nobody:wrong")))
	if n := len(users.verified); n != 0 {
		t.Errorf("%d wrong credentials are remembered", n)
	}
	for i := range maxVerified + 10 {
		users.setVerified(users.identify("user", string(rune(i))))
	}
	if n := len(users.verified); n != maxVerified {
		t.Errorf("%d credentials are remembered, want %d", n, maxVerified)
	}
	if users.identify("ab", "c") == users.identify("a", "bc") {
		t.Error("two credentials look the same")
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if user, refusal := f.Authenticate(withCredentials(basicField("anna:open: sesame"))); user != "anna" {
				t.Errorf("user %q, %v", user, refusal)
			}
		})
	}
	wg.Wait()
}

// A request that is cancelled while it waits for its turn is not let in.
func TestBasicFileCancelled(t *testing.T) {
	f := newBasicFile(t)
	f.Authenticate(withCredentials(basicField("anna:wrong"))) // makes the channel
	for range cap(f.hashes) {
		f.hashes <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := withCredentials(basicField("anna:open: sesame")).WithContext(ctx)
	if user, refusal := f.Authenticate(r); refusal == nil {
		t.Errorf("%q is let in", user)
	}
}

// An unknown user costs a hash as the known ones do.
func TestBasicFileUnknownUserCost(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.MinCost+1)
	if err != nil {
		t.Fatal(err)
	}
	users, err := parseBasicFile(strings.NewReader(bcryptLine(t, "anna", "y")+"bert:"+string(hash)), "users")
	if err != nil {
		t.Fatal(err)
	}
	if cost, err := bcrypt.Cost(users.dummy); err != nil || cost != bcrypt.MinCost+1 {
		t.Errorf("the hash for unknown users has the cost %d, %v", cost, err)
	}
}

func TestUserFileErrors(t *testing.T) {
	good := bcryptLine(t, "anna", "x")
	const basicLine, digestLine = "a line is a user, a colon and a hash of bcrypt", "a line is user:realm:hash"
	notBcrypt := "the password is not a hash of bcrypt, which htpasswd writes with -B"
	for content, want := range map[string]string{
		"anna":               "users:1: " + basicLine,
		":x":                 "users:1: " + basicLine,
		"\n# x\nanna:secret": `users:3: the user "anna": ` + notBcrypt,
		"anna:$apr1$x$y":     `users:1: the user "anna": ` + notBcrypt,
		"anna:{SHA}secret":   `users:1: the user "anna": ` + notBcrypt,
		"anna:$2y$10$short":  `users:1: the user "anna": the hash of bcrypt is damaged`,
		good + good:          `users:2: the user "anna" is there twice`,
		strings.Replace(good, "$04$", "$31$", 1): `users:1: the user "anna": the cost of the hash is 31, above 14, ` +
			"which takes seconds",
		good + strings.Repeat("x", maxUserLine+1): "users:2: the line has more than 4096 octets",
	} {
		if _, err := parseBasicFile(strings.NewReader(content), "users"); err == nil || err.Error() != want {
			t.Errorf("%.60q:\n got %v\nwant %s", content, err, want)
		}
	}
	line := DigestHash("anna", "sluice", "x") + "\n"
	for content, want := range map[string]string{
		"anna:x":                       "users:1: " + digestLine,
		":sluice:00":                   "users:1: " + digestLine,
		"anna:sluice:00:1":             "users:1: " + digestLine,
		"anna:sluice:00":               `users:1: the user "anna": the hash is not 64 hexadecimal digits of SHA-256`,
		line + line:                    `users:2: the user "anna" is there twice`,
		DigestHash("a", "office", "x"): `users: no user of the realm "sluice", but of "office"`,
	} {
		if _, err := parseDigestFile(strings.NewReader(content), "users", "sluice"); err == nil || err.Error() != want {
			t.Errorf("%.60q:\n got %v\nwant %s", content, err, want)
		}
	}
}

// Only certificates that the server has verified count.
func TestClientCert(t *testing.T) {
	named := &x509.Certificate{Subject: pkix.Name{CommonName: "anna"}}
	dns := &x509.Certificate{DNSNames: []string{"ci.example", "b.example"}}
	for _, test := range []struct {
		name  string
		state *tls.ConnectionState
		user  string
	}{
		{"no TLS", nil, ""},
		{"no certificate", &tls.ConnectionState{}, ""},
		{"not verified", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{named}}, ""},
		{"verified", &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{named}}}, "anna"},
		{"DNS name", &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{dns}}}, "ci.example"},
		{"no name", &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}, ""},
	} {
		r := withCredentials()
		r.TLS = test.state
		user, refusal := (&ClientCert{}).Authenticate(r)
		if user != test.user || (refusal == nil) != (user != "") {
			t.Errorf("%s: user %q, %v", test.name, user, refusal)
		}
		if refusal != nil && (refusal.Status != 403 || refusal.Header != nil) {
			t.Errorf("%s: %+v", test.name, refusal)
		}
	}
}

// The challenges of all are offered, and the first user counts.
func TestAnyOf(t *testing.T) {
	digest := newDigestFile(t)
	auth := AnyOf(&ClientCert{}, digest, newBasicFile(t))
	_, refusal := auth.Authenticate(withCredentials())
	fields := refusal.Header["Proxy-Authenticate"]
	if refusal.Status != 407 || len(fields) != 2 || !strings.HasPrefix(fields[0], "Digest ") ||
		!strings.HasPrefix(fields[1], "Basic ") || refusal.Details != missingCredentials {
		t.Errorf("%+v", refusal)
	}
	_, refusal = auth.Authenticate(withCredentials(basicField("anna:wrong")))
	if refusal.Status != 407 || len(refusal.Header["Proxy-Authenticate"]) != 2 || refusal.Details != wrongCredentials {
		t.Errorf("%+v", refusal)
	}
	if user, _ := auth.Authenticate(withCredentials(basicField("anna:open: sesame"))); user != "anna" {
		t.Errorf("Basic: user %q", user)
	}
	r := withCredentials(basicField("anna:open: sesame"))
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: "ci"}}}}}
	if user, _ := auth.Authenticate(r); user != "ci" {
		t.Errorf("a certificate: user %q", user)
	}
	for _, list := range [][]Authenticator{{}, {&ClientCert{}}} {
		if _, refusal := AnyOf(list...).Authenticate(withCredentials()); refusal == nil || refusal.Status != 403 {
			t.Errorf("AnyOf of %d: %+v", len(list), refusal)
		}
	}
}

func newDigestFile(t *testing.T) *DigestFile {
	t.Helper()
	f := &DigestFile{Path: filepath.Join(t.TempDir(), "users")}
	mustWrite(t, f.Path, "# users\n"+DigestHash("anna", "sluice", "sesame")+"\n"+
		DigestHash("Jürgen", "sluice", "x")+"\n"+DigestHash("anna", "other", "y")+"\n")
	if err := f.Load(); err != nil {
		t.Fatal(err)
	}
	return f
}

// digestClient answers challenges as a client does.
type digestClient struct {
	user, password, uri, nonce string
	nc                         int
	edit                       func(params map[string]string)
}

func (c *digestClient) field() string {
	c.nc++
	nc := "0000000" + string("0123456789abcdef"[c.nc])
	response := hashHex(hashHex(c.user, "sluice", c.password), c.nonce, nc, "abc", "auth", hashHex("CONNECT", c.uri))
	params := map[string]string{
		"username": quote(c.user), "realm": `"sluice"`, "nonce": quote(c.nonce), "uri": quote(c.uri),
		"response": quote(response), "cnonce": `"abc"`, "nc": nc, "qop": "auth", "algorithm": "SHA-256",
	}
	if c.edit != nil {
		c.edit(params)
	}
	var list []string
	for name, value := range params {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return "Digest " + strings.Join(list, ", ")
}

// nonceOf returns the nonce of a challenge, and whether it says that the last one was stale.
func nonceOf(t *testing.T, refusal *Refusal) (nonce string, stale bool) {
	t.Helper()
	field, ok := strings.CutPrefix(refusal.Header.Get("Proxy-Authenticate"), "Digest ")
	params, err := parseParams(field)
	if !ok || err != nil || params["algorithm"] != "SHA-256" || params["qop"] != "auth" ||
		params["realm"] != "sluice" || params["nonce"] == "" || refusal.Status != 407 {
		t.Fatalf("%+v, %v", refusal, err)
	}
	return params["nonce"], params["stale"] == "true"
}

func TestDigest(t *testing.T) {
	f := newDigestFile(t)
	_, refusal := f.Authenticate(withCredentials())
	nonce, stale := nonceOf(t, refusal)
	if stale {
		t.Error("the first challenge says stale")
	}
	set := func(name, value string) func(map[string]string) {
		return func(params map[string]string) { params[name] = value }
	}
	for _, test := range []struct {
		name  string
		c     digestClient
		user  string
		stale bool
	}{
		{"right", digestClient{}, "anna", false},
		{"count again", digestClient{}, "", true},
		{"next count", digestClient{nc: 1}, "anna", false},
		{"count left out", digestClient{nc: 5}, "anna", false},
		{"count that came late", digestClient{nc: 3}, "anna", false},
		{"that again", digestClient{nc: 3}, "", true},
		{"wrong password", digestClient{password: "other", nc: 7}, "", false},
		{"unknown user", digestClient{user: "carl", nc: 7}, "", false},
		{"other realm's password", digestClient{password: "y", nc: 7}, "", false},
		{"other target", digestClient{uri: "other.example:443", nc: 7}, "", false},
		{"nonce of nobody", digestClient{nonce: "abcd"}, "", true},
		{"changed nonce", digestClient{nonce: "A" + nonce[1:], nc: 7}, "", true},
		{"count of zero", digestClient{edit: set("nc", "00000000")}, "", false},
		{"short count", digestClient{edit: set("nc", "1")}, "", false},
		{"no qop", digestClient{edit: func(p map[string]string) { delete(p, "qop") }, nc: 7}, "", false},
		{"qop of auth-int", digestClient{edit: set("qop", "auth-int"), nc: 7}, "", false},
		{"MD5", digestClient{edit: func(p map[string]string) { delete(p, "algorithm") }, nc: 7}, "", false},
		{"no cnonce", digestClient{edit: func(p map[string]string) { delete(p, "cnonce") }, nc: 7}, "", false},
		{"wrong realm", digestClient{edit: set("realm", `"x"`), nc: 7}, "", false},
		{"quoted values", digestClient{edit: set("algorithm", `"sha-256"`), nc: 7}, "anna", false},
		{"userhash", digestClient{edit: func(p map[string]string) {
			p["username"], p["userhash"] = quote(hashHex("anna", "sluice")), "true"
		}, nc: 8}, "anna", false},
		{"unknown userhash", digestClient{edit: func(p map[string]string) {
			p["username"], p["userhash"] = quote(hashHex("carl", "sluice")), "true"
		}, nc: 9}, "", false},
		{"username*", digestClient{user: "Jürgen", password: "x", edit: func(p map[string]string) {
			delete(p, "username")
			p["username*"] = "UTF-8''J%C3%BCrgen"
		}, nc: 9}, "Jürgen", false},
	} {
		c := test.c
		setDefault(&c.user, "anna")
		setDefault(&c.password, "sesame")
		setDefault(&c.uri, "example.com:443")
		setDefault(&c.nonce, nonce)
		field := c.field()
		user, refusal := f.Authenticate(withCredentials(field))
		if user != test.user || (refusal == nil) != (user != "") {
			t.Errorf("%s: user %q, %v\n%s", test.name, user, refusal, field)
		} else if refusal != nil {
			if _, stale := nonceOf(t, refusal); stale != test.stale {
				t.Errorf("%s: stale is %v", test.name, stale)
			}
		}
	}
}

func setDefault(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// The example of RFC 7616 §3.9.1, with SHA-256.
func TestDigestRFCExample(t *testing.T) {
	ha1 := hashHex("Mufasa", "http-auth@example.org", "Circle of Life")
	got := hashHex(ha1, "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "00000001",
		"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "auth", hashHex("GET", "/dir/index.html"))
	if want := "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"; got != want {
		t.Errorf("response %s, want %s", got, want)
	}
}

// Requests that are not CONNECT have their URL in the credentials, in one of the forms of clients.
func TestDigestURI(t *testing.T) {
	for _, test := range []struct {
		target, uri string
		want        bool
	}{
		{"http://example.com/a?b", "http://example.com/a?b", true},
		{"http://example.com/a?b", "/a?b", true},
		{"http://example.com/a?b", "/a", false},
		{"http://example.com/a?b", "http://other.example/a?b", false},
		{"http://example.com/", "example.com", false},
		{"http://example.com/", "", false},
		{"http://example.com/", "*", false},
	} {
		if got := uriMatches(httptest.NewRequest(http.MethodGet, test.target, nil), test.uri); got != test.want {
			t.Errorf("%s for %s: %v", test.uri, test.target, got)
		}
	}
	connect := httptest.NewRequest(http.MethodConnect, "example.com:443", nil)
	if !uriMatches(connect, "example.com:443") || uriMatches(connect, "/") || uriMatches(connect, "other.example:443") {
		t.Error("CONNECT: the uri is not that of its target alone")
	}
}

// A nonce ends with its time; those that were used are bounded, and the oldest are stale first.
func TestNonces(t *testing.T) {
	var n nonces
	now := time.Now()
	old := n.issue(now)
	if n.use(now.Add(nonceAge+time.Second), old, 1) {
		t.Error("a nonce is good after its time")
	}
	if !n.use(now.Add(nonceAge-time.Second), old, 1) || n.use(now, old, 1) || !n.use(now, old, 100) ||
		!n.use(now, old, 99) || n.use(now, old, 99) || n.use(now, old, 2) {
		t.Error("counts are not used once each")
	}
	other := &nonces{}
	if other.use(now, old, 200) {
		t.Error("a nonce of another key is good")
	}
	for i := range maxNonces + maxNonces/2 {
		now = now.Add(time.Millisecond)
		if !n.use(now, n.issue(now), 1) {
			t.Fatalf("nonce %d is stale", i)
		}
	}
	if len(n.used) > maxNonces {
		t.Errorf("%d nonces are kept, want at most %d", len(n.used), maxNonces)
	}
	if n.use(now, old, 300) {
		t.Error("the oldest nonce is not stale after so many")
	}
}

func FuzzAuthorization(f *testing.F) {
	f.Add(`Digest username="a", realm="sluice", nc=00000001, uri="x\"y", cnonce=, response=`)
	f.Add("Basic YTpi")
	f.Add("Digest username*=UTF-8''%zz,a=b,,c = \"\\")
	auth := AnyOf(Basic("r", StaticUsers(map[string]string{"b": "c"})), &DigestFile{})
	f.Fuzz(func(t *testing.T, field string) {
		user, refusal := auth.Authenticate(withCredentials(field))
		if (refusal == nil) != (user == "b") {
			t.Errorf("user %q, %v", user, refusal)
		}
		params, err := parseParams(field)
		for name, value := range params {
			if err == nil && (name == "" || name != strings.ToLower(name) || len(name)+len(value) > len(field)) {
				t.Errorf("parameter %q=%q of %q", name, value, field)
			}
		}
	})
}
