package capture

import (
	"crypto/tls"
	"net/netip"
	"strings"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
)

// Dir is the side of a connection that has sent something: "client" or "server".
type Dir uint8

// The two sides of a connection.
const (
	Client = Dir(wire.Client)
	Server = Dir(wire.Server)
)

// Other returns the other side.
func (d Dir) Other() Dir { return d ^ 1 }

func (d Dir) String() string { return wire.Dir(d).String() }

// An Event is a *Connection, *Frame, *Request, *Stall, *Finding, *Gap, *Body, *Message or *End. An
// event, and all that it points to, is valid during the call that delivers it only.
type Event interface {
	// Kind is the kind of the event in JSON, such as "frame".
	Kind() string
	// ConnID is the ID of the Connection that the event belongs to.
	ConnID() uint64
}

// A Handler takes events. Those of a connection come in order, Connection first and End last; one
// goroutine calls at a time.
type Handler func(Event)

// A Protocol is what a connection speaks.
type Protocol string

// The protocols that are told apart.
const (
	HTTP2   Protocol = "h2"       // HTTP/2, with or without TLS
	HTTP1   Protocol = "http/1.1" // HTTP/1.0 and HTTP/1.1
	Unknown Protocol = "unknown"  // neither, or encrypted without a key
)

// A Connection begins what is known of a connection. It comes when the protocol has been found.
type Connection struct {
	ID        uint64    // from 1
	Time      time.Time // of the first packet
	Connected time.Time // of the client's ACK that ends the handshake of TCP; zero is unknown
	Client    netip.AddrPort
	Server    netip.AddrPort

	Protocol Protocol
	Found    string // how the protocol was found: "preface", "alpn", "upgrade", "frames", "text", ""
	TLS      *TLS   // nil without

	// Parent and ParentStream are the connection and the stream of the CONNECT that this connection
	// is in; 0 is none. Twin is the other leg of an intercepted or relayed tunnel, where both are
	// seen.
	Parent       uint64
	ParentStream uint32
	Twin         uint64

	StartMissing bool   // the capture begins in the midst of it
	Leg          string // of an intercepting proxy: "client", "origin"; "" elsewhere
	Problem      string // why its content cannot be shown; "" where it can
}

// TLS is what the handshake of a connection has agreed on.
type TLS struct {
	Version      uint16 // such as tls.VersionTLS13; 0 is unknown
	CipherSuite  uint16
	ALPN         string   // the protocol chosen; "" for none or unknown
	Offered      []string // the client's list of ALPN
	ServerName   string
	ClientRandom []byte // 32 octets, or nil
	Resumed      bool
	HelloRetry   bool // HelloRetryRequest was sent
	EarlyData    bool // 0-RTT data was accepted
	Encrypted    bool // no key was found, so that the content is unknown

	// Start is the time of the first octet of ClientHello, and Finished that of the last message of
	// that name before there were octets of HTTP, which in TLS 1.3 may be that of the server alone.
	// They are zero where they are unknown, as without a key.
	Start, Finished time.Time
}

// VersionName is the name of the version, such as "TLS 1.3"; "" is unknown.
func (t *TLS) VersionName() string {
	if t.Version == 0 {
		return ""
	}
	return tls.VersionName(t.Version)
}

// An End says how a connection has ended, and what it has carried.
type End struct {
	Conn     uint64
	Time     time.Time
	How      string // "open" (the capture ends first), "closed", "reset"
	Frames   uint64
	Requests uint64
	Octets   [2]int64 // by Dir, of HTTP
	Lost     [2]int64 // by Dir, octets that are known to be missing
}

// A Frame is a frame of HTTP/2.
type Frame struct {
	Conn   uint64
	Number uint64    // counts the frames of the connection, from 1
	First  time.Time // of the packet with its first octet
	Time   time.Time // of the packet with its last octet
	Dir    Dir
	Header frame.Header

	// Parsed is what package frame makes of it; nil where that fails, as Err says, or octets are
	// missing. The Data of a frame.Data is nil; its length is DataLen. Where Parsed is set, Err is
	// about the header block that ends with the frame.
	Parsed  frame.Frame
	Err     error
	Missing uint32 // octets of the payload that are not in the capture
	DataLen uint32 // of DATA: the octets of data, without padding
	Padding uint32 // octets of padding, with that which has its length

	// Window is what a side may still send once the frame has taken effect: the frame's sender,
	// where it is HEADERS or DATA; the side that gets the credit, where it is WINDOW_UPDATE.
	Window Windows

	// Fields are those of a header block, on the frame that ends it.
	Fields  []Field
	Trailer bool // the fields are trailers
	Tainted bool // octets were lost before the block, or in it: names and values may be wrong, or missing
}

// Windows are the octets of DATA that a side may send (RFC 9113 §5.2): as a capture shows them, so
// that credit counts from when it passes, before the side has it. SETTINGS_INITIAL_WINDOW_SIZE
// counts from its acknowledgement.
type Windows struct {
	Stream, Conn           int64 // below 0 after a smaller SETTINGS_INITIAL_WINDOW_SIZE
	StreamKnown, ConnKnown bool  // unknown where the start is missing or octets were lost
}

// State says how far the value of a field is known.
type State uint8

// The states of a field.
const (
	Known        State = iota
	UnknownField       // the index points to what was sent before the capture began
	Tainted            // octets were lost before it, so that the index may mean something else
)

func (s State) String() string { return [...]string{"known", "unknown", "tainted"}[s] }

// A Field is a line of a header section.
type Field struct {
	Name, Value string
	State       State
	Index       uint64 // of HPACK, where the state is not Known and the field was indexed
	NeverIndex  bool   // a literal that is never indexed (RFC 7541 §7.1.3)
	Hidden      bool   // the value is a secret and replaced
}

// A Gap says that octets of a direction are not in the capture.
type Gap struct {
	Conn    uint64
	Time    time.Time
	Dir     Dir
	Stream  uint32 // of the one frame that lacks them; 0: whole frames may be missing
	Octets  int64  // -1 where their number is unknown
	Skipped int64  // octets behind them that are there, but not shown: no frame is known to begin in them
	Reason  string // "lost", "cut", "start", "undecrypted"
	Text    string // one sentence
}

// A Window is a window of flow control (RFC 9113 §5.2).
type Window uint8

// The windows.
const (
	StreamWindow Window = iota + 1
	ConnWindow
	BothWindows
)

func (w Window) String() string {
	return [...]string{"", "stream", "connection", "both"}[w]
}

// A Stall is a time in which a stream had no window to send in.
type Stall struct {
	Conn       uint64
	Stream     uint32
	Dir        Dir // the side that could not send; the other one owed WINDOW_UPDATE
	Window     Window
	Start, End time.Time
	EndedBy    string // such as "WINDOW_UPDATE on stream 0", "RST_STREAM", "end of capture"
	Frame      uint64 // the number of the frame that ended it; 0 for none

	// Periods is 1, or more where short stalls with little DATA between them, or too many of one
	// stream, are one Stall. Blocked is how long the stream had no window between Start and End.
	Periods uint64
	Blocked time.Duration
}

// A Severity is how much a finding matters.
type Severity uint8

// The severities.
const (
	Note    Severity = iota // worth knowing: it breaks no rule
	Warning                 // a SHOULD, or a sign of an attack
	Error                   // a MUST of an RFC is broken, or octets are missing
)

func (s Severity) String() string { return [...]string{"note", "warning", "error"}[s] }

// A Finding is something that is wrong with a connection.
type Finding struct {
	Conn     uint64
	Stream   uint32 // 0 is the connection
	Frame    uint64 // number of the frame; 0 for none
	Time     time.Time
	Dir      Dir // the side that did it
	Rule     string
	Section  string // such as "RFC 9113 §5.1.1"
	Severity Severity
	Text     string
}

// A Request is an exchange of HTTP: a request and what was answered. It comes when both are over,
// or when nothing more can come.
type Request struct {
	Conn    uint64
	Stream  uint32 // of HTTP/1.1: counts the requests of the connection, from 1
	Version string // "HTTP/2", "HTTP/1.1", "HTTP/1.0"

	// What the pseudo-fields say, or the first line, Host and Upgrade of HTTP/1.1; secrets of Path
	// are hidden.
	Method, Scheme, Authority, Path, Protocol string
	Status                                    int    // 0 without a response
	Reason                                    string // the text behind the status of HTTP/1.1

	// Fields and Trailers are, by Dir, what was sent, in its order and with pseudo-fields. Names of
	// HTTP/1.1 have the case that was sent.
	Fields, Trailers [2][]Field
	Interim          []Interim // 1xx responses, at most 100
	ContentType      string    // of the response

	Pushed    bool
	Parent    uint32 // the stream that a push was promised on
	Upgraded  bool   // the request was sent in HTTP/1.1, with Upgrade: h2c (RFC 7540 §3.2)
	Priority  string // value of the priority field or of PRIORITY_UPDATE
	Weight    int    // of the priority in HEADERS or PRIORITY, 1 to 256; 0 is none
	DependsOn uint32
	Exclusive bool

	Start      time.Time // first octet of the request
	RequestEnd time.Time // its END_STREAM; zero if it never came
	Response   time.Time // end of the header block of the final response
	FirstData  time.Time // of the response
	End        time.Time // of the last frame
	Body       [2]int64  // octets of content, by Dir: as sent, without padding and chunks
	Wire       [2]int64  // octets of frames or of HTTP/1.1, by Dir
	DataChunks []Chunk   // of the response, at most 1,000
	Wait       Wait

	Complete     bool   // both sides have come to their end
	ResetBy      string // "client" or "server"; "" for none
	ResetCode    frame.Code
	GoAway       bool   // GOAWAY says that the request was not processed (RFC 9113 §6.8)
	StartMissing bool   // the header section of the request was not seen
	Lossy        bool   // octets were lost while it was open, so that parts may be missing
	Problem      string // why something is missing that was seen, such as a limit; "" for nothing

	GRPC *GRPC // nil where it is no call of gRPC
}

// Field returns the value of the first field of that name in a header section; names compare
// without regard to case.
func (r *Request) Field(d Dir, name string) string {
	for i := range r.Fields[d] {
		if f := &r.Fields[d][i]; strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// An Interim is a 1xx response (RFC 9110 §15.2).
type Interim struct {
	Time   time.Time
	Status int
	Fields []Field
}

// A Chunk is DATA of a response, or several that came one after the other.
type Chunk struct {
	Time   time.Time // of the last
	Octets int64
}

// Wait is what a request has waited for.
type Wait struct {
	Stream      time.Duration // for its window
	Connection  time.Duration // for the connection's window
	Concurrency time.Duration // how long, before it was opened, no stream was free (RFC 9113 §5.1.2)
	Server      time.Duration // between the end of the request and the first of the response
	Network     time.Duration // for octets that were sent again
}

// GRPC is what is seen of a call of gRPC.
type GRPC struct {
	Method     string     // "/package.Service/Method"
	Messages   [2][]int64 // sizes in octets as sent, by Dir, at most 1,000; Count has all
	Count      [2]int64
	Compressed [2]int64  // of Count, those that are compressed
	Encoding   [2]string // grpc-encoding
	Partial    [2]int64  // octets of a message that did not come to its end
	Status     int       // grpc-status; -1 where there is none
	Message    string    // grpc-message, percent-decoded
	Web        bool      // gRPC-Web
}

// A Body is a piece of the content of a request or response, as it was sent: without padding and
// chunks, compressed as it is. It comes with Options.Bodies only. A frame may give several, which
// come before the Frame.
type Body struct {
	Conn   uint64
	Stream uint32
	Time   time.Time
	Dir    Dir
	Octets []byte
	Lost   int64 // octets that are missing before it; -1 where their number is unknown
	End    bool  // the content ends here, which may be said without octets
}

// A Message is the header section of a request or response of HTTP/1.1.
type Message struct {
	Conn     uint64
	Stream   uint32 // counts the requests of the connection, from 1
	Time     time.Time
	Dir      Dir
	Line     string // the first line
	Fields   []Field
	Trailer  bool
	Problems []string
}

// Kind returns "connection".
func (*Connection) Kind() string { return "connection" }

// Kind returns "end".
func (*End) Kind() string { return "end" }

// Kind returns "frame".
func (*Frame) Kind() string { return "frame" }

// Kind returns "request".
func (*Request) Kind() string { return "request" }

// Kind returns "stall".
func (*Stall) Kind() string { return "stall" }

// Kind returns "finding".
func (*Finding) Kind() string { return "finding" }

// Kind returns "gap".
func (*Gap) Kind() string { return "gap" }

// Kind returns "body".
func (*Body) Kind() string { return "body" }

// Kind returns "message".
func (*Message) Kind() string { return "message" }

// ConnID returns the ID.
func (e *Connection) ConnID() uint64 { return e.ID }

// ConnID returns Conn.
func (e *End) ConnID() uint64 { return e.Conn }

// ConnID returns Conn.
func (e *Frame) ConnID() uint64 { return e.Conn }

// ConnID returns Conn.
func (e *Request) ConnID() uint64 { return e.Conn }

// ConnID returns Conn.
func (e *Stall) ConnID() uint64 { return e.Conn }

// ConnID returns Conn.
func (e *Finding) ConnID() uint64 { return e.Conn }

// ConnID returns Conn.
func (e *Gap) ConnID() uint64 { return e.Conn }

// ConnID returns Conn.
func (e *Body) ConnID() uint64 { return e.Conn }

// ConnID returns Conn.
func (e *Message) ConnID() uint64 { return e.Conn }
