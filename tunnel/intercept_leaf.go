package tunnel

import (
	"cmp"
	"container/list"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	leafLifetime = 30 * 24 * time.Hour
	leafRenewal  = leafLifetime / 3 // before the end a new one is made
)

// leafCache holds certificates for hosts, the last used ones.
type leafCache struct {
	mu    sync.Mutex               // guards the fields below
	key   *ecdsa.PrivateKey        // of all certificates; nil before the first
	hosts map[string]*list.Element // whose Value is a *leafEntry
	order list.List                // the last used one first
}

// leafEntry is the certificate for one host.
type leafEntry struct {
	host  string
	ready chan struct{} // closed when the fields below are set

	cert  *tls.Certificate
	err   error
	renew time.Time // from when on it is not used any more
}

// certificate returns a certificate for a host, a name or an address, signed by the CA. At most one
// is being made for each host.
func (i *Interceptor) certificate(host string) (*tls.Certificate, error) {
	if i.CA == nil {
		return nil, errors.New("tunnel: the Interceptor has no CA")
	}
	c := &i.leaves
	now := time.Now()
	c.mu.Lock()
	if c.hosts == nil {
		c.hosts = map[string]*list.Element{}
	}
	if e := c.hosts[host]; e != nil {
		l := e.Value.(*leafEntry)
		if l.usable(now) {
			c.order.MoveToFront(e)
			c.mu.Unlock()
			<-l.ready
			return l.cert, l.err
		}
		c.removeLocked(e)
	}
	if c.key == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			c.mu.Unlock()
			return nil, err
		}
		c.key = key
	}
	l := &leafEntry{host: host, ready: make(chan struct{})}
	c.hosts[host] = c.order.PushFront(l)
	for c.order.Len() > cmp.Or(max(i.MaxCertificates, 0), DefaultMaxCertificates) {
		c.removeLocked(c.order.Back())
	}
	key := c.key
	c.mu.Unlock()
	l.cert, l.renew, l.err = i.CA.sign(host, key, now)
	close(l.ready)
	return l.cert, l.err
}

// usable reports whether a certificate is being made, or is there and good for some time.
func (l *leafEntry) usable(now time.Time) bool {
	select {
	case <-l.ready:
		return l.err == nil && now.Before(l.renew)
	default:
		return true
	}
}

func (c *leafCache) removeLocked(e *list.Element) {
	delete(c.hosts, c.order.Remove(e).(*leafEntry).host)
}

// sign makes a certificate for a host, and says when to make the next one. It is not valid beyond
// the CA's.
func (ca *CA) sign(host string, key *ecdsa.PrivateKey, now time.Time) (*tls.Certificate, time.Time, error) {
	end := now.Add(leafLifetime)
	renew := end.Add(-leafRenewal)
	if end.After(ca.cert.NotAfter) {
		end = ca.cert.NotAfter
		renew = now.Add(end.Sub(now) * 2 / 3)
	}
	if !now.Before(end) {
		return nil, now, fmt.Errorf("tunnel: the CA's certificate has expired at %s", end.Format(time.RFC3339))
	}
	begin := now.Add(-caSkew)
	if begin.Before(ca.cert.NotBefore) {
		begin = ca.cert.NotBefore
	}
	serial, err := newSerial()
	if err != nil {
		return nil, now, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		NotBefore:             begin,
		NotAfter:              end,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	if len(host) <= 64 { // ub-common-name (RFC 5280 appendix A.1)
		template.Subject = pkix.Name{CommonName: host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return nil, now, fmt.Errorf("tunnel: certificate for %s: %w", host, err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, now, fmt.Errorf("tunnel: certificate for %s: %w", host, err)
	}
	chain := append([][]byte{der}, ca.chain...)
	return &tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: parsed}, renew, nil
}
