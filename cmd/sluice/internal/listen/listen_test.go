package listen

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-go/sluice/internal/selfsigned"
)

func TestAdvice(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&net.OpError{Err: os.NewSyscallError("bind", syscall.EACCES)}, "this user may not open that port"},
		{&net.DNSError{Err: "no such host", Name: "nowhere.test"}, "nowhere.test: no such host. Change --http"},
		{errors.New("odd"), "odd. Change --http"},
	} {
		if got := advice("--http", ":80", tt.err); !strings.Contains(got, tt.want) {
			t.Errorf("%v: %q, want %q in it", tt.err, got, tt.want)
		}
	}
}

// A self-signed certificate is good for every name by which this server can be
// reached, and the user's files are used when there are any.
func TestCertificate(t *testing.T) {
	cert, err := certificate(&Options{HTTPS: "127.0.0.9:0", Hosts: []string{"site.test"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "127.0.0.1", "127.0.0.9", "site.test"} {
		if err := cert.Leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	o := writePair(t, "own.test")
	got, err := certificate(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Leaf.VerifyHostname("own.test"); err != nil {
		t.Error(err)
	}
}

// writePair writes a certificate and its key to files and names them.
func writePair(t *testing.T, host string) *Options {
	t.Helper()
	cert, err := selfsigned.Certificate(host, "localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	var o Options
	if o.CertFile, o.KeyFile, err = selfsigned.WriteFiles(t.TempDir(), &cert); err != nil {
		t.Fatal(err)
	}
	return &o
}
