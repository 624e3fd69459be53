package tunnel

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

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
