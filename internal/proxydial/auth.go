package proxydial

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/icholy/digest"

	"github.com/sluice-go/sluice/internal/syntax"
)

// maxRounds bounds the challenges that Authenticate answers for one tunnel.
const maxRounds = 8

// Challenge is a response of 407 (Proxy Authentication Required) to a request for a tunnel.
type Challenge struct {
	Target string
	Round  int      // 1 for the first
	Values []string // of Proxy-Authenticate
	State  any      // of the function that is called
}

// credentials are a user and a password.
type credentials struct{ user, password string }

// credentialsOf returns those of a Userinfo, which may be nil.
func credentialsOf(u *url.Userinfo) credentials {
	if u == nil {
		return credentials{}
	}
	password, _ := u.Password()
	return credentials{u.Username(), password}
}

func (c credentials) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.user+":"+c.password))
}

// remembered is what a Dialer knows of the proxy's authentication. It is guarded by Dialer.mu.
type remembered struct {
	credentials credentials       // of Dialer.Credentials, that the proxy has taken
	digest      *digest.Challenge // nil where the proxy wants Basic or nothing
	count       int               // how often its nonce was used
}

// firstAuthorization returns the Proxy-Authorization of a request before a challenge: Basic, as in
// net/http, unless the proxy has asked for Digest before.
func (x *exchange) firstAuthorization() string {
	if x.d.Authenticate != nil {
		return ""
	}
	x.d.mu.Lock()
	known := x.d.mu.auth.credentials
	challenge := x.d.mu.auth.digest
	x.d.mu.Unlock()
	if known == (credentials{}) {
		known = credentialsOf(x.d.Proxy.User)
	}
	if known == (credentials{}) {
		return ""
	}
	x.credentials = known
	if challenge != nil {
		if v := x.digest(challenge); v != "" {
			x.usedDigest = true
			return v
		}
	}
	x.basic = known.basic()
	return x.basic
}

// digest returns the value of Proxy-Authorization for a challenge of Digest, "" where that cannot
// be answered.
func (x *exchange) digest(c *digest.Challenge) string {
	d := x.d
	d.mu.Lock()
	if d.mu.auth.digest != c {
		d.mu.auth.digest, d.mu.auth.count = c, 0
	}
	d.mu.auth.count++
	count := d.mu.auth.count
	d.mu.Unlock()
	uri := x.target
	if x.udpPath != "" {
		uri = x.udpPath
	}
	cred, err := digest.Digest(c, digest.Options{
		Method: x.method, URI: uri, Count: count,
		Username: x.credentials.user, Password: x.credentials.password,
	})
	if err != nil {
		return ""
	}
	return cred.String()
}

// answerChallenge reports whether the request is to be sent again after a response that is not 2xx,
// and sets its Proxy-Authorization.
func (x *exchange) answerChallenge(ctx context.Context, resp *http.Response) (again bool, err error) {
	values := resp.Header["Proxy-Authenticate"]
	if resp.StatusCode != http.StatusProxyAuthRequired || len(x.header["Proxy-Authorization"]) > 0 {
		return false, nil
	}
	c := &Challenge{Target: x.target, Values: slices.Clone(values)}
	if f := x.d.Authenticate; f != nil {
		if x.round == maxRounds {
			return false, nil
		}
		x.round++
		c.Round, c.State = x.round, x.state
		x.authorization, err = f(ctx, c)
		x.state = c.State
		return x.authorization != "", err
	}
	if x.tried {
		return false, nil
	}
	x.tried = true
	offers := parseChallenges(values)
	dc := digestOf(offers)
	wantsBasic := offered(offers, "basic")
	if dc == nil && !wantsBasic {
		return false, nil
	}
	refused := dc != nil && x.usedDigest && !dc.Stale || dc == nil && x.basic != ""
	if x.credentials == (credentials{}) || refused && x.d.Credentials != nil {
		if x.d.Credentials == nil {
			return false, nil
		}
		c.Round = 1
		u, err := x.d.Credentials(ctx, c)
		if err != nil || u == nil {
			return false, err
		}
		x.credentials, x.asked = credentialsOf(u), true
		refused = false
	}
	if dc != nil {
		x.authorization = x.digest(dc)
		return x.authorization != "", nil
	}
	x.authorization = x.credentials.basic()
	return !refused, nil
}

// accepted remembers the credentials that the proxy has taken, where a function has given them.
func (x *exchange) accepted() {
	if !x.asked {
		return
	}
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	x.d.mu.auth.credentials = x.credentials
}

// forget forgets credentials that the proxy has refused.
func (d *Dialer) forget(c credentials) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.auth.credentials == c {
		d.mu.auth.credentials = credentials{}
	}
}

// challenge is one challenge of a Proxy-Authenticate field (RFC 9110 §11.3).
type challenge struct {
	scheme string // in lower case
	whole  string // with its parameters
}

// parseChallenges cuts the values of Proxy-Authenticate, each of which is a list, into challenges.
// A part of a list that begins with "name=" belongs to the challenge before it.
func parseChallenges(values []string) (all []challenge) {
	for _, v := range values {
		for _, part := range splitList(v) {
			scheme, params, _ := strings.Cut(part, " ")
			params = strings.TrimLeft(params, " ")
			if syntax.ValidToken(scheme) && !strings.HasPrefix(params, "=") {
				all = append(all, challenge{strings.ToLower(scheme), part})
			} else if n := len(all); n > 0 {
				all[n-1].whole += ", " + part
			}
		}
	}
	return all
}

// splitList splits s at the commas outside of quoted strings.
func splitList(s string) (parts []string) {
	quoted, escaped, begin := false, false, 0
	add := func(part string) {
		if part = syntax.TrimValue(part); part != "" {
			parts = append(parts, part)
		}
	}
	for i := range len(s) {
		switch c := s[i]; {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			add(s[begin:i])
			begin = i + 1
		}
	}
	add(s[begin:])
	return parts
}

func offered(all []challenge, scheme string) bool {
	return slices.ContainsFunc(all, func(c challenge) bool { return c.scheme == scheme })
}

// digestOf returns the strongest challenge of Digest (RFC 7616 §3.7) that can be answered, nil for
// none.
func digestOf(all []challenge) (best *digest.Challenge) {
	strength := map[string]int{"": 1, "MD5": 1, "SHA-256": 2, "SHA-512-256": 3}
	most := 0
	for _, c := range all {
		if c.scheme != "digest" {
			continue
		}
		dc, err := digest.ParseChallenge(c.whole)
		if err != nil {
			continue
		}
		for i, q := range dc.QOP {
			dc.QOP[i] = strings.ToLower(syntax.TrimValue(q))
		}
		n := strength[strings.ToUpper(dc.Algorithm)]
		if n > most && (len(dc.QOP) == 0 || dc.SupportsQOP("auth")) {
			best, most = dc, n
		}
	}
	return best
}
