package conformance

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-go/sluice/internal/selfsigned"
)

// A foreignServer is a server that is not ours, while it runs.
type foreignServer struct {
	dir       string // of the files that it serves: hello and big
	key, cert string // file names
	backend   string // host:port of an HTTP/1.1 server with clientSite, for those that only pass requests on
}

// prepare makes what the foreign servers need.
func prepare(t *testing.T) *foreignServer {
	t.Helper()
	s := &foreignServer{dir: t.TempDir()}
	cert, err := selfsigned.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	if s.cert, s.key, err = selfsigned.WriteFiles(s.dir, &cert); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		filepath.Join(s.dir, "hello"):     []byte(helloBody),
		filepath.Join(s.dir, "push"):      []byte(helloBody),
		filepath.Join(s.dir, "big"):       bigBody(),
		filepath.Join(s.dir, "trailers"):  []byte(helloBody),
		filepath.Join(s.dir, "config"):    nil, // written where it is needed
		filepath.Join(s.dir, "error.log"): nil,
	} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := httptest.NewServer(clientTestHandler())
	t.Cleanup(b.Close)
	s.backend = strings.TrimPrefix(b.URL, "http://")
	return s
}

// clientTestHandler is testHandler with what only the client's tests request: a page that is served
// when as many requests have come as its query says.
func clientTestHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", testHandler())
	type crowd struct {
		here int
		all  chan struct{}
	}
	var mu sync.Mutex
	crowds := make(map[string]*crowd)
	mux.HandleFunc("/gather", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		c := crowds[r.URL.RawQuery]
		if c == nil {
			c = &crowd{all: make(chan struct{})}
			crowds[r.URL.RawQuery] = c
		}
		if c.here++; strconv.Itoa(c.here) == r.URL.RawQuery {
			close(c.all)
		}
		mu.Unlock()
		select {
		case <-c.all:
			io.WriteString(w, helloBody)
		case <-r.Context().Done():
		}
	})
	return mux
}

// config writes the configuration of a server and returns the name of its file.
func (s *foreignServer) config(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(s.dir, "config")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// portsGiven are those that freePort has returned.
var portsGiven sync.Map

// freePort returns the number of a port that is free, and stays so until a program that is told to
// listens on it: it is below those that the kernel gives to connections, of which tests that run
// beside this one have thousands.
func freePort(t *testing.T) int {
	t.Helper()
	const first, end = 10_000, 32_000
	for range 1000 {
		port := first + rand.IntN(end-first)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue // it is in use
		}
		l.Close()
		if _, given := portsGiven.LoadOrStore(port, true); !given {
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// run starts a program, whose files and configuration are in the server's directory, until the test
// ends. It returns the program's standard output.
func (s *foreignServer) run(t *testing.T, path string, args ...string) io.Reader {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	// A thousand requests that are passed on at once need more files than a shell usually gives.
	cmd := exec.CommandContext(
		ctx,
		"sh",
		append([]string{"-c", `ulimit -n "$(ulimit -H -n)"; exec "$@"`, "sh", path}, args...)...)
	// Nothing of the user's is read or written.
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir, "XDG_DATA_HOME="+s.dir,
		"BIG_FILE="+filepath.Join(s.dir, "big"))
	log, err := os.CreateTemp(s.dir, "stderr")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil { // open as long as the test runs
		t.Fatal(err)
	}
	killAll := ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		killAll()
		_ = cmd.Wait() // killed
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%s on its standard error:\n%s", path, clip(string(text)))
		}
	})
	return out
}

// await waits until a port takes connections.
func await(t *testing.T, port int) (addr string) {
	t.Helper()
	addr = fmt.Sprintf("127.0.0.1:%d", port)
	give := time.After(peerTimeout)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		nc, err := net.Dial("tcp", addr)
		if err == nil {
			nc.Close()
			return addr
		}
		select {
		case <-tick.C:
		case <-give:
			t.Fatalf("the server does not listen: %v", err)
		}
	}
}

// startNetHTTP serves testHandler with net/http's server.
func startNetHTTP(t *testing.T, secure bool) (addr string) {
	t.Helper()
	s := httptest.NewUnstartedServer(clientTestHandler())
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP2(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	if secure {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.Listener.Addr().String()
}

// startNghttpd serves files. It gives back what is posted, and has the same trailer for all of its
// responses.
func startNghttpd(t *testing.T, secure bool) (addr string) {
	t.Helper()
	path := requirePeer(t, "nghttpd", "/usr/sbin/nghttpd")
	s := prepare(t)
	port := freePort(t)
	args := []string{
		"--address=127.0.0.1", "--htdocs=" + s.dir, "--echo-upload", "--push=/push=/big",
		"--trailer=x-checksum: " + checksum([]byte(helloBody)), "--trailer=x-late: yes",
	}
	if secure {
		args = append(args, fmt.Sprint(port), s.key, s.cert)
	} else {
		args = append(args, "--no-tls", fmt.Sprint(port))
	}
	s.run(t, path, args...)
	return await(t, port)
}

// startNode serves testdata/server.mjs with node's http2 server.
func startNode(t *testing.T, secure bool) (addr string) {
	t.Helper()
	path := requirePeer(t, "node", "nodejs")
	s := prepare(t)
	args := []string{"testdata/server.mjs"}
	if secure {
		args = append(args, s.key, s.cert)
	}
	line, err := bufio.NewReader(s.run(t, path, args...)).ReadString('\n')
	if err != nil {
		t.Fatalf("node did not print its port: %v", err)
	}
	return "127.0.0.1:" + strings.TrimSpace(line)
}

// nginxConfig has every connection take 300 requests: the client must move on while more are asked
// for.
const nginxConfig = `
daemon off;
%[1]s
pid %[2]s/nginx.pid;
error_log stderr;
worker_processes 1;
events { worker_connections 4096; }
http {
	access_log off;
	client_body_temp_path %[2]s/body;
	proxy_temp_path %[2]s/proxy;
	fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi;
	scgi_temp_path %[2]s/scgi;
	client_max_body_size 64m;
	keepalive_requests 300;
	proxy_read_timeout 240s;
	server {
		listen 127.0.0.1:%[3]d %[4]s http2;
		ssl_certificate %[2]s/cert.pem;
		ssl_certificate_key %[2]s/key.pem;
		root %[2]s;
		location /upload { proxy_pass http://%[5]s; proxy_http_version 1.1; }
		location /gather { proxy_pass http://%[5]s; proxy_http_version 1.1; }
		location /trailers { add_trailer X-Checksum %[6]s; add_trailer X-Late yes; }
	}
}
`

// startNginx serves files, and passes uploads on.
func startNginx(t *testing.T, secure bool) (addr string) {
	t.Helper()
	path := requirePeer(t, "nginx", "/usr/sbin/nginx")
	s := prepare(t)
	port := freePort(t)
	user, ssl := "", ""
	if os.Getuid() == 0 {
		user = "user root;" // no other user may read the files
	}
	if secure {
		ssl = "ssl"
	}
	conf := s.config(t, fmt.Sprintf(nginxConfig, user, s.dir, port, ssl, s.backend, checksum([]byte(helloBody))))
	s.run(t, path, "-e", "stderr", "-p", s.dir, "-c", conf)
	return await(t, port)
}

// startH2O serves files, and passes uploads on.
func startH2O(t *testing.T, secure bool) (addr string) {
	t.Helper()
	path := requirePeer(t, "h2o")
	s := prepare(t)
	port := freePort(t)
	user, ssl := "", ""
	if os.Getuid() == 0 {
		user = "user: root"
	}
	if secure {
		ssl = fmt.Sprintf("\n  ssl:\n    certificate-file: %s\n    key-file: %s", s.cert, s.key)
	}
	conf := s.config(t, fmt.Sprintf(`
%s
num-threads: 1
proxy.timeout.io: 240000
listen:
  host: 127.0.0.1
  port: %d%s
hosts:
  default:
    paths:
      /upload:
        proxy.reverse.url: http://%s/upload
      /gather:
        proxy.reverse.url: http://%s/gather
      /:
        file.dir: %s
`, user, port, ssl, s.backend, s.backend, s.dir))
	s.run(t, path, "-c", conf)
	return await(t, port)
}

// startCaddy serves files, and passes uploads and requests for trailers on. It dials the backend a
// thousand times at once for /gather, for which its 3 s are too little on a machine that is busy.
func startCaddy(t *testing.T, secure bool) (addr string) {
	t.Helper()
	path := requirePeer(t, "caddy")
	s := prepare(t)
	port := freePort(t)
	scheme, certificate := "http", ""
	if secure {
		scheme, certificate = "https", fmt.Sprintf("tls %s %s", s.cert, s.key)
	}
	conf := s.config(t, fmt.Sprintf(`{
	admin off
	auto_https off
	servers {
		protocols h1 h2 h2c
	}
}
(patient) {
	transport http {
		dial_timeout 60s
	}
}
%s://127.0.0.1:%d {
	bind 127.0.0.1
	%s
	root * %s
	reverse_proxy /upload %s {
		import patient
	}
	reverse_proxy /trailers %s {
		import patient
	}
	reverse_proxy /gather %s {
		import patient
	}
	file_server
}
`, scheme, port, certificate, s.dir, s.backend, s.backend, s.backend))
	s.run(t, path, "run", "--adapter", "caddyfile", "--config", conf)
	return await(t, port)
}

// drain reads a response's body and closes it.
func drain(resp *http.Response) ([]byte, error) {
	b, err := io.ReadAll(resp.Body)
	return b, errors.Join(err, resp.Body.Close())
}
