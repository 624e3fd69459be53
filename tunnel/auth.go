package tunnel

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Fields of authentication (RFC 9110 §11.7).
const (
	proxyAuthenticate  = "Proxy-Authenticate"
	proxyAuthorization = "Proxy-Authorization"
)

// maxCredentials bounds the Proxy-Authorization field that is looked at. Basic and Digest need a
// tenth of it.
const maxCredentials = 8 << 10

// credentials returns what follows the scheme in the Proxy-Authorization field. It is empty where
// the field is missing, there twice, or of another scheme.
func credentials(r *http.Request, scheme string) string {
	fields := r.Header[proxyAuthorization]
	if len(fields) != 1 || len(fields[0]) > maxCredentials {
		return ""
	}
	name, rest, _ := strings.Cut(strings.TrimSpace(fields[0]), " ")
	if !strings.EqualFold(name, scheme) {
		return ""
	}
	return strings.TrimSpace(rest)
}

// challenge is the Refusal that asks for credentials.
func challenge(details, field string) *Refusal {
	return &Refusal{
		Status: http.StatusProxyAuthRequired, Type: "http_request_denied", Details: details,
		Header: http.Header{proxyAuthenticate: {field}},
	}
}

// What a client reads that has no credentials, or wrong ones.
const (
	missingCredentials = "this proxy asks for a user and a password"
	wrongCredentials   = "the user or the password is wrong"
)

// quote returns a quoted-string (RFC 9110 §5.6.4). What a field cannot have becomes a question
// mark.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			b.WriteByte('?')
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Basic is an Authenticator of the Basic scheme (RFC 7617), whose credentials anyone can read on a
// connection without TLS. Check reports whether the password is the user's; it is called by any
// number of goroutines, for every request, with names and passwords that are UTF-8 without control
// characters. [StaticUsers] is one.
func Basic(realm string, check func(ctx context.Context, user, password string) bool) Authenticator {
	return &basic{realm, check}
}

type basic struct {
	realm string
	check func(ctx context.Context, user, password string) bool
}

func (b *basic) Authenticate(r *http.Request) (string, *Refusal) {
	field := "Basic realm=" + quote(b.realm) + `, charset="UTF-8"`
	c := credentials(r, "Basic")
	if c == "" {
		return "", challenge(missingCredentials, field)
	}
	user, password, ok := parseBasic(c)
	if !ok || !b.check(r.Context(), user, password) {
		return "", challenge(wrongCredentials, field)
	}
	return user, nil
}

// parseBasic parses the credentials of RFC 7617 §2.
func parseBasic(c string) (user, password string, ok bool) {
	raw, err := base64.StdEncoding.DecodeString(c)
	if err != nil {
		return "", "", false
	}
	user, password, ok = strings.Cut(string(raw), ":")
	if !ok || user == "" || !plainText(user) || !plainText(password) {
		return "", "", false
	}
	return user, password, true
}

// plainText reports whether s is UTF-8 without control characters.
func plainText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// StaticUsers returns a function for Basic that knows users and their passwords. It takes the same
// time for a wrong password as for a user that it does not know.
func StaticUsers(users map[string]string) func(ctx context.Context, user, password string) bool {
	sums := make(map[string][sha256.Size]byte, len(users))
	for user, password := range users {
		sums[user] = sha256.Sum256([]byte(password))
	}
	return func(_ context.Context, user, password string) bool {
		want, known := sums[user]
		got := sha256.Sum256([]byte(password))
		return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && known
	}
}

// ClientCert is an Authenticator of clients whose certificate the server has verified: the
// tls.Config needs ClientCAs, and ClientAuth of tls.VerifyClientCertIfGiven or
// tls.RequireAndVerifyClientCert. A certificate that was only asked for does not count.
type ClientCert struct {
	// User returns the user of a verified certificate, "" for none. A nil User takes the common
	// name of the subject; where that is empty, the first name of the certificate among its DNS
	// names, email addresses and URIs.
	User func(*x509.Certificate) string
}

// Authenticate returns the user of the certificate. The Refusal is 403, since no credentials in a
// field would help.
func (c *ClientCert) Authenticate(r *http.Request) (string, *Refusal) {
	refusal := &Refusal{
		Status: http.StatusForbidden, Type: "http_request_denied",
		Details: "this proxy asks for a client certificate",
	}
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return "", refusal
	}
	find := certUser
	if c.User != nil {
		find = c.User
	}
	user := find(r.TLS.VerifiedChains[0][0])
	if user == "" || !plainText(user) {
		refusal.Details = "the client certificate is of no user"
		return "", refusal
	}
	return user, nil
}

func certUser(cert *x509.Certificate) string {
	switch {
	case cert.Subject.CommonName != "":
		return cert.Subject.CommonName
	case len(cert.DNSNames) > 0:
		return cert.DNSNames[0]
	case len(cert.EmailAddresses) > 0:
		return cert.EmailAddresses[0]
	case len(cert.URIs) > 0:
		return cert.URIs[0].String()
	}
	return ""
}

// AnyOf is an Authenticator that takes the user of the first of auths that has one. The Refusal of
// a request without one has the challenges of all, in their order, from which clients choose. Where
// an Authenticator refuses for another reason than credentials, such as ClientCert, this counts
// only if no other has a challenge.
func AnyOf(auths ...Authenticator) Authenticator { return anyOf(auths) }

type anyOf []Authenticator

func (list anyOf) Authenticate(r *http.Request) (string, *Refusal) {
	var all, other *Refusal
	for _, a := range list {
		user, refusal := a.Authenticate(r)
		switch {
		case refusal == nil:
			return user, nil
		case refusal.Status != http.StatusProxyAuthRequired:
			other = refusal
		case all == nil:
			merged := *refusal
			merged.Header = refusal.Header.Clone()
			all = &merged
		default:
			for name, values := range refusal.Header {
				all.Header[name] = append(all.Header[name], values...)
			}
			if all.Details == missingCredentials {
				all.Details = refusal.Details
			}
		}
	}
	if all != nil {
		return "", all
	}
	if other == nil {
		other = &Refusal{Status: http.StatusForbidden, Type: "http_request_denied", Details: "no user is let in"}
	}
	return "", other
}
