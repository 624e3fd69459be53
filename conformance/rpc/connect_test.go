package rpc

import (
	"context"
	"errors"
	"io"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// newConnectHandler returns the service as Connect's handlers. Each speaks all three protocols.
func newConnectHandler(e *echo) http.Handler {
	mux := http.NewServeMux()
	handle := func(method string, h http.Handler) { mux.Handle(procedure(method), h) }
	handle("Say", connect.NewUnaryHandler(procedure("Say"), e.sayConnect))
	handle("Fail", connect.NewUnaryHandler(procedure("Fail"), e.failConnect))
	handle("Wait", connect.NewUnaryHandler(procedure("Wait"), e.waitConnect))
	handle("Count", connect.NewServerStreamHandler(procedure("Count"), e.countConnect))
	handle("Sum", connect.NewClientStreamHandler(procedure("Sum"), e.sumConnect))
	handle("Chat", connect.NewBidiStreamHandler(procedure("Chat"), e.chatConnect))
	return mux
}

func (e *echo) sayConnect(
	_ context.Context,
	r *connect.Request[wrapperspb.BytesValue],
) (*connect.Response[wrapperspb.BytesValue], error) {
	resp := connect.NewResponse(r.Msg)
	if asked := r.Header().Get(askKey); asked != "" {
		resp.Header().Set(answerKey, asked)
		resp.Trailer().Set(lateKey, asked)
	}
	return resp, nil
}

func (e *echo) failConnect(
	_ context.Context,
	r *connect.Request[wrapperspb.StringValue],
) (*connect.Response[emptypb.Empty], error) {
	return nil, connectError(&failure{r.Msg.Value})
}

func (e *echo) waitConnect(
	ctx context.Context,
	_ *connect.Request[emptypb.Empty],
) (*connect.Response[emptypb.Empty], error) {
	return nil, e.wait(ctx)
}

func (e *echo) countConnect(
	_ context.Context,
	r *connect.Request[wrapperspb.Int64Value],
	s *connect.ServerStream[wrapperspb.Int64Value],
) error {
	return connectError(e.count(r.Msg.Value, func(i int64) error { return s.Send(wrapperspb.Int64(i)) }))
}

func (e *echo) sumConnect(
	_ context.Context,
	s *connect.ClientStream[wrapperspb.Int64Value],
) (*connect.Response[wrapperspb.Int64Value], error) {
	var sum int64
	for s.Receive() {
		sum += s.Msg().Value
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	return connect.NewResponse(wrapperspb.Int64(sum)), nil
}

func (e *echo) chatConnect(
	ctx context.Context,
	s *connect.BidiStream[wrapperspb.BytesValue, wrapperspb.BytesValue],
) error {
	receive := func() ([]byte, bool, error) {
		in, err := s.Receive()
		return in.GetValue(), errors.Is(err, io.EOF), err
	}
	return e.chat(ctx, receive, func(b []byte) error { return s.Send(wrapperspb.Bytes(b)) })
}

// connectError gives a failure of the service the form of Connect.
func connectError(err error) error {
	var f *failure
	if !errors.As(err, &f) {
		return err
	}
	ce := connect.NewError(connect.Code(failCode), f)
	d, err := connect.NewErrorDetail(wrapperspb.String(f.text))
	if err != nil {
		return err
	}
	ce.AddDetail(d)
	return ce
}

// connectCaller is Connect's client.
type connectCaller struct {
	hc   *http.Client
	url  string
	opts []connect.ClientOption
}

// call returns Connect's client for one method.
func call[In, Out any](c *connectCaller, method string) *connect.Client[In, Out] {
	return connect.NewClient[In, Out](c.hc, c.url+procedure(method), c.opts...)
}

func (c *connectCaller) say(ctx context.Context, b []byte, ask string) (said, error) {
	r := connect.NewRequest(wrapperspb.Bytes(b))
	if ask != "" {
		r.Header().Set(askKey, ask)
	}
	out, err := call[wrapperspb.BytesValue, wrapperspb.BytesValue](c, "Say").CallUnary(ctx, r)
	if err != nil {
		return said{}, err
	}
	return said{out.Msg.Value, out.Header().Get(answerKey), out.Trailer().Get(lateKey)}, nil
}

func (c *connectCaller) fail(ctx context.Context, text string) error {
	_, err := call[wrapperspb.StringValue, emptypb.Empty](
		c,
		"Fail",
	).CallUnary(ctx, connect.NewRequest(wrapperspb.String(text)))
	return err
}

func (c *connectCaller) wait(ctx context.Context) error {
	_, err := call[emptypb.Empty, emptypb.Empty](c, "Wait").CallUnary(ctx, connect.NewRequest(new(emptypb.Empty)))
	return err
}

func (c *connectCaller) count(ctx context.Context, to int64, each func(int64)) error {
	s, err := call[wrapperspb.Int64Value, wrapperspb.Int64Value](c, "Count").
		CallServerStream(ctx, connect.NewRequest(wrapperspb.Int64(to)))
	if err != nil {
		return err
	}
	for s.Receive() {
		each(s.Msg().Value)
	}
	return errors.Join(s.Err(), s.Close())
}

func (c *connectCaller) sum(ctx context.Context, numbers ...int64) (int64, error) {
	s := call[wrapperspb.Int64Value, wrapperspb.Int64Value](c, "Sum").CallClientStream(ctx)
	for _, n := range numbers {
		if err := s.Send(wrapperspb.Int64(n)); err != nil {
			_, cause := s.CloseAndReceive() // the error of sending only says that the call is over
			return 0, errors.Join(cause, err)
		}
	}
	out, err := s.CloseAndReceive()
	if err != nil {
		return 0, err
	}
	return out.Msg.Value, nil
}

func (c *connectCaller) chat(ctx context.Context) (chat, error) {
	return connectChat{call[wrapperspb.BytesValue, wrapperspb.BytesValue](c, "Chat").CallBidiStream(ctx)}, nil
}

func (c *connectCaller) explain(err error) explained {
	if err == nil {
		return explained{}
	}
	e := explained{code: codes.Code(connect.CodeOf(err)), text: err.Error()}
	var ce *connect.Error
	if errors.As(err, &ce) {
		e.text = ce.Message()
		for _, d := range ce.Details() {
			v, err := d.Value()
			if s, ok := v.(*wrapperspb.StringValue); ok && err == nil {
				e.detail = s.Value
			}
		}
	}
	return e
}

type connectChat struct {
	s *connect.BidiStreamForClient[wrapperspb.BytesValue, wrapperspb.BytesValue]
}

func (c connectChat) send(b []byte) error { return c.s.Send(wrapperspb.Bytes(b)) }
func (c connectChat) closeSend() error    { return c.s.CloseRequest() }

func (c connectChat) receive() ([]byte, error) {
	out, err := c.s.Receive()
	if err != nil && errors.Is(err, io.EOF) {
		return nil, errors.Join(io.EOF, c.s.CloseResponse())
	}
	return out.GetValue(), err
}
