package tunnel

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// DigestFile is an Authenticator of the Digest scheme (RFC 7616) with SHA-256 and qop=auth. No
// password crosses the network or is in the file, whose lines are user, realm and the hash that
// [DigestHash] returns, with colons between them; lines of another realm are left out. The file is
// as secret as a password. It is also read again while a Proxy uses it. Before the first Load
// nobody is let in.
//
// A nonce is good for five minutes, and each of its counts (nc) once; then the client is told
// stale=true, upon which it goes on without asking anyone.
type DigestFile struct {
	Path  string
	Realm string // default "sluice"; a part of the hashes

	users  atomic.Pointer[digestUsers]
	nonces nonces
}

type digestUsers struct {
	byName map[string][sha256.Size]byte
	byHash map[string]string // the user of a userhash (RFC 7616 §3.4.4)
}

// DigestHash returns the line of a DigestFile for a user, without the end of the line.
func DigestHash(user, realm, password string) string {
	return user + ":" + realm + ":" + hashHex(user, realm, password)
}

// hashHex is H of RFC 7616 §3.2 over parts with colons between them, in hexadecimal.
func hashHex(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(sum[:])
}

// Load reads the file. With an error, which names the file and the line, the users stay as they
// were.
func (f *DigestFile) Load() error {
	file, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // which was only read
	users, err := parseDigestFile(file, f.Path, realmOr(f.Realm))
	if err != nil {
		return err
	}
	f.users.Store(users)
	return nil
}

func parseDigestFile(r io.Reader, name, realm string) (*digestUsers, error) {
	users := &digestUsers{make(map[string][sha256.Size]byte), make(map[string]string)}
	others := ""
	err := scanLines(r, name, func(line string) error {
		parts := strings.Split(line, ":")
		if len(parts) != 3 || parts[0] == "" || !plainText(line) {
			return errors.New("a line is user:realm:hash")
		}
		sum, err := hex.DecodeString(parts[2])
		if err != nil || len(sum) != sha256.Size {
			return fmt.Errorf("the user %s: the hash is not 64 hexadecimal digits of SHA-256", shortQuote(parts[0]))
		}
		if parts[1] != realm {
			others = parts[1]
			return nil
		}
		if _, ok := users.byName[parts[0]]; ok {
			return fmt.Errorf("the user %s is there twice", shortQuote(parts[0]))
		}
		users.byName[parts[0]] = [sha256.Size]byte(sum)
		users.byHash[hashHex(parts[0], realm)] = parts[0]
		if len(users.byName) > maxUsers {
			return fmt.Errorf("more than %d users", maxUsers)
		}
		return nil
	})
	if err == nil && len(users.byName) == 0 && others != "" {
		err = fmt.Errorf("%s: no user of the realm %s, but of %s", name, shortQuote(realm), shortQuote(others))
	}
	return users, err
}

// Authenticate returns the user of the Proxy-Authorization field.
func (f *DigestFile) Authenticate(r *http.Request) (string, *Refusal) {
	now := time.Now()
	c := credentials(r, "Digest")
	if c == "" {
		return "", f.challenge(now, missingCredentials, false)
	}
	d, err := parseDigest(c)
	if err != nil || d.realm != realmOr(f.Realm) || !uriMatches(r, d.uri) {
		return "", f.challenge(now, wrongCredentials, false)
	}
	user, ok := f.verify(r.Method, d)
	if !ok {
		return "", f.challenge(now, wrongCredentials, false)
	}
	if !f.nonces.use(now, d.nonce, d.count) {
		return "", f.challenge(now, "the nonce of the credentials is used up", true)
	}
	return user, nil
}

// verify checks the response, whatever the nonce, and returns the user.
func (f *DigestFile) verify(method string, d *digest) (string, bool) {
	users := f.users.Load()
	if users == nil {
		return "", false
	}
	user := d.username
	if d.userhash {
		user = users.byHash[strings.ToLower(user)]
	}
	ha1, known := users.byName[user]
	want := hashHex(hex.EncodeToString(ha1[:]), d.nonce, d.nc, d.cnonce, "auth", hashHex(method, d.uri))
	equal := subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(d.response))) == 1
	return user, equal && known
}

func (f *DigestFile) challenge(now time.Time, details string, stale bool) *Refusal {
	field := "Digest realm=" + quote(realmOr(f.Realm)) + `, qop="auth", algorithm=SHA-256, nonce="` +
		f.nonces.issue(now) + `", userhash=true, charset=UTF-8`
	if stale {
		field += ", stale=true"
	}
	return challenge(details, field)
}

// uriMatches reports whether the uri of the credentials is the target of the request: as it is in
// the request, or, since clients differ and proxies may rewrite it, its path or its authority.
func uriMatches(r *http.Request, uri string) bool {
	if r.Method == http.MethodConnect && r.URL.Path == "" {
		return uri != "" && (uri == r.RequestURI || uri == r.Host || uri == r.URL.Host)
	}
	if uri == r.RequestURI || uri == r.URL.String() || uri == r.URL.RequestURI() {
		return uri != "" && uri != "*"
	}
	u, err := url.Parse(uri)
	return err == nil && u.IsAbs() && u.Host == r.Host && u.RequestURI() == r.URL.RequestURI()
}

// digest is a Proxy-Authorization field of the Digest scheme.
type digest struct {
	username, realm, nonce, uri, response, cnonce, nc string

	userhash bool
	count    uint32 // the value of nc
}

// parseDigest parses what follows the scheme.
func parseDigest(c string) (*digest, error) {
	params, err := parseParams(c)
	if err != nil {
		return nil, err
	}
	d := &digest{
		username: params["username"], realm: params["realm"], nonce: params["nonce"], uri: params["uri"],
		response: params["response"], cnonce: params["cnonce"], nc: params["nc"],
		userhash: strings.EqualFold(params["userhash"], "true"),
	}
	if ext, ok := params["username*"]; ok {
		charset, value, ok := strings.Cut(ext, "''")
		if d.username != "" || d.userhash || !ok || !strings.EqualFold(charset, "UTF-8") {
			return nil, errors.New("username* is not UTF-8, or there is a username, too")
		}
		if d.username, err = url.PathUnescape(value); err != nil {
			return nil, err
		}
	}
	if !strings.EqualFold(params["algorithm"], "SHA-256") || !strings.EqualFold(params["qop"], "auth") {
		return nil, errors.New("the algorithm is not SHA-256, or qop is not auth")
	}
	count, err := strconv.ParseUint(d.nc, 16, 32)
	if err != nil || len(d.nc) != 8 || count == 0 {
		return nil, errors.New("nc is not eight hexadecimal digits above 0")
	}
	d.count = uint32(count)
	if d.username == "" || d.cnonce == "" || len(d.response) != 2*sha256.Size || !plainText(d.username) {
		return nil, errors.New("the username, the cnonce or the response is missing")
	}
	return d, nil
}

// parseParams parses auth-params (RFC 9110 §11.2) into a map by name in lower case.
func parseParams(s string) (map[string]string, error) {
	params := make(map[string]string)
	for {
		s = strings.TrimLeft(s, " \t,")
		if s == "" {
			return params, nil
		}
		name, rest, ok := strings.Cut(s, "=")
		name = strings.ToLower(strings.TrimRight(name, " \t"))
		if !ok || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) {
			return nil, errors.New("a parameter has no name or no value")
		}
		if _, twice := params[name]; twice {
			return nil, fmt.Errorf("the parameter %s is there twice", shortQuote(name))
		}
		value, rest, err := parseParamValue(strings.TrimLeft(rest, " \t"))
		if err != nil {
			return nil, err
		}
		params[name] = value
		s = strings.TrimLeft(rest, " \t")
		if s != "" && s[0] != ',' {
			return nil, errors.New("there is no comma between parameters")
		}
	}
}

// parseParamValue parses a token or a quoted-string at the begin of s, and returns what follows.
func parseParamValue(s string) (value, rest string, err error) {
	if s == "" || s[0] != '"' {
		end := strings.IndexAny(s, " \t,")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			if i++; i == len(s) {
				return "", "", errors.New("a quoted string has no end")
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", errors.New("a quoted string has no end")
}
