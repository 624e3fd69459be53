package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/sluice-go/sluice/tunnel"
)

// An unchanged http.Transport fetches a page through both listeners, and the port on which HTTP/2
// is spoken is the same.
func TestProxy(t *testing.T) {
	o := newOrigin(t)
	audit := filepath.Join(t.TempDir(), "audit.jsonl")
	opts := local(o)
	opts.Audit, opts.Verbose = audit, true
	r := start(t, opts)
	for _, proxy := range []string{"http://" + r.HTTP, "https://" + r.HTTPS} {
		if got, err := fetch(t, o, proxy); err != nil || got != "hello from example.com" {
			t.Errorf("%s: %q, %v", proxy, got, err)
		}
	}
	nc, err := h2Tunnel(t, r.HTTPS, "example.com:443")
	if err != nil {
		t.Fatal(err)
	}
	tc := tls.Client(nc, &tls.Config{RootCAs: o.roots, ServerName: "example.com"})
	if err := tc.Handshake(); err != nil {
		t.Error(err)
	}
	_ = tc.Close()
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(audit)
	if err != nil {
		t.Fatal(err)
	}
	protos := map[string]int{}
	for line := range strings.Lines(string(b)) {
		var rec tunnel.Record
		if err := json.Unmarshal([]byte(line), &rec); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if rec.Target != "example.com:443" || rec.Status != 200 || rec.Addr != "93.184.216.34:443" || rec.Sent == 0 {
			t.Errorf("%+v", rec)
		}
		protos[rec.Proto]++
	}
	if protos["HTTP/1.1"] != 2 || protos["HTTP/2.0"] != 1 {
		t.Errorf("%v in the audit log", protos)
	}
	if got := r.Err.String(); strings.Count(got, "msg=tunnel") != 3 {
		t.Errorf("the log of -v has not three tunnels:\n%s", got)
	}
	if info, err := os.Stat(audit); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("audit log: %v, %v", info.Mode(), err)
	}
}

// writeFile writes a file of a test's own and returns its name.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// userLine is the line of a file of users, with a hash that is quick.
func userLine(t *testing.T, user, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return user + ":" + string(hash) + "\n"
}

// The lines that UserLine prints are those that the files of users have.
func TestUserLine(t *testing.T) {
	var basic, digest bytes.Buffer
	if err := UserLine(strings.NewReader("secret\nmore"), &basic, "anna", false); err != nil {
		t.Fatal(err)
	}
	hash, ok := strings.CutPrefix(strings.TrimSpace(basic.String()), "anna:")
	if err := bcrypt.CompareHashAndPassword([]byte(hash), []byte("secret")); !ok || err != nil {
		t.Errorf("%s: %v", &basic, err)
	}
	if err := UserLine(strings.NewReader("secret"), &digest, "anna", true); err != nil {
		t.Fatal(err)
	}
	file := &tunnel.DigestFile{Path: writeFile(t, "digest.txt", digest.String())}
	if err := file.Load(); err != nil || !strings.HasPrefix(digest.String(), "anna:sluice:") {
		t.Errorf("%s: %v", &digest, err)
	}
	for _, tt := range []struct{ user, password string }{{"", "a"}, {"a:b", "a"}, {"a", ""}, {"a", "\n"}} {
		if err := UserLine(strings.NewReader(tt.password), io.Discard, tt.user, false); err == nil {
			t.Errorf("no error for %q with the password %q", tt.user, tt.password)
		}
	}
}

// Policy and users are read again when the signal comes, and a file with an error leaves the old.
func TestReload(t *testing.T) {
	o := newOrigin(t)
	opts := local(o)
	opts.Policy = writeFile(t, "policy.txt", "deny example.com\nallow any\n")
	opts.Users = writeFile(t, "users.txt", userLine(t, "anna", "first"))
	opts.Audit = filepath.Join(t.TempDir(), "audit.jsonl")
	r := start(t, opts)
	get := func(password, want string) {
		t.Helper()
		got, err := fetch(t, o, "http://anna:"+password+"@"+r.HTTP)
		if !strings.Contains(fmt.Sprint(got, " ", err), want) {
			t.Errorf("with the password %s: %q, %v; want %q", password, got, err, want)
		}
	}
	write := func(file, text string) { // whole: the second signal of reload may not have been done
		t.Helper()
		if err := os.Rename(writeFile(t, "new.txt", text), file); err != nil {
			t.Fatal(err)
		}
	}
	reload := func() {
		r.reload <- os.Interrupt
		r.reload <- os.Interrupt // is taken when the first has been done
	}
	get("first", "Forbidden")
	get("second", "Proxy Authentication Required")
	write(opts.Policy, "allow any\n")
	write(opts.Users, userLine(t, "anna", "second"))
	if err := os.Rename(opts.Audit, opts.Audit+".1"); err != nil {
		t.Fatal(err)
	}
	reload()
	get("first", "Proxy Authentication Required")
	get("second", "hello from example.com")
	write(opts.Policy, "allow\n")
	write(opts.Users, "anna:plain\n")
	reload()
	get("second", "hello from example.com")
	for _, want := range []string{opts.Policy + ":1: allow needs a destination", opts.Users + ":1: ", "stays as it was"} {
		if got := r.Err.String(); !strings.Contains(got, want) {
			t.Errorf("%q is not in the log:\n%s", want, got)
		}
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
	for _, file := range []string{opts.Audit, opts.Audit + ".1"} {
		if b, err := os.ReadFile(file); err != nil || len(b) == 0 {
			t.Errorf("%s: %q, %v", file, b, err)
		}
	}
}

// Tunnels may end when the signal comes, and are cut off after --drain.
func TestDrain(t *testing.T) {
	for _, way := range []string{"http", "https"} {
		t.Run(way, func(t *testing.T) {
			o := newOrigin(t)
			opts := local(o)
			opts.Drain = 100 * time.Millisecond
			r := start(t, opts)
			u := &url.URL{Scheme: way, Host: map[string]string{"http": r.HTTP, "https": r.HTTPS}[way]}
			tr := &http.Transport{Proxy: http.ProxyURL(u), TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			defer tr.CloseIdleConnections()
			resp, err := (&http.Client{Transport: tr}).Get("https://example.com/wait")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if err := r.Stop(); err != nil {
				t.Error(err)
			}
			if _, err := io.ReadAll(resp.Body); err == nil {
				t.Error("the tunnel seems to have ended in good order")
			}
			if out := r.Out.String(); !strings.Contains(out, "were cut off") || !strings.HasSuffix(out, "Stopped.\n") {
				t.Errorf("it printed:\n%s", out)
			}
		})
	}
}

// Each mistake at the command line is reported in a sentence that names the flag to change.
func TestMistakes(t *testing.T) {
	bad := writeFile(t, "bad.txt", "what\n")
	for want, set := range map[string]func(*Options){
		"nothing to listen on: --https and --http are both empty":    func(o *Options) { o.HTTP, o.HTTPS = "", "" },
		"--cert c needs its private key":                             func(o *Options) { o.CertFile = "c" },
		"--ports: ":                                                  func(o *Options) { o.Ports = "80a" },
		"--policy: cannot read /no/policy: no such file":             func(o *Options) { o.Policy = "/no/policy" },
		"--policy: " + bad + ":1: a line begins with allow or deny":  func(o *Options) { o.Policy = bad },
		"--users: cannot read /no/users: no such file":               func(o *Options) { o.Users = "/no/users" },
		"--users: " + bad + ":1: a line is a user, a colon":          func(o *Options) { o.Users = bad },
		"--digest-users: " + bad + ":1: ":                            func(o *Options) { o.DigestUsers = bad },
		"--client-ca " + bad + " has no certificate in PEM":          func(o *Options) { o.ClientCA = bad },
		"--client-ca is for clients of the TLS listener":             func(o *Options) { o.ClientCA, o.HTTPS = bad, "" },
		"--upstream ftp://a: the scheme is one of http, https":       func(o *Options) { o.Upstream = "ftp://a" },
		"--upstream http://a:xxxxx@:1 names no host":                 func(o *Options) { o.Upstream = "http://a:secret@:1" },
		"--upstream is no URL":                                       func(o *Options) { o.Upstream = "http://a:secret@a:b" },
		"--proxy-protocol wants networks or addresses":               func(o *Options) { o.ProxyProtocol = []string{"here"} },
		"--audit: open /no/audit: no such file":                      func(o *Options) { o.Audit = "/no/audit" },
		"--max-tunnel-age must not be negative":                      func(o *Options) { o.MaxAge = -1 },
		"--set-header is for a proxy that ends TLS: add --intercept": func(o *Options) { o.SetHeader = bad },
		"--set-header: ": func(o *Options) { o.Intercept, o.CADir, o.SetHeader = true, t.TempDir(), bad },
		"--client-cert is for a proxy that ends TLS": func(o *Options) { o.ClientCerts = []string{"a=b"} },
		`--client-cert wants HOST=FILE, not "a.example"`: func(o *Options) {
			o.Intercept, o.CADir, o.ClientCerts = true, t.TempDir(), []string{"a.example"}
		},
		"--client-cert: tunnel: the certificate and key for a.example in " + bad: func(o *Options) {
			o.Intercept, o.CADir, o.ClientCerts = true, t.TempDir(), []string{"a.example=" + bad}
		},
		"--ca-dir " + bad: func(o *Options) { o.Intercept, o.CADir = true, bad },
		"cannot listen on 192.0.2.1:0: this machine has no such address. Choo": func(o *Options) { o.HTTP = "192.0.2.1:0" },
	} {
		o := Defaults()
		o.HTTP, o.HTTPS = "127.0.0.1:0", "127.0.0.1:0"
		set(&o)
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // should it start after all, it stops at once
		if err := Run(ctx, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the password is in: %v", err)
		}
	}
}

// What is dangerous is said at the start, and what is not is not.
func TestWarnings(t *testing.T) {
	users := writeFile(t, "users.txt", userLine(t, "anna", "secret"))
	for _, tt := range []struct {
		name string
		set  func(*Options)
		want string // "" is no warning
	}{
		{"this machine", func(o *Options) {}, ""},
		{"all addresses", func(o *Options) { o.HTTP = ":0" }, "may use this proxy: let in users only with --users FILE"},
		{"passwords in clear", func(o *Options) { o.HTTP, o.Users = ":0", users }, "passwords come to"},
		{"users over TLS", func(o *Options) { o.HTTP, o.HTTPS, o.Users = "", ":0", users }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := Defaults()
			opts.HTTP = "127.0.0.1:0"
			tt.set(&opts)
			r := start(t, opts)
			if got := r.Err.String(); (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("logged: %q, want %q", got, tt.want)
			}
		})
	}
}

// Explain says which rule decides, and connects to nothing.
func TestExplain(t *testing.T) {
	o := newOrigin(t)
	opts := local(o)
	opts.Policy = writeFile(t, "policy.txt", "allow .example.com user anna\nallow inside.example.org in 10.1.0.0/16\n")
	for _, tt := range []struct {
		target, user string
		err          error
		want         string
	}{
		{"www.example.com:443", "anna", nil, opts.Policy + ":1: allow .example.com user anna"},
		{"www.example.com:443", "", ErrRefused, "refused with 403"},
		{"inside.example.org", "", nil, "10.1.2.3"},
		{"inside.example.com:443", "anna", ErrRefused, "10.1.2.3"},
	} {
		var out bytes.Buffer
		opts.Out = &out
		err := Explain(t.Context(), opts, tt.target, tt.user)
		if !errors.Is(err, tt.err) || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s of %q: %v\n%s\nwant %q", tt.target, tt.user, err, &out, tt.want)
		}
	}
}

// Targets go through the other proxy, but for those that --no-proxy names.
func TestUpstream(t *testing.T) {
	o := newOrigin(t)
	behind := start(t, local(o))
	opts := local(o)
	opts.Upstream, opts.NoProxy, opts.Audit = "http://"+behind.HTTP, "example.org", "-"
	r := start(t, opts)
	if got, err := fetch(t, o, "http://"+r.HTTP); err != nil || got != "hello from example.com" {
		t.Errorf("%q, %v", got, err)
	}
	nc, err := h2Tunnel(t, r.HTTPS, "example.org:443")
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.Close()
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
	out := r.Out.String()
	for line := range strings.Lines(out) {
		direct := strings.Contains(line, `"upstream"`)
		if strings.Contains(line, `"target":"example.com:443"`) != direct && strings.HasPrefix(line, "{") {
			t.Errorf("%s", line)
		}
	}
	if strings.Count(out, "\n{")+strings.Count(out[:1], "{") != 2 {
		t.Errorf("not two lines for the audit:\n%s", out)
	}
}

// A CA is made on first use, said how to trust, and used again; fields are set, also those of a
// file that has changed; and hosts that pass through see their own certificate.
func TestIntercept(t *testing.T) {
	o := newOrigin(t)
	opts := local(o)
	opts.Intercept, opts.CADir, opts.Pass = true, filepath.Join(t.TempDir(), "ca"), []string{"www.example.com"}
	opts.SetHeader = writeFile(t, "fields.txt", "example.com: Authorization: Bearer first\n")
	opts.Adjust = func(p *tunnel.Proxy) {
		o.adjust(p)
		p.Intercept.RootCAs = o.roots
	}
	var fingerprints []string
	for range 2 {
		r := start(t, opts)
		ca, err := tunnel.LoadCA(opts.CADir)
		if err != nil {
			t.Fatal(err)
		}
		fingerprints = append(fingerprints, ca.Fingerprint())
		if out := r.Out.String(); !strings.Contains(out, ca.Fingerprint()) || !strings.Contains(out, "--cacert "+opts.CADir) {
			t.Errorf("the fingerprint or the CA is not printed:\n%s", out)
		}
		trusting := &origin{addr: o.addr, roots: x509.NewCertPool()}
		trusting.roots.AddCert(ca.Certificate())
		if got, err := fetch(t, trusting, "http://"+r.HTTP); err != nil || got != "hello from example.comBearer first" {
			t.Errorf("%q, %v", got, err)
		}
		if len(fingerprints) == 2 {
			if err := os.WriteFile(opts.SetHeader, []byte("example.com: Authorization: Bearer second\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			r.reload <- os.Interrupt
			r.reload <- os.Interrupt // is taken when the first has been done
			if got, err := fetch(t, trusting, "http://"+r.HTTP); err != nil || got != "hello from example.comBearer second" {
				t.Errorf("%q, %v", got, err)
			}
		}
		nc, err := h2Tunnel(t, r.HTTPS, "www.example.com:443")
		if err != nil {
			t.Fatal(err)
		}
		tc := tls.Client(nc, &tls.Config{RootCAs: o.roots, ServerName: "www.example.com"})
		if err := tc.Handshake(); err != nil {
			t.Errorf("passed through: %v", err)
		}
		_ = tc.Close()
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
		if got := r.Err.String(); strings.Contains(got, "Bearer") {
			t.Errorf("logged:\n%s", got)
		}
	}
	if fingerprints[0] != fingerprints[1] {
		t.Errorf("two CAs: %q", fingerprints)
	}
}
