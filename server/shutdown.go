package server

import (
	"context"
	"time"
)

// newConnGrace is how long Shutdown lets a connection that has said nothing yet say it, as net/http
// does.
const newConnGrace = 5 * time.Second

// Shutdown drains the server: it closes the listeners, tells the clients with GOAWAY to open no
// more streams, lets requests that run or are on their way finish, and closes connections as they
// become idle. Config's MaxConnectionAgeGrace bounds how long one connection may take. Handlers
// that have called AcceptConnect are told by their request's context, whose cause is then
// http.ErrServerClosed; nothing else ends a WebSocket or another tunnel before ctx does. A
// connection is closed when what was written has arrived at the client, which may be slow, or makes
// no progress for WriteByteTimeout. Shutdown returns when all connections are closed and all
// handlers of HTTP/2 have returned, those of streams that were reset or lost too, or ctx's error
// when ctx is done. Serve and its like return http.ErrServerClosed at once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.init()
	s.inShutdown.Store(true)
	lerr := s.closeListeners()
	s.mu.Lock()
	for _, f := range s.onShutdown {
		go f() // as net/http; f is not to wait
	}
	s.mu.Unlock()
	s.accepting.Wait()
	s.eng.shutdown()
	if err := s.inner.Shutdown(ctx); err != nil {
		return err
	}
	if err := s.waitArriving(ctx); err != nil {
		return err
	}
	if err := s.eng.wait(ctx); err != nil {
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
	s.closeArriving()
	s.eng.close()
	if err := s.inner.Close(); lerr == nil {
		lerr = err
	}
	return lerr
}

// RegisterOnShutdown has Shutdown call f, in a goroutine of its own. f may begin the shutdown of
// connections that were hijacked, but not wait for it.
func (s *Server) RegisterOnShutdown(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onShutdown = append(s.onShutdown, f)
}

func (s *Server) closeListeners() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for l := range s.listeners {
		if cerr := l.Close(); cerr != nil && err == nil {
			err = cerr
		}
	}
	return err
}

// waitArriving waits until it is known of every connection what it speaks. The slow are closed.
func (s *Server) waitArriving(ctx context.Context) error {
	s.mu.Lock()
	if len(s.arriving) == 0 {
		s.mu.Unlock()
		return nil
	}
	if s.allArrived == nil {
		s.allArrived = make(chan struct{})
	}
	all := s.allArrived
	s.mu.Unlock()
	grace := time.AfterFunc(newConnGrace, s.closeArriving)
	defer grace.Stop()
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Server) closeArriving() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a := range s.arriving {
		go a.close() // it may block
	}
}

// close ends a connection of which nothing is known yet. It leaves nc alone, which may be about to
// change what it lies on.
func (a *arrival) close() { _ = a.base.Close() } // serve finds out
