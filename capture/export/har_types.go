package export

// What a HAR has, in the names of HAR 1.2. Members that begin with _ are extensions.

type harEntry struct {
	PageRef         string      `json:"pageref"`
	StartedDateTime string      `json:"startedDateTime"`
	Time            float64     `json:"time"`
	Request         harRequest  `json:"request"`
	Response        harResponse `json:"response"`
	Cache           struct{}    `json:"cache"`
	Timings         harTimings  `json:"timings"`
	ServerIPAddress string      `json:"serverIPAddress,omitempty"`
	Connection      string      `json:"connection,omitempty"`

	Protocol     string     `json:"_protocol,omitempty"`
	StreamID     uint32     `json:"_http2_stream_id,omitempty"`
	Dependency   *uint32    `json:"_http2_stream_dependency,omitempty"`
	Weight       int        `json:"_http2_stream_weight,omitempty"`
	Exclusive    *int       `json:"_http2_stream_exclusive,omitempty"`
	Priority     string     `json:"_priority,omitempty"`
	WasPushed    int        `json:"_was_pushed,omitempty"`
	PushedBy     uint32     `json:"_pushed_by_stream,omitempty"`
	Chunks       []harChunk `json:"_chunks,omitempty"`
	BytesIn      int64      `json:"_bytesIn"`
	BytesOut     int64      `json:"_bytesOut"`
	ObjectSize   int64      `json:"_objectSize"`
	IsSecure     int        `json:"_is_secure"`
	Host         string     `json:"_host,omitempty"`
	IPAddr       string     `json:"_ip_addr,omitempty"`
	ServerPort   string     `json:"_server_port,omitempty"`
	ClientPort   string     `json:"_client_port,omitempty"`
	ConnectionID string     `json:"_connectionId,omitempty"`
	ConnectStart *float64   `json:"_connect_start,omitempty"`
	ConnectEnd   *float64   `json:"_connect_end,omitempty"`
	SSLStart     *float64   `json:"_ssl_start,omitempty"`
	SSLEnd       *float64   `json:"_ssl_end,omitempty"`
	TLSVersion   string     `json:"_tls_version,omitempty"`
	TLSNextProto string     `json:"_tls_next_proto,omitempty"`
	TLSResumed   string     `json:"_tls_resumed,omitempty"`
	TLSCipher    uint16     `json:"_tls_cipher_suite,omitempty"`
	Lossy        bool       `json:"_lossy,omitempty"`
	Incomplete   bool       `json:"_incomplete,omitempty"`
}

type harChunk struct {
	TS    float64 `json:"ts"`
	Bytes int64   `json:"bytes"`
}

type harRequest struct {
	Method      string     `json:"method"`
	URL         string     `json:"url"`
	HTTPVersion string     `json:"httpVersion"`
	Cookies     []struct{} `json:"cookies"`
	Headers     []harField `json:"headers"`
	QueryString []harField `json:"queryString"`
	HeadersSize int        `json:"headersSize"`
	BodySize    int64      `json:"bodySize"`
	Trailers    []harField `json:"_trailers,omitempty"`
}

type harResponse struct {
	Status      int        `json:"status"`
	StatusText  string     `json:"statusText"`
	HTTPVersion string     `json:"httpVersion"`
	Cookies     []struct{} `json:"cookies"`
	Headers     []harField `json:"headers"`
	Content     harContent `json:"content"`
	RedirectURL string     `json:"redirectURL"`
	HeadersSize int        `json:"headersSize"`
	BodySize    int64      `json:"bodySize"`
	Transferred int64      `json:"_transferSize"`
	Trailers    []harField `json:"_trailers,omitempty"`
	Error       string     `json:"_error,omitempty"`
	GRPCStatus  *int       `json:"_grpc_status,omitempty"`
}

type harContent struct {
	Size     int64  `json:"size"`
	MimeType string `json:"mimeType"`
}

type harField struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	State  string `json:"_state,omitempty"`
	Hidden bool   `json:"_hidden,omitempty"`
}

// harTimings are in milliseconds; -1 does not apply.
type harTimings struct {
	Blocked float64 `json:"blocked"`
	DNS     float64 `json:"dns"`
	Connect float64 `json:"connect"`
	SSL     float64 `json:"ssl"`
	Send    float64 `json:"send"`
	Wait    float64 `json:"wait"`
	Receive float64 `json:"receive"`

	StreamWindow float64 `json:"_blocked_stream_window,omitempty"`
	ConnWindow   float64 `json:"_blocked_connection_window,omitempty"`
	Concurrency  float64 `json:"_blocked_concurrency,omitempty"`
	Network      float64 `json:"_blocked_network,omitempty"`
}
