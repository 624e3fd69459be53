package server

import (
	"context"
	"time"
)

// newConnGrace is how long Shutdown waits for the first octets of a connection that has sent none,
// as net/http does.
const newConnGrace = 5 * time.Second

// Shutdown drains the server: it closes the listeners, tells the clients with GOAWAY to open no
// more streams, lets requests that run or are on their way finish, and closes connections as they
// become idle. Config's MaxConnectionAgeGrace bounds how long one connection may take. The
// request's context of a handler that has called AcceptConnect ends, with the cause
// http.ErrServerClosed; nothing else ends a WebSocket or another tunnel before ctx does; see
// RegisterOnShutdown. A connection is closed when what was written has arrived at the client, which
// may be slow, or makes no progress for WriteByteTimeout. Shutdown returns when all connections are
// closed and all handlers of HTTP/2 have returned, those of streams that were reset or lost too, or
// ctx's error when ctx is done. Serve and its like return http.ErrServerClosed at once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.init()
	s.inShutdown.Store(true)
	lerr := s.closeListeners()
	s.mu.Lock()
	for _, f := range s.mu.onShutdown {
		go f() // ends when f returns, which nothing waits for, as with net/http
	}
	s.mu.Unlock()
	s.accepting.Wait()
	s.http2.shutdown()
	if err := s.http1.Shutdown(ctx); err != nil {
		return err
	}
	if err := s.waitPending(ctx); err != nil {
		return err
	}
	if err := s.http2.waitDrained(ctx); err != nil {
		return err
	}
	return lerr
}

// Close closes the listeners and all connections at once.
func (s *Server) Close() error {
	s.init()
	s.inShutdown.Store(true)
	lerr := s.closeListeners()
	s.accepting.Wait()
	s.abortPending()
	s.http2.close()
	if err := s.http1.Close(); lerr == nil {
		lerr = err
	}
	return lerr
}

// RegisterOnShutdown has Shutdown call f, in a goroutine of its own. f may begin the shutdown of
// connections that were hijacked, but not wait for it.
func (s *Server) RegisterOnShutdown(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.onShutdown = append(s.mu.onShutdown, f)
}

// closeListeners closes the listeners and returns the first error.
func (s *Server) closeListeners() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for l := range s.mu.listeners {
		if cerr := l.Close(); cerr != nil && err == nil {
			err = cerr
		}
	}
	return err
}

// waitPending waits until no connection is pending. Those that take longer than newConnGrace are
// aborted.
func (s *Server) waitPending(ctx context.Context) error {
	s.mu.Lock()
	if len(s.mu.pending) == 0 {
		s.mu.Unlock()
		return nil
	}
	if s.mu.nonePending == nil {
		s.mu.nonePending = make(chan struct{})
	}
	none := s.mu.nonePending
	for pc := range s.mu.pending {
		if pc.kept {
			go pc.abort() // as in abortPending
		}
	}
	s.mu.Unlock()
	grace := time.AfterFunc(newConnGrace, s.abortPending)
	defer grace.Stop()
	select {
	case <-none:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// abortPending aborts the connections that are pending.
func (s *Server) abortPending() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for pc := range s.mu.pending {
		go pc.abort() // ends when the close does, which may block; nothing waits for it
	}
}
