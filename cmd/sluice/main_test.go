package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/cmd/sluice/internal/proxy"
	"github.com/sluice-go/sluice/cmd/sluice/internal/serve"
)

// The command from its flags to a clean end, in this process.
func TestServe(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var plain, secure net.Addr
	ready := make(chan struct{})
	cmd := serveCommand(func(o *serve.Options) {
		o.Ready = func(https, http net.Addr) {
			secure, plain = https, http
			close(ready)
		}
		if o.Drain != 3*time.Second || !o.H2CUpgrade || o.MaxStreams != 7 || len(o.Hosts) != 2 {
			t.Errorf("the flags became %+v", *o)
		}
	})
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	cmd.SetArgs([]string{
		"--https", "127.0.0.1:0", "--http", "127.0.0.1:0", "--h2c-upgrade", "--max-streams", "7", "--drain", "3s",
		"--host", "a.test", "--host", "b.test",
	})
	ended := make(chan error, 1)
	go func() { ended <- cmd.ExecuteContext(ctx) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal("it did not start:", err)
	}
	res, err := http.Get("http://" + plain.String() + "/headers")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error("at the end:", err)
	}
	wants := []string{"http://" + plain.String() + "/", "https://" + secure.String() + "/", "Try:", "Ctrl-C stops."}
	for _, want := range wants {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not print %q:\n%s", want, &out)
		}
	}
}

func TestCommandLine(t *testing.T) {
	tests := []struct {
		args        []string
		status      int
		out, errOut string
	}{
		{[]string{"--help"}, 0, "HTTP/2 in pure Go", ""},
		{[]string{"--version"}, 0, "sluice version ", ""},
		{[]string{"serve", "--help"}, 0, "--h2c-upgrade", ""},
		{[]string{"serv"}, 1, "", `sluice: unknown command "serv"`},
		{[]string{"serve", "here"}, 1, "", "sluice: unknown command \"here\""},
		{[]string{"serve", "--prot", "1"}, 1, "", "sluice: unknown flag: --prot"},
		{
			[]string{"serve", "--http", "", "--https", ""},
			1,
			"",
			"sluice: nothing to listen on: --https and --http are both empty\n",
		},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var out, errOut bytes.Buffer
			status := run(t.Context(), tt.args, &out, &errOut)
			if status != tt.status || !strings.Contains(out.String(), tt.out) || !strings.Contains(errOut.String(), tt.errOut) {
				t.Errorf("status %d\n%s\n%s", status, &out, &errOut)
			}
		})
	}
}

// SSLKEYLOGFILE counts with -v alone, and where there is TLS.
func TestServeKeyLog(t *testing.T) {
	t.Setenv("SSLKEYLOGFILE", "/x/keys")
	for args, want := range map[string]string{
		"":               "",
		"-v":             "/x/keys",
		"--verbose":      "/x/keys",
		"-v --https=":    "",
		"--record=/x/a":  "",
		"--ui=127.0.0.1": "",
	} {
		got := "not run"
		cmd := serveCommand(func(o *serve.Options) {
			got = o.Watch.KeyLog
			*o = serve.Options{} // which it refuses
		})
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		cmd.SetArgs(strings.Fields(args))
		if err := cmd.ExecuteContext(t.Context()); err == nil || got != want {
			t.Errorf("serve %s: the key log is %q, want %q; %v", args, got, want, err)
		}
	}
}

// Of serve and proxy, SSLKEYLOGFILE gets the keys where --verbose is given and there is TLS.
func TestKeyLogOfProxy(t *testing.T) {
	t.Setenv("SSLKEYLOGFILE", "keys.log")
	for args, want := range map[string]string{
		"proxy -v --intercept":       "keys.log",
		"proxy -v --https 127.0.0.1": "keys.log",
		"proxy -v":                   "",
		"proxy --intercept":          "",
	} {
		got := "not set"
		runWith(t.Context(), strings.Fields(args), io.Discard, io.Discard, adjust{proxy: func(o *proxy.Options) {
			got = o.Watch.KeyLog
			o.Policy = "/nowhere/policy.txt" // it ends here
		}})
		if got != want {
			t.Errorf("%s: the key log is %q, want %q", args, got, want)
		}
	}
}
