package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// newGRPCServer returns grpc-go's server with the service, described by hand.
func newGRPCServer(e *echo, opts ...grpc.ServerOption) *grpc.Server {
	s := grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage))...)
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: serviceName,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			{MethodName: "Say", Handler: unaryGRPC(e.sayGRPC)},
			{MethodName: "Fail", Handler: unaryGRPC(e.failGRPC)},
			{MethodName: "Wait", Handler: unaryGRPC(e.waitGRPC)},
		},
		Streams: []grpc.StreamDesc{
			{StreamName: "Count", Handler: e.countGRPC, ServerStreams: true},
			{StreamName: "Sum", Handler: e.sumGRPC, ClientStreams: true},
			{StreamName: "Chat", Handler: e.chatGRPC, ServerStreams: true, ClientStreams: true},
		},
	}, e)
	return s
}

// unaryGRPC makes of a function what generated code makes of a method.
func unaryGRPC[In any, P interface {
	*In
	proto.Message
}](f func(context.Context, P) (proto.Message, error)) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := P(new(In))
		if err := decode(in); err != nil {
			return nil, err
		}
		return f(ctx, in)
	}
}

func (e *echo) sayGRPC(ctx context.Context, in *wrapperspb.BytesValue) (proto.Message, error) {
	asked := metadata.ValueFromIncomingContext(ctx, askKey)
	if len(asked) > 0 {
		if err := grpc.SetHeader(ctx, metadata.Pairs(answerKey, asked[0])); err != nil {
			return nil, err
		}
		if err := grpc.SetTrailer(ctx, metadata.Pairs(lateKey, asked[0])); err != nil {
			return nil, err
		}
	}
	return in, nil
}

func (e *echo) failGRPC(_ context.Context, in *wrapperspb.StringValue) (proto.Message, error) {
	return nil, grpcError(&failure{in.Value})
}

func (e *echo) waitGRPC(ctx context.Context, _ *emptypb.Empty) (proto.Message, error) {
	return nil, status.FromContextError(e.wait(ctx)).Err()
}

func (e *echo) countGRPC(_ any, s grpc.ServerStream) error {
	to := new(wrapperspb.Int64Value)
	if err := s.RecvMsg(to); err != nil {
		return err
	}
	return grpcError(e.count(to.Value, func(i int64) error { return s.SendMsg(wrapperspb.Int64(i)) }))
}

func (e *echo) sumGRPC(_ any, s grpc.ServerStream) error {
	var sum int64
	for {
		n := new(wrapperspb.Int64Value)
		err := s.RecvMsg(n)
		if errors.Is(err, io.EOF) {
			return s.SendMsg(wrapperspb.Int64(sum))
		}
		if err != nil {
			return err
		}
		sum += n.Value
	}
}

func (e *echo) chatGRPC(_ any, s grpc.ServerStream) error {
	receive := func() ([]byte, bool, error) {
		in := new(wrapperspb.BytesValue)
		err := s.RecvMsg(in)
		return in.Value, errors.Is(err, io.EOF), err
	}
	return e.chat(s.Context(), receive, func(b []byte) error { return s.SendMsg(wrapperspb.Bytes(b)) })
}

// grpcError gives a failure of the service the form of gRPC.
func grpcError(err error) error {
	var f *failure
	if !errors.As(err, &f) {
		return err
	}
	st, err := status.New(failCode, f.text).WithDetails(wrapperspb.String(f.text))
	if err != nil {
		return err
	}
	return st.Err()
}

// grpcCaller is grpc-go's client.
type grpcCaller struct{ cc *grpc.ClientConn }

// dialGRPC returns grpc-go's client for a server.
func dialGRPC(t *testing.T, addr string, secure bool, opts ...grpc.DialOption) *grpcCaller {
	t.Helper()
	creds := insecure.NewCredentials()
	if secure {
		creds = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
	}
	opts = append(opts, grpc.WithTransportCredentials(creds), grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	cc, err := grpc.NewClient("passthrough:///"+addr, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return &grpcCaller{cc}
}

func (c *grpcCaller) say(ctx context.Context, b []byte, ask string) (said, error) {
	if ask != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, askKey, ask)
	}
	out := new(wrapperspb.BytesValue)
	var header, trailer metadata.MD
	err := c.cc.Invoke(ctx, procedure("Say"), wrapperspb.Bytes(b), out, grpc.Header(&header), grpc.Trailer(&trailer))
	return said{out.Value, first(header[answerKey]), first(trailer[lateKey])}, err
}

func (c *grpcCaller) fail(ctx context.Context, text string) error {
	return c.cc.Invoke(ctx, procedure("Fail"), wrapperspb.String(text), new(emptypb.Empty))
}

func (c *grpcCaller) wait(ctx context.Context) error {
	return c.cc.Invoke(ctx, procedure("Wait"), new(emptypb.Empty), new(emptypb.Empty))
}

func (c *grpcCaller) count(ctx context.Context, to int64, each func(int64)) error {
	s, err := c.cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, procedure("Count"))
	if err != nil {
		return err
	}
	if err := errors.Join(s.SendMsg(wrapperspb.Int64(to)), s.CloseSend()); err != nil {
		return err
	}
	for {
		n := new(wrapperspb.Int64Value)
		err := s.RecvMsg(n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		each(n.Value)
	}
}

func (c *grpcCaller) sum(ctx context.Context, numbers ...int64) (int64, error) {
	s, err := c.cc.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, procedure("Sum"))
	if err != nil {
		return 0, err
	}
	for _, n := range numbers {
		if err := s.SendMsg(wrapperspb.Int64(n)); err != nil {
			return 0, err
		}
	}
	if err := s.CloseSend(); err != nil {
		return 0, err
	}
	sum := new(wrapperspb.Int64Value)
	err = s.RecvMsg(sum)
	return sum.Value, err
}

func (c *grpcCaller) chat(ctx context.Context) (chat, error) {
	s, err := c.cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, procedure("Chat"))
	return grpcChat{s}, err
}

func (c *grpcCaller) explain(err error) explained {
	st := status.Convert(err)
	e := explained{code: st.Code(), text: st.Message()}
	for _, d := range st.Details() {
		if s, ok := d.(*wrapperspb.StringValue); ok {
			e.detail = s.Value
		}
	}
	return e
}

type grpcChat struct{ s grpc.ClientStream }

func (c grpcChat) send(b []byte) error { return c.s.SendMsg(wrapperspb.Bytes(b)) }
func (c grpcChat) closeSend() error    { return c.s.CloseSend() }

func (c grpcChat) receive() ([]byte, error) {
	out := new(wrapperspb.BytesValue)
	err := c.s.RecvMsg(out)
	return out.Value, err
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
