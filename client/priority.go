package client

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/sluice-go/sluice/conn/header"
)

// requestPriority is the priority of the requests that are made with one context. It may change
// while they run.
type requestPriority struct {
	mu   sync.Mutex // guards all below
	p    PriorityParams
	runs map[*exchange]struct{} // attempts of requests that have a stream
}

type priorityKey struct{}

var errNoPriority = errors.New("http2: UpdatePriority with a context that is not from WithPriority")

// WithPriority returns a context whose requests ask the server for a priority. The parameters of
// RFC 9218, where p.Extensible is set, are sent as a Priority field, unless the request's header
// has one: that is sent as it is. A place in the dependency tree of RFC 7540 §5.3, where p.Tree is
// set, is sent if Transport.TreePriorities is set and the server has not said that it ignores it.
//
// Where Transport.Scheduler follows priorities, request bodies are sent in that order, too.
func WithPriority(ctx context.Context, p PriorityParams) context.Context {
	return context.WithValue(ctx, priorityKey{}, &requestPriority{p: p})
}

// UpdatePriority changes the priority of the requests that were or will be made with a context that
// WithPriority has returned, or with one derived from it, such as the context of a Response's
// Request. For such requests that run, servers get it at once: with PRIORITY_UPDATE (RFC
// 9218 §7.1) and PRIORITY (RFC 7540 §6.3), on the terms of WithPriority. A part that p does not
// state stays as it is.
//
// The error says that the context is not of that kind. A response that is complete by now, or comes
// over HTTP/1.1, is no error.
func UpdatePriority(ctx context.Context, p PriorityParams) error {
	rp, ok := ctx.Value(priorityKey{}).(*requestPriority)
	if !ok {
		return errNoPriority
	}
	rp.mu.Lock()
	if p.Extensible {
		rp.p.Extensible, rp.p.Urgency, rp.p.Incremental = true, p.Urgency, p.Incremental
	}
	if p.Tree {
		rp.p.Tree, rp.p.DependsOn, rp.p.Exclusive, rp.p.Weight = true, p.DependsOn, p.Exclusive, p.Weight
	}
	runs := make([]*exchange, 0, len(rp.runs))
	for x := range rp.runs {
		runs = append(runs, x)
	}
	rp.mu.Unlock()
	for _, x := range runs {
		x.setPriority(p)
	}
	return nil
}

// params returns the priority of now.
func (rp *requestPriority) params() PriorityParams {
	rp.mu.Lock()
	defer rp.mu.Unlock()
	return rp.p
}

// add has x, whose stream was opened with the priority sent, follow later changes.
func (rp *requestPriority) add(x *exchange, sent PriorityParams) {
	rp.mu.Lock()
	if rp.runs == nil {
		rp.runs = make(map[*exchange]struct{})
	}
	rp.runs[x] = struct{}{}
	now := rp.p
	rp.mu.Unlock()
	if now != sent {
		x.setPriority(now) // it has changed since the stream was opened
	}
}

// remove ends what add has begun.
func (rp *requestPriority) remove(x *exchange) {
	rp.mu.Lock()
	delete(rp.runs, x)
	rp.mu.Unlock()
}

// setPriority asks the server for another priority.
func (x *exchange) setPriority(p PriorityParams) {
	if x.enter() {
		_ = x.stream.SetPriority(p) // fails only where nothing is left to prioritize
		x.leave()
	}
}

// statePriority adds a Priority field for p, unless the request has one (RFC 9218 §5).
func (b *fieldBuffer) statePriority(req *http.Request, p PriorityParams) {
	if _, own := req.Header["Priority"]; p.Extensible && !own {
		b.fields = append(b.fields, header.Field{Name: "priority", Value: p.Field()})
	}
}
