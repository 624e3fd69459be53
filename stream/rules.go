package stream

// A Rule answers what an event means in a state.
type Rule struct {
	// Next is the state after the event and after the answer that Verdict
	// asks for: a stream error leads to ClosedResetLocal, because RST_STREAM
	// answers it. Verdicts that end the connection, Ignored and Misuse leave
	// the state as it is.
	Next    State
	Verdict Verdict
}

// Short names, only for the table below.
const (
	ok     = Allowed
	skip   = Ignored
	serr   = StreamClosedError
	cproto = ConnProtocolError
	cclose = ConnStreamClosed
	bad    = Misuse
)

// rules answers "what if e happens in s?" for every pair (RFC 9113 §5.1).
var rules = [numStates][numEvents]Rule{
	Idle: {
		SendHeaders:      {Open, ok},
		SendData:         {Idle, bad},
		SendEndStream:    {Idle, bad},
		SendReset:        {Idle, bad},
		SendPushPromise:  {ReservedLocal, ok},
		SendPromising:    {Idle, bad},
		SendWindowUpdate: {Idle, bad},
		SendPriority:     {Idle, ok},

		// "Receiving any frame other than HEADERS or PRIORITY on a stream in
		// this state MUST be treated as a connection error of type
		// PROTOCOL_ERROR." Whose stream it is, IDs.Accept checks.
		RecvHeaders:      {Open, ok},
		RecvData:         {Idle, cproto},
		RecvEndStream:    {Idle, cproto},
		RecvReset:        {Idle, cproto},
		RecvPushPromise:  {ReservedRemote, ok},
		RecvPromising:    {Idle, cproto},
		RecvWindowUpdate: {Idle, cproto},
		RecvPriority:     {Idle, ok},
	},
	ReservedLocal: {
		SendHeaders:      {HalfClosedRemote, ok},
		SendData:         {ReservedLocal, bad},
		SendEndStream:    {ReservedLocal, bad},
		SendReset:        {ClosedResetLocal, ok},
		SendPushPromise:  {ReservedLocal, bad},
		SendPromising:    {ReservedLocal, bad},
		SendWindowUpdate: {ReservedLocal, bad},
		SendPriority:     {ReservedLocal, ok},

		RecvHeaders:      {ReservedLocal, cproto},
		RecvData:         {ReservedLocal, cproto},
		RecvEndStream:    {ReservedLocal, cproto},
		RecvReset:        {ClosedResetRemote, ok},
		RecvPushPromise:  {ReservedLocal, cproto},
		RecvPromising:    {ReservedLocal, cproto},
		RecvWindowUpdate: {ReservedLocal, ok},
		RecvPriority:     {ReservedLocal, ok},
	},
	ReservedRemote: {
		SendHeaders:      {ReservedRemote, bad},
		SendData:         {ReservedRemote, bad},
		SendEndStream:    {ReservedRemote, bad},
		SendReset:        {ClosedResetLocal, ok},
		SendPushPromise:  {ReservedRemote, bad},
		SendPromising:    {ReservedRemote, bad},
		SendWindowUpdate: {ReservedRemote, ok},
		SendPriority:     {ReservedRemote, ok},

		RecvHeaders:      {HalfClosedLocal, ok},
		RecvData:         {ReservedRemote, cproto},
		RecvEndStream:    {ReservedRemote, cproto},
		RecvReset:        {ClosedResetRemote, ok},
		RecvPushPromise:  {ReservedRemote, cproto},
		RecvPromising:    {ReservedRemote, cproto},
		RecvWindowUpdate: {ReservedRemote, cproto},
		RecvPriority:     {ReservedRemote, ok},
	},
	Open: {
		SendHeaders:      {Open, ok},
		SendData:         {Open, ok},
		SendEndStream:    {HalfClosedLocal, ok},
		SendReset:        {ClosedResetLocal, ok},
		SendPushPromise:  {Open, bad},
		SendPromising:    {Open, ok},
		SendWindowUpdate: {Open, ok},
		SendPriority:     {Open, ok},

		RecvHeaders:      {Open, ok},
		RecvData:         {Open, ok},
		RecvEndStream:    {HalfClosedRemote, ok},
		RecvReset:        {ClosedResetRemote, ok},
		RecvPushPromise:  {Open, cproto}, // §6.6: the promised stream must be idle
		RecvPromising:    {Open, ok},
		RecvWindowUpdate: {Open, ok},
		RecvPriority:     {Open, ok},
	},
	HalfClosedLocal: {
		SendHeaders:      {HalfClosedLocal, bad},
		SendData:         {HalfClosedLocal, bad},
		SendEndStream:    {HalfClosedLocal, bad},
		SendReset:        {ClosedResetLocal, ok},
		SendPushPromise:  {HalfClosedLocal, bad},
		SendPromising:    {HalfClosedLocal, bad}, // §6.6: only on open and half-closed (remote)
		SendWindowUpdate: {HalfClosedLocal, ok},
		SendPriority:     {HalfClosedLocal, ok},

		RecvHeaders:      {HalfClosedLocal, ok},
		RecvData:         {HalfClosedLocal, ok},
		RecvEndStream:    {ClosedEnd, ok},
		RecvReset:        {ClosedResetRemote, ok},
		RecvPushPromise:  {HalfClosedLocal, cproto},
		RecvPromising:    {HalfClosedLocal, ok},
		RecvWindowUpdate: {HalfClosedLocal, skip}, // sent before our END_STREAM arrived
		RecvPriority:     {HalfClosedLocal, ok},
	},
	HalfClosedRemote: {
		SendHeaders:      {HalfClosedRemote, ok},
		SendData:         {HalfClosedRemote, ok},
		SendEndStream:    {ClosedEnd, ok},
		SendReset:        {ClosedResetLocal, ok},
		SendPushPromise:  {HalfClosedRemote, bad},
		SendPromising:    {HalfClosedRemote, ok},
		SendWindowUpdate: {HalfClosedRemote, ok},
		SendPriority:     {HalfClosedRemote, ok},

		// "If an endpoint receives additional frames, other than
		// WINDOW_UPDATE, PRIORITY, or RST_STREAM, for a stream that is in this
		// state, it MUST respond with a stream error of type STREAM_CLOSED."
		RecvHeaders:      {ClosedResetLocal, serr},
		RecvData:         {ClosedResetLocal, serr},
		RecvEndStream:    {ClosedResetLocal, serr},
		RecvReset:        {ClosedResetRemote, ok},
		RecvPushPromise:  {HalfClosedRemote, cproto},
		RecvPromising:    {HalfClosedRemote, cproto}, // §6.6 is the stricter rule
		RecvWindowUpdate: {HalfClosedRemote, ok},
		RecvPriority:     {HalfClosedRemote, ok},
	},
	ClosedEnd: {
		SendHeaders:      {ClosedEnd, bad},
		SendData:         {ClosedEnd, bad},
		SendEndStream:    {ClosedEnd, bad},
		SendReset:        {ClosedEnd, skip}, // nothing left to reset
		SendPushPromise:  {ClosedEnd, bad},
		SendPromising:    {ClosedEnd, bad},
		SendWindowUpdate: {ClosedEnd, bad},
		SendPriority:     {ClosedEnd, ok},

		// The peer has broken its own END_STREAM. A stream error is no answer:
		// "An endpoint MUST NOT send frames other than PRIORITY on a closed
		// stream." It "MAY treat receipt of any other type of frame on a closed
		// stream as a connection error of type STREAM_CLOSED".
		RecvHeaders:      {ClosedEnd, cclose},
		RecvData:         {ClosedEnd, cclose},
		RecvEndStream:    {ClosedEnd, cclose},
		RecvReset:        {ClosedEnd, skip}, // sent before our END_STREAM arrived
		RecvPushPromise:  {ClosedEnd, cproto},
		RecvPromising:    {ClosedEnd, cproto},
		RecvWindowUpdate: {ClosedEnd, skip}, // sent before our END_STREAM arrived
		RecvPriority:     {ClosedEnd, ok},
	},
	ClosedResetLocal: {
		SendHeaders:      {ClosedResetLocal, bad},
		SendData:         {ClosedResetLocal, bad},
		SendEndStream:    {ClosedResetLocal, bad},
		SendReset:        {ClosedResetLocal, skip}, // §5.4.2: not more than one
		SendPushPromise:  {ClosedResetLocal, bad},
		SendPromising:    {ClosedResetLocal, bad},
		SendWindowUpdate: {ClosedResetLocal, bad},
		SendPriority:     {ClosedResetLocal, ok},

		// "The peer might have sent or enqueued for sending these frames before
		// processing the RST_STREAM frame. An endpoint MUST minimally process
		// and then discard any frames it receives in this state."
		RecvHeaders:      {ClosedResetLocal, skip},
		RecvData:         {ClosedResetLocal, skip},
		RecvEndStream:    {ClosedResetLocal, skip},
		RecvReset:        {ClosedResetLocal, skip},
		RecvPushPromise:  {ClosedResetLocal, cproto},
		RecvPromising:    {ClosedResetLocal, ok}, // the promised stream is reserved all the same
		RecvWindowUpdate: {ClosedResetLocal, skip},
		RecvPriority:     {ClosedResetLocal, ok},
	},
	ClosedResetRemote: {
		SendHeaders:      {ClosedResetRemote, bad},
		SendData:         {ClosedResetRemote, bad},
		SendEndStream:    {ClosedResetRemote, bad},
		SendReset:        {ClosedResetRemote, skip}, // §5.4.2: never in answer to RST_STREAM
		SendPushPromise:  {ClosedResetRemote, bad},
		SendPromising:    {ClosedResetRemote, bad},
		SendWindowUpdate: {ClosedResetRemote, bad},
		SendPriority:     {ClosedResetRemote, ok},

		// Nothing can have been in flight: frames arrive in order. The answer
		// moves the stream to ClosedResetLocal, so that a peer that goes on
		// gets one RST_STREAM and not one a frame.
		RecvHeaders:      {ClosedResetLocal, serr},
		RecvData:         {ClosedResetLocal, serr},
		RecvEndStream:    {ClosedResetLocal, serr},
		RecvReset:        {ClosedResetRemote, skip},
		RecvPushPromise:  {ClosedResetRemote, cproto},
		RecvPromising:    {ClosedResetRemote, cproto},
		RecvWindowUpdate: {ClosedResetRemote, skip},
		RecvPriority:     {ClosedResetRemote, ok},
	},
}
