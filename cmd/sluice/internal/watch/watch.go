package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/capture/page"
	"github.com/sluice-go/sluice/cmd/sluice/internal/listen"
	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/tunnel"
)

// viewersEnd is how long viewers of the page have to take the last events, as requests of serve
// have by default. Only a viewer that does not read takes so long.
const viewersEnd = 10 * time.Second

// A Watch is what Options have asked for. Its methods do nothing, and return nil or what they were
// given, for what was not asked for.
type Watch struct {
	o       Options
	live    *capture.Live
	page    *page.Server
	ui      net.Listener
	address string         // of the page, for a browser on this machine
	server  *server.Server // of the page
	served  chan error     // has what its Serve has returned
	pcap    *capture.PcapWriter
	keys    *keyFile
	log     *log.Logger
}

// Open opens the files and serves the page, whose title says what is watched. log gets what goes
// wrong later.
func Open(o Options, title string, logger *log.Logger) (*Watch, error) {
	w := &Watch{o: o, log: logger}
	err := w.openFiles()
	if err == nil {
		err = w.openPage(title)
	}
	if err != nil {
		_ = w.Close() // the first error says more
		return nil, err
	}
	return w, nil
}

func (w *Watch) openFiles() (err error) {
	if w.o.Record != "" {
		if w.pcap, err = capture.CreatePcap(w.o.Record); err != nil {
			return fmt.Errorf("--record: %w", err)
		}
	}
	if w.o.KeyLog == "" {
		return nil
	}
	f, err := os.OpenFile(w.o.KeyLog, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("SSLKEYLOGFILE: %w", err)
	}
	w.keys = &keyFile{f: f, log: w.log, access: closeToOthers(f)}
	return nil
}

// closeToOthers lets only its owner read a file, which may have been there before, and says what is
// the case then, for a banner; "" for what is no file, such as a pipe.
func closeToOthers(f *os.File) string {
	info, err := f.Stat()
	switch {
	case err != nil || !info.Mode().IsRegular():
		return ""
	case info.Mode().Perm()&0o077 != 0 && f.Chmod(0o600) != nil: // it is another user's
		return fmt.Sprintf(" (mode %#o: others may read it)", info.Mode().Perm())
	}
	return " (mode 0600)"
}

func (w *Watch) openPage(title string) error {
	if w.o.UI == "" {
		return nil
	}
	addr, host := w.o.uiAddress()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("--ui: cannot listen on %s: %w", addr, err)
	}
	w.ui, w.address = l, strings.TrimPrefix(listen.URL("http", addr, l), "http://")
	hosts := []string{host}
	if name, err := os.Hostname(); err == nil && !isLoopback(l.Addr()) {
		hosts = append(hosts, name)
	}
	w.page = page.NewServer(page.ServerOptions{
		Options: page.Options{Title: title}, Token: page.NewToken(), Hosts: hosts,
	})
	w.live = &capture.Live{
		Options: capture.Options{ShowSecrets: w.o.ShowSecrets}, Handler: w.page.Handle,
	}
	w.server = &server.Server{Handler: w.page, ErrorLog: w.log, ReadHeaderTimeout: 30 * time.Second}
	w.served = make(chan error, 1)
	go func() { w.served <- w.server.Serve(l) }() // ends with Close
	return nil
}

// Tracer returns the Tracer for servers and clients.
func (w *Watch) Tracer() server.Tracer {
	if w.live == nil {
		return nil
	}
	return w.live
}

// InterceptTracer returns the Tracer for an Interceptor.
func (w *Watch) InterceptTracer() tunnel.InterceptTracer {
	if w.live == nil {
		return nil
	}
	return w.live.Intercept()
}

// Listener returns l as it is to be served, below TLS; nil stays nil.
func (w *Watch) Listener(l net.Listener) net.Listener {
	if w.pcap == nil || l == nil {
		return l
	}
	return w.pcap.WrapListener(l)
}

// A Dial is a function that dials.
type Dial = func(ctx context.Context, network, addr string) (net.Conn, error)

// Dial returns dial as it is to be used.
func (w *Watch) Dial(dial Dial) Dial {
	if w.pcap == nil {
		return dial
	}
	return w.pcap.WrapDial(dial)
}

// KeyLogWriter returns that for the TLS of servers and clients.
func (w *Watch) KeyLogWriter() io.Writer {
	switch {
	case w.pcap != nil && w.keys != nil:
		return io.MultiWriter(w.pcap.KeyLogWriter(), w.keys)
	case w.pcap != nil:
		return w.pcap.KeyLogWriter()
	case w.keys != nil:
		return w.keys
	}
	return nil
}

// Banner prints where the page and the files are, and what to take care of.
func (w *Watch) Banner(out io.Writer) {
	if w.page != nil {
		fmt.Fprintf(out, "\nLive page:\n  %s\n      every frame as it comes, for those alone that have this address\n",
			w.page.URL(w.address))
		if w.o.ShowSecrets {
			fmt.Fprint(out, "      passwords, cookies and tokens are shown, as --show-secrets says\n")
		}
		if !isLoopback(w.ui.Addr()) {
			fmt.Fprintf(out, "      %s can be reached from other machines, and its answers are not encrypted:\n"+
				"      --ui 127.0.0.1:PORT is for this machine alone\n", w.ui.Addr())
		}
	}
	if w.pcap != nil {
		fmt.Fprintf(out, "\nRecorded in %s (mode 0600), with the keys that decrypt it: Wireshark opens it.\n", w.o.Record)
	}
	if w.keys != nil {
		fmt.Fprintf(out, "\nKeys of TLS are written to %s%s, as SSLKEYLOGFILE says: they decrypt these connections.\n",
			w.o.KeyLog, w.keys.access)
	}
}

// Close ends the page and closes the files. It returns an error of a file, after which something is
// missing in it.
func (w *Watch) Close() error {
	if w.live != nil {
		w.live.Close()
		w.page.Close()
		w.closeServer()
		if n := w.live.Skipped(); n > 0 {
			w.log.Printf("--ui: %d connections were not shown, as %d were open", n, capture.DefaultMaxConnections)
		}
	}
	var errs []error
	if w.pcap != nil {
		if err := w.pcap.Close(); err != nil {
			errs = append(errs, fmt.Errorf("--record: the capture is not complete: %w", err))
		}
	}
	if w.keys != nil {
		_ = w.keys.f.Close() // an error of writing was logged
	}
	return errors.Join(errs...)
}

// closeServer ends the server of the page. Viewers get what has come for them.
func (w *Watch) closeServer() {
	ctx, cancel := context.WithTimeout(context.Background(), viewersEnd)
	defer cancel()
	if w.server.Shutdown(ctx) != nil {
		_ = w.server.Close() // the error of its listener has no use
	}
	<-w.served
}

// keyFile is the file of a key log. An error is logged once and ends no handshake.
type keyFile struct {
	f      *os.File
	log    *log.Logger
	access string // that others have, for the banner
	failed sync.Once
}

func (k *keyFile) Write(p []byte) (int, error) {
	if _, err := k.f.Write(p); err != nil {
		k.failed.Do(func() { k.log.Printf("SSLKEYLOGFILE: %v: keys are missing there from now on", err) })
	}
	return len(p), nil
}
