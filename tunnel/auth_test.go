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
	"strings"
	"sync"
	"testing"

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
