package serve

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/internal/selfsigned"
)

// Each mistake at the command line is reported in a sentence that names the flag
// to change, before anything is opened.
func TestMistakes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := taken.Addr().String()
	tests := []struct {
		name string
		o    Options
		want string
	}{
		{"nothing", Options{}, "nothing to listen on: --https and --http are both empty"},
		{"no key", Options{HTTPS: ":0", CertFile: "c.pem"}, "--cert c.pem needs its private key: add --key FILE"},
		{"no certificate", Options{HTTPS: ":0", KeyFile: "k.pem"}, "--key k.pem needs its certificate: add --cert FILE"},
		{
			"certificate for nothing",
			Options{HTTP: ":0", CertFile: "c", KeyFile: "k"},
			`--cert is for the TLS listener, which --https "" turned off`,
		},
		{
			"upgrade for nothing",
			Options{HTTPS: ":0", H2CUpgrade: true},
			`--h2c-upgrade is for the cleartext listener, which --http "" turned off`,
		},
		{"negative", Options{HTTP: ":0", Drain: -1}, "--drain must not be negative"},
		{"no such directory", Options{HTTP: ":0", Dir: file + "x"}, "--dir " + file + "x: there is no such directory"},
		{
			"file for a directory",
			Options{HTTP: ":0", Dir: file},
			"--dir " + file + ": that is a file; name the directory it is in",
		},
		{
			"no such certificate",
			Options{HTTPS: ":0", CertFile: "/no/c.pem", KeyFile: "/no/k.pem"},
			"--cert: cannot read /no/c.pem: no such file or directory",
		},
		{
			"no such key",
			Options{HTTPS: ":0", CertFile: file, KeyFile: "/no/k.pem"},
			"--key: cannot read /no/k.pem: no such file or directory",
		},
		{
			"no PEM",
			Options{HTTPS: ":0", CertFile: file, KeyFile: file},
			"--cert " + file + " with --key " + file + ": failed to find any PEM data in certificate input",
		},
		{
			"port taken",
			Options{HTTP: busy},
			"cannot listen on " + busy + `: another program has that port. Choose another with --http HOST:PORT, ` +
				`or turn this listener off with --http ""`,
		},
		{
			"no port",
			Options{HTTP: "localhost"},
			"cannot listen on localhost: missing port in address. --http wants HOST:PORT, such as :8443 or 127.0.0.1:8443",
		},
		{"port with letters", Options{HTTPS: "localhost:here"}, "Change --https"},
		{
			"somebody else's address",
			Options{HTTP: "192.0.2.1:0"},
			"this machine has no such address. Choose one of its own with --http HOST:PORT, or all of them with --http :PORT",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // should it start after all, it stops at once
			err := Run(ctx, tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
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
