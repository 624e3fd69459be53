package conformance

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/server"
)

// browserSettings are the settings that a browser sends, in its order.
var browserSettings = []frame.SettingID{
	frame.SettingHeaderTableSize, frame.SettingEnablePush, frame.SettingInitialWindowSize, frame.SettingMaxHeaderListSize,
}

// Every server takes padded frames, frames and settings without a meaning, and another order of
// what is in order anyway.
func TestClientPaddedAndGreased(t *testing.T) {
	for _, p := range clientPeers {
		t.Run(p.name, func(t *testing.T) {
			for _, secure := range []bool{false, true} {
				scheme := map[bool]string{false: "http", true: "https"}[secure]
				t.Run(scheme, func(t *testing.T) {
					url := scheme + "://" + p.start(t, secure)
					tr := newTransport(t, func(tr *client.Transport) {
						tr.Padding = conn.PadRandom(255)
						tr.SettingsOrder = browserSettings
						tr.PseudoHeaderOrder = []string{":method", ":authority", ":scheme", ":path"}
						tr.Grease = true
					})
					testGet(t, tr, url, secure)
					testPost(t, tr, url, p.echo)
				})
			}
		})
	}
}

// And so does every client; nghttp says what it has seen.
func TestServerPaddedAndGreased(t *testing.T) {
	padded := func(srv *server.Server) {
		srv.Padding = conn.PadTo(128)
		srv.Grease = true
		srv.SettingsOrder = []frame.SettingID{frame.SettingInitialWindowSize, frame.SettingMaxFrameSize}
	}
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			ls := startServer(t, secure, testHandler(), padded)
			t.Run("nghttp", func(t *testing.T) {
				out := runNghttp(t, "-v", ls.URL+"/hello")
				wantContains(t, "nghttp -v", out, "(padlen=115)", "END_HEADERS | PADDED", "END_STREAM | PADDED", "[UNKNOWN(0x")
				order := strings.Index(out, "[SETTINGS_INITIAL_WINDOW_SIZE")
				if next := strings.Index(out, "[SETTINGS_MAX_FRAME_SIZE"); order < 0 || next < order {
					t.Errorf("the settings are not in the order that was asked for:\n%s", clip(out))
				}
			})
			t.Run("curl", func(t *testing.T) {
				flag := "--http2-prior-knowledge"
				if secure {
					flag = "--http2"
				}
				if r := mustRunPeer(t, requirePeer(t, "curl"), "-sk", flag, ls.URL+"/hello"); r.stdout != helloBody {
					t.Errorf("curl has got %q", r.stdout)
				}
			})
			t.Run("net-http", func(t *testing.T) {
				var protocols http.Protocols
				protocols.SetUnencryptedHTTP2(true)
				protocols.SetHTTP2(true)
				tr := &http.Transport{Protocols: &protocols, TLSClientConfig: newTransport(t).TLSClientConfig}
				defer tr.CloseIdleConnections()
				testGet(t, tr, ls.URL, secure)
				testPost(t, tr, ls.URL, false)
			})
		})
	}
}
