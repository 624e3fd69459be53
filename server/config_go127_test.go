//go:build go1.27

package server

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/internal/memconn"
)

func TestDisableClientPriorityConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hs := &http.Server{Handler: responses, DisableClientPriority: true, Protocols: new(http.Protocols)}
		hs.Protocols.SetUnencryptedHTTP2(true)
		if err := Configure(hs, nil); err != nil {
			t.Fatal(err)
		}
		l := memconn.Listen(clearLink(t))
		served := make(chan error)
		go func() { served <- hs.Serve(l) }()
		nc, err := l.Dial(context.Background(), "tcp", "")
		if err != nil {
			t.Fatal(err)
		}
		p := peerOn(t, nc.(halfCloser))
		p.wantTurns("DATA", "1", "3", "1", "3")
		_ = nc.Close()
		_ = hs.Close()
		if err := <-served; err != http.ErrServerClosed { // documented as this very value
			t.Errorf("Serve: %v", err)
		}
	})
}
