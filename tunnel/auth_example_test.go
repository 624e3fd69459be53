package tunnel_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"

	"github.com/sluice-go/sluice/tunnel"
)

// A proxy that offers Digest and Basic: clients choose the one that they have.
func ExampleAnyOf() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	digest := &tunnel.DigestFile{Path: filepath.Join(dir, "users"), Realm: "office"}
	line := tunnel.DigestHash("anna", "office", "secret")
	if err := os.WriteFile(digest.Path, []byte(line+"\n"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	if err := digest.Load(); err != nil { // and again after a change of the file
		fmt.Println(err)
		return
	}
	basic := tunnel.Basic("office", tunnel.StaticUsers(map[string]string{"ci": "token"}))
	p := &tunnel.Proxy{Auth: tunnel.AnyOf(digest, basic)}

	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodConnect, "example.com:443", nil))
	fmt.Println(w.Code, len(w.Header()["Proxy-Authenticate"]), w.Header()["Proxy-Authenticate"][1])
	// Output:
	// 407 2 Basic realm="office", charset="UTF-8"
}

func ExampleUpstreamProxy() {
	upstream := &url.URL{Scheme: "https", Host: "proxy.example"}
	p := &tunnel.Proxy{Upstream: tunnel.UpstreamProxy(upstream, ".corp.example")}
	for _, host := range []string{"www.example", "git.corp.example"} {
		u, err := p.Upstream(&tunnel.Target{Host: host, Port: 443})
		fmt.Println(host, u, err)
	}
	// Output:
	// www.example https://proxy.example <nil>
	// git.corp.example <nil> <nil>
}
