package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/stream/priority"
)

const (
	// prefaceWait is how long a client's SETTINGS are awaited before the origin gets ours. Clients
	// send them right behind the handshake.
	prefaceWait = time.Second
	// maxInterceptedStreams bounds the streams of a connection that is relayed, whatever the origin
	// allows.
	maxInterceptedStreams = 1000
	// maxInterceptedHead bounds a header section, either way.
	maxInterceptedHead = 512 << 10
)

// h2relay relays between two HTTP/2 connections, stream by stream. What the client and the origin
// have said in SETTINGS of push (RFC 9113 §6.5.2), streams and extended CONNECT (RFC 8441) is said
// on the other connection.
type h2relay struct {
	*session
	client *conn.Server // the connection to the client, on which this is the server
	origin *conn.Client // that to the origin

	exchanges sync.WaitGroup

	mu    sync.Mutex             // guards the fields below
	byID  map[uint32]*h2exchange // by the stream of the client
	quota chan struct{}          // closed when the origin may take another stream
}

// relayHTTP2 returns when both connections have ended.
func (s *session) relayHTTP2() error {
	r := &h2relay{session: s, byID: map[uint32]*h2exchange{}, quota: make(chan struct{})}
	first, push, err := readPreface(s.clientTLS)
	if err != nil {
		return failedSide(clientSide, err)
	}
	r.origin = conn.NewClient(s.originTLS, conn.Config{
		EnablePush: push, MaxHeaderBytes: maxInterceptedHead, Tracer: s.frameTracer(OriginLeg),
	}, (*h2origin)(r))
	r.origin.OnQuota(r.quotaChanged)
	originEnded := make(chan error, 1)
	go func() { originEnded <- r.origin.Serve() }()
	defer func() {
		r.origin.CloseWithError(frame.NoError, "")
		<-originEnded
		r.exchanges.Wait()
	}()
	timed, cancel := context.WithTimeout(s.ctx, s.i.handshakeTimeout())
	settings, err := r.origin.AwaitSettings(timed)
	cancel()
	if err != nil {
		return failedSide(targetSide, fmt.Errorf("the origin has sent no SETTINGS: %w", err))
	}
	r.client = conn.NewServer(s.clientTLS, conn.Config{
		MaxConcurrentStreams:  int(min(max(settings.MaxConcurrentStreams, 1), maxInterceptedStreams)),
		EnableConnectProtocol: settings.EnableConnectProtocol,
		MaxHeaderBytes:        maxInterceptedHead,
		Received:              first,
		Tracer:                s.frameTracer(ClientLeg),
		FramePolicy:           r.passPriority,
		StallTimeout:          -1, // the idle limit ends it
	}, (*h2client)(r))
	ended := make(chan struct{})
	go r.passEnd(ended)
	err = r.client.Serve()
	close(ended)
	return goodEnd(err)
}

func (s *session) frameTracer(leg Leg) conn.Tracer {
	if s.i.Tracer == nil {
		return nil
	}
	return &legTracer{s.i.Tracer, s.info, leg}
}

// goodEnd returns nil for the error of a connection that has ended in good order.
func goodEnd(err error) error {
	var ce *frame.ConnError
	if errors.As(err, &ce) && ce.Code == frame.NoError {
		return nil
	}
	return failedSide(clientSide, err)
}

// passEnd tells the client to open no more streams when the origin takes no more, and ends the
// client's connection when the origin's has ended.
func (r *h2relay) passEnd(ended <-chan struct{}) {
	drain := r.p.init().draining
	for {
		quota := r.awaitQuota()
		if goAway := r.origin.GoAway(); goAway != nil {
			r.client.Shutdown()
			if goAway.Code != frame.NoError {
				r.client.CloseWithError(goAway.Code, goAway.Reason)
				return
			}
		}
		select {
		case <-r.origin.Done():
			r.client.Shutdown()
			return
		case <-drain:
			r.client.Shutdown()
			drain = nil
		case <-quota:
		case <-ended:
			return
		}
	}
}

// quotaChanged is called when the origin may take another stream, or no more.
func (r *h2relay) quotaChanged() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.quota)
	r.quota = make(chan struct{})
}

func (r *h2relay) awaitQuota() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.quota
}

// passPriority passes PRIORITY_UPDATE of the client on (RFC 9218 §7.1). It is a conn.FramePolicy
// that lets every frame pass.
func (r *h2relay) passPriority(_ *conn.Conn, h frame.Header, payload []byte) error {
	if h.Type != frame.TypePriorityUpdate {
		return nil
	}
	f, err := frame.ParsePriorityUpdate(h, payload)
	if err != nil {
		return nil // which conn finds, too
	}
	p, ok := priority.Parse(string(f.Value[:min(len(f.Value), 256)]))
	if x := r.exchange(f.PrioritizedID); ok && x != nil {
		if from, _ := x.streams(); from != nil {
			_ = from.SetPriority(p)
			x.leave()
		}
	}
	return nil
}

func (r *h2relay) exchange(id uint32) *h2exchange {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byID[id]
}

func (r *h2relay) note(id uint32, x *h2exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if x == nil {
		delete(r.byID, id)
	} else {
		r.byID[id] = x
	}
}

// h2client is the relay as the conn.Handler of the client's connection.
type h2client h2relay

func (r *h2client) HandleStreams(batch []*conn.Stream) {
	for _, st := range batch {
		(*h2relay)(r).begin(st)
	}
}

// StreamBlocked flushes what was read from the client before more of it is awaited.
func (r *h2client) StreamBlocked(*conn.Stream) { r.origin.FlushNoWait() }

func (r *h2client) ConnState(bool) {}

// h2origin is the relay as the conn.Handler of the origin's connection.
type h2origin h2relay

func (r *h2origin) HandleStreams(batch []*conn.Stream) {
	for _, st := range batch {
		(*h2relay)(r).beginPush(st)
	}
}

// StreamBlocked flushes what was read from the origin before more of it is awaited.
func (r *h2origin) StreamBlocked(*conn.Stream) { r.client.FlushNoWait() }

func (r *h2origin) ConnState(bool) {}

// readPreface reads the client's preface with its SETTINGS (RFC 9113 §3.4), unless they do not come
// for some time, and returns the octets and whether the client takes pushes.
func readPreface(c net.Conn) (octets []byte, push bool, err error) {
	const most = 4 << 10 // of what is looked at
	_ = c.SetReadDeadline(time.Now().Add(prefaceWait))
	defer c.SetReadDeadline(time.Time{})
	b := make([]byte, 0, most)
	for {
		if done, push := pushInPreface(b); done || len(b) == most {
			return b, push, nil
		}
		n, err := c.Read(b[len(b):most])
		b = b[:len(b)+n]
		if netconn.IsTimeout(err) {
			return b, true, nil
		}
		if err != nil && n == 0 {
			return nil, false, err
		}
	}
}

// pushInPreface reports whether b has the whole preface, or something else, and what its SETTINGS
// say of push.
func pushInPreface(b []byte) (done, push bool) {
	if len(b) < len(frame.Preface) {
		return !strings.HasPrefix(frame.Preface, string(b)), true
	}
	if string(b[:len(frame.Preface)]) != frame.Preface {
		return true, true
	}
	h, payload, n, err := frame.Split(b[len(frame.Preface):], frame.MinMaxFrameSize)
	if err != nil || n > 0 && h.Type != frame.TypeSettings {
		return true, true
	}
	if n == 0 {
		return false, true
	}
	push = true
	if f, err := frame.ParseSettings(h, payload); err == nil {
		for setting := range f.All() {
			if setting.ID == frame.SettingEnablePush {
				push = setting.Value == 1
			}
		}
	}
	return true, push
}

// mayOpenLater reports whether the origin takes no stream now, and may take one later.
func mayOpenLater(err error) bool { return errors.Is(err, core.ErrNoStream) }
