package tunnel

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var testLeafKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// Of several that make a CA at the same time one does, and all have it.
func TestLoadCA(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "ca")
	var (
		wg  sync.WaitGroup
		cas [8]*CA
	)
	for i := range cas {
		wg.Go(func() {
			var err error
			if cas[i], err = LoadCA(dir); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for _, ca := range cas[1:] {
		if ca.Fingerprint() != cas[0].Fingerprint() {
			t.Error("two certificates were made")
		}
	}
	ca := cas[0]
	if len(ca.Fingerprint()) != 32*3-1 || !strings.Contains(ca.Trust(), ca.Fingerprint()) ||
		!strings.Contains(ca.Trust(), filepath.Join(dir, "ca.pem")) {
		t.Errorf("%s", ca.Trust())
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Errorf("%v, %v", files, err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for name, mode := range map[string]os.FileMode{"": 0o700, caKeyFile: 0o600, caCertFile: 0o644} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, caKeyFile), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadCA(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others may read: %v", err)
	}
}

func TestNewCA(t *testing.T) {
	ca := testCA()
	leaf := signForTest(t, ca, "a.example", time.Now().Add(time.Hour))
	for want, pair := range map[string]tls.Certificate{
		"no certificate":   {},
		"not that of a CA": leaf,
		"not that of the":  {Certificate: ca.chain, PrivateKey: testLeafKey()},
	} {
		if _, err := NewCA(pair); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Certificates are good for their host, within the time of the CA, and made once.
func TestCertificates(t *testing.T) {
	ca, err := LoadCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	i := &Interceptor{CA: ca, MaxCertificates: 3}
	pool := x509.NewCertPool()
	pool.AddCert(ca.Certificate())
	first := map[string]*tls.Certificate{}
	hosts := []string{
		"a.example",
		"192.0.2.1",
		"2001:db8::1",
		"under_score.example",
		strings.Repeat("long.", 20) + "example",
	}
	for _, host := range hosts {
		cert, err := i.certificate(host)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host}); err != nil &&
			!strings.Contains(host, "_") {
			t.Errorf("%s: %v", host, err)
		}
		if cert.Leaf.NotAfter.After(ca.cert.NotAfter) {
			t.Errorf("%s: beyond the CA", host)
		}
		first[host] = cert
	}
	for n, host := range []string{hosts[4], hosts[3], hosts[2], hosts[1], hosts[0]} {
		cert, err := i.certificate(host)
		if err != nil {
			t.Fatal(err)
		}
		if kept := cert == first[host]; kept != (n < 3) {
			t.Errorf("%s: kept: %v", host, kept)
		}
	}
	if n := i.leaves.order.Len(); n != 3 || len(i.leaves.hosts) != 3 {
		t.Errorf("%d are kept", n)
	}
}

func TestCertificateWithoutCA(t *testing.T) {
	if _, err := new(Interceptor).certificate("a.example"); err == nil {
		t.Error("a certificate without a CA")
	}
}

func TestCertificateOnce(t *testing.T) {
	i := &Interceptor{CA: testCA()}
	var (
		wg    sync.WaitGroup
		certs [20]*tls.Certificate
	)
	for n := range certs {
		wg.Go(func() { certs[n], _ = i.certificate("a.example") })
	}
	wg.Wait()
	for _, cert := range certs {
		if cert == nil || cert != certs[0] {
			t.Error("more than one certificate was made")
		}
	}
}

// A certificate is renewed before it ends, and one of a CA that ends soon ends with it.
func TestCertificateRenewal(t *testing.T) {
	ca := *testCA()
	cert := *ca.cert
	ca.cert = &cert
	now := time.Now()
	cert.NotAfter = now.Add(3 * time.Hour).Truncate(time.Second)
	leaf, renew, err := ca.sign("a.example", testLeafKey(), now)
	if err != nil || !leaf.Leaf.NotAfter.Equal(cert.NotAfter) || renew.After(now.Add(2*time.Hour)) || renew.Before(now) {
		t.Errorf("until %v, renewed at %v, %v", leaf.Leaf.NotAfter, renew, err)
	}
	if _, _, err := ca.sign("a.example", testLeafKey(), cert.NotAfter); err == nil {
		t.Error("a CA that has ended signs")
	}
	i := &Interceptor{CA: testCA()}
	old, err := i.certificate("a.example")
	if err != nil {
		t.Fatal(err)
	}
	i.leaves.hosts["a.example"].Value.(*leafEntry).renew = now
	if fresh, err := i.certificate("a.example"); err != nil || fresh == old {
		t.Errorf("the certificate was not renewed: %v", err)
	}
}

func TestMatchHost(t *testing.T) {
	for _, test := range []struct {
		pattern, host string
		want          bool
	}{
		{"a.example", "a.example", true},
		{"A.Example.", "a.example", true},
		{"a.example", "b.a.example", false},
		{"*.example", "a.example", true},
		{"*.example", "example", false},
		{".example", "example", true},
		{".example", "b.a.example", true},
		{".example", "aexample", false},
		{"192.0.2.1", "192.0.2.1", true},
		{"[2001:DB8::1]", "2001:db8::1", true},
		{"*", "anything", true},
		{"", "", false},
	} {
		if got := matchHost(test.pattern, test.host); got != test.want {
			t.Errorf("%q, %q: %v", test.pattern, test.host, got)
		}
	}
}

func TestFieldRules(t *testing.T) {
	file := filepath.Join(t.TempDir(), "fields")
	write := func(text string, mode os.FileMode) (*FieldRules, error) {
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		return LoadFieldRules(file)
	}
	r, err := write("# fields\n\napi.example: Authorization: Bearer a:b\n.example:X-Key: 1\n.example: X-Key: 2\n"+
		"[2001:db8::1]: X-Six: 6\n", 0o600)
	if err != nil || r.Warning() != "" {
		t.Fatalf("%v, %q", err, r.Warning())
	}
	for host, want := range map[string]http.Header{
		"api.example": {"Authorization": {"Bearer a:b"}, "X-Key": {"1", "2"}},
		"b.example":   {"X-Key": {"1", "2"}},
		"2001:db8::1": {"X-Six": {"6"}},
		"example.com": nil,
	} {
		got, err := r.Fields(context.Background(), nil, host)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", host, err, d)
		}
	}
	for _, line := range []string{
		"api.example", "api.example: secret", ": Authorization: secret", "a: Content-Length: 1", "a: B C: secret",
		"a: b: secret\x01",
	} {
		_, err := write("\n"+line+"\n", 0o600)
		if err == nil || !strings.Contains(err.Error(), ":2: ") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", line, err)
		}
	}
	if runtime.GOOS == "windows" {
		return
	}
	if r, err = write("a: B: c\n", 0o644); err != nil || !strings.Contains(r.Warning(), "chmod 600") {
		t.Errorf("%v, %q", err, r.Warning())
	}
}

// setForAll sets a field for each host.
func setForAll(name, value string) func(context.Context, *Target, string) (http.Header, error) {
	return func(context.Context, *Target, string) (http.Header, error) {
		return http.Header{http.CanonicalHeaderKey(name): {value}}, nil
	}
}

// A thousand hosts cost a certificate each, and no more than the bound is kept.
func TestInterceptManyHosts(t *testing.T) {
	i := &Interceptor{CA: testCA(), MaxCertificates: 100}
	for n := range 1000 {
		if _, err := i.certificate(fmt.Sprintf("host%d.example", n)); err != nil {
			t.Fatal(err)
		}
	}
	if n := i.leaves.order.Len(); n != 100 {
		t.Errorf("%d are kept", n)
	}
}
