package stream

// A Rule says what an event means in a state.
type Rule struct {
	// Next is the state after the event and after the answer that Verdict asks for: a stream error
	// leads to ClosedResetLocal, because RST_STREAM answers it. Verdicts that end the connection,
	// Ignored and Misuse leave the state as it is.
	Next    State
	Verdict Verdict
}

// Short names, only for the table below.
const (
	allow        = Allowed
	ignore       = Ignored
	streamClosed = StreamClosedError
	connProtocol = ConnProtocolError
	connClosed   = ConnStreamClosed
	misuse       = Misuse
)

// rules has the rule for every pair of state and event (RFC 9113 §5.1).
var rules = [numStates][numEvents]Rule{
	Idle: {
		SendHeaders:      {Open, allow},
		SendData:         {Idle, misuse},
		SendEndStream:    {Idle, misuse},
		SendReset:        {Idle, misuse},
		SendPushPromise:  {ReservedLocal, allow},
		SendPromising:    {Idle, misuse},
		SendWindowUpdate: {Idle, misuse},
		SendPriority:     {Idle, allow},

		// "Receiving any frame other than HEADERS or PRIORITY on a stream in this state MUST be
		// treated as a connection error of type PROTOCOL_ERROR." IDs.Accept checks which endpoint
		// may open the stream.
		RecvHeaders:      {Open, allow},
		RecvData:         {Idle, connProtocol},
		RecvEndStream:    {Idle, connProtocol},
		RecvReset:        {Idle, connProtocol},
		RecvPushPromise:  {ReservedRemote, allow},
		RecvPromising:    {Idle, connProtocol},
		RecvWindowUpdate: {Idle, connProtocol},
		RecvPriority:     {Idle, allow},
	},
	ReservedLocal: {
		SendHeaders:      {HalfClosedRemote, allow},
		SendData:         {ReservedLocal, misuse},
		SendEndStream:    {ReservedLocal, misuse},
		SendReset:        {ClosedResetLocal, allow},
		SendPushPromise:  {ReservedLocal, misuse},
		SendPromising:    {ReservedLocal, misuse},
		SendWindowUpdate: {ReservedLocal, misuse},
		SendPriority:     {ReservedLocal, allow},

		RecvHeaders:      {ReservedLocal, connProtocol},
		RecvData:         {ReservedLocal, connProtocol},
		RecvEndStream:    {ReservedLocal, connProtocol},
		RecvReset:        {ClosedResetRemote, allow},
		RecvPushPromise:  {ReservedLocal, connProtocol},
		RecvPromising:    {ReservedLocal, connProtocol},
		RecvWindowUpdate: {ReservedLocal, allow},
		RecvPriority:     {ReservedLocal, allow},
	},
	ReservedRemote: {
		SendHeaders:      {ReservedRemote, misuse},
		SendData:         {ReservedRemote, misuse},
		SendEndStream:    {ReservedRemote, misuse},
		SendReset:        {ClosedResetLocal, allow},
		SendPushPromise:  {ReservedRemote, misuse},
		SendPromising:    {ReservedRemote, misuse},
		SendWindowUpdate: {ReservedRemote, allow},
		SendPriority:     {ReservedRemote, allow},

		RecvHeaders:      {HalfClosedLocal, allow},
		RecvData:         {ReservedRemote, connProtocol},
		RecvEndStream:    {ReservedRemote, connProtocol},
		RecvReset:        {ClosedResetRemote, allow},
		RecvPushPromise:  {ReservedRemote, connProtocol},
		RecvPromising:    {ReservedRemote, connProtocol},
		RecvWindowUpdate: {ReservedRemote, connProtocol},
		RecvPriority:     {ReservedRemote, allow},
	},
	Open: {
		SendHeaders:      {Open, allow},
		SendData:         {Open, allow},
		SendEndStream:    {HalfClosedLocal, allow},
		SendReset:        {ClosedResetLocal, allow},
		SendPushPromise:  {Open, misuse},
		SendPromising:    {Open, allow},
		SendWindowUpdate: {Open, allow},
		SendPriority:     {Open, allow},

		RecvHeaders:      {Open, allow},
		RecvData:         {Open, allow},
		RecvEndStream:    {HalfClosedRemote, allow},
		RecvReset:        {ClosedResetRemote, allow},
		RecvPushPromise:  {Open, connProtocol}, // §6.6: the promised stream must be idle
		RecvPromising:    {Open, allow},
		RecvWindowUpdate: {Open, allow},
		RecvPriority:     {Open, allow},
	},
	HalfClosedLocal: {
		SendHeaders:      {HalfClosedLocal, misuse},
		SendData:         {HalfClosedLocal, misuse},
		SendEndStream:    {HalfClosedLocal, misuse},
		SendReset:        {ClosedResetLocal, allow},
		SendPushPromise:  {HalfClosedLocal, misuse},
		SendPromising:    {HalfClosedLocal, misuse}, // §6.6: only on open and half-closed (remote)
		SendWindowUpdate: {HalfClosedLocal, allow},
		SendPriority:     {HalfClosedLocal, allow},

		RecvHeaders:      {HalfClosedLocal, allow},
		RecvData:         {HalfClosedLocal, allow},
		RecvEndStream:    {ClosedEnd, allow},
		RecvReset:        {ClosedResetRemote, allow},
		RecvPushPromise:  {HalfClosedLocal, connProtocol},
		RecvPromising:    {HalfClosedLocal, allow},
		RecvWindowUpdate: {HalfClosedLocal, ignore}, // sent before our END_STREAM arrived
		RecvPriority:     {HalfClosedLocal, allow},
	},
	HalfClosedRemote: {
		SendHeaders:      {HalfClosedRemote, allow},
		SendData:         {HalfClosedRemote, allow},
		SendEndStream:    {ClosedEnd, allow},
		SendReset:        {ClosedResetLocal, allow},
		SendPushPromise:  {HalfClosedRemote, misuse},
		SendPromising:    {HalfClosedRemote, allow},
		SendWindowUpdate: {HalfClosedRemote, allow},
		SendPriority:     {HalfClosedRemote, allow},

		// "If an endpoint receives additional frames, other than WINDOW_UPDATE, PRIORITY, or
		// RST_STREAM, for a stream that is in this state, it MUST respond with a stream error of
		// type STREAM_CLOSED."
		RecvHeaders:      {ClosedResetLocal, streamClosed},
		RecvData:         {ClosedResetLocal, streamClosed},
		RecvEndStream:    {ClosedResetLocal, streamClosed},
		RecvReset:        {ClosedResetRemote, allow},
		RecvPushPromise:  {HalfClosedRemote, connProtocol},
		RecvPromising:    {HalfClosedRemote, connProtocol}, // §6.6 is the stricter rule
		RecvWindowUpdate: {HalfClosedRemote, allow},
		RecvPriority:     {HalfClosedRemote, allow},
	},
	ClosedEnd: {
		SendHeaders:      {ClosedEnd, misuse},
		SendData:         {ClosedEnd, misuse},
		SendEndStream:    {ClosedEnd, misuse},
		SendReset:        {ClosedEnd, ignore}, // nothing left to reset
		SendPushPromise:  {ClosedEnd, misuse},
		SendPromising:    {ClosedEnd, misuse},
		SendWindowUpdate: {ClosedEnd, misuse},
		SendPriority:     {ClosedEnd, allow},

		// The peer sends after its own END_STREAM. "An endpoint MAY treat receipt of any other type
		// of frame on a closed stream as a connection error of type STREAM_CLOSED"; RFC 7540 §5.1
		// had a MUST here.
		RecvHeaders:      {ClosedEnd, connClosed},
		RecvData:         {ClosedEnd, connClosed},
		RecvEndStream:    {ClosedEnd, connClosed},
		RecvReset:        {ClosedEnd, ignore}, // sent before our END_STREAM arrived
		RecvPushPromise:  {ClosedEnd, connProtocol},
		RecvPromising:    {ClosedEnd, connProtocol},
		RecvWindowUpdate: {ClosedEnd, ignore}, // sent before our END_STREAM arrived
		RecvPriority:     {ClosedEnd, allow},
	},
	ClosedResetLocal: {
		SendHeaders:      {ClosedResetLocal, misuse},
		SendData:         {ClosedResetLocal, misuse},
		SendEndStream:    {ClosedResetLocal, misuse},
		SendReset:        {ClosedResetLocal, ignore}, // §5.4.2: not more than one
		SendPushPromise:  {ClosedResetLocal, misuse},
		SendPromising:    {ClosedResetLocal, misuse},
		SendWindowUpdate: {ClosedResetLocal, misuse},
		SendPriority:     {ClosedResetLocal, allow},

		// "The peer might have sent or enqueued for sending these frames before processing the
		// RST_STREAM frame. An endpoint MUST minimally process and then discard any frames it
		// receives in this state."
		RecvHeaders:      {ClosedResetLocal, ignore},
		RecvData:         {ClosedResetLocal, ignore},
		RecvEndStream:    {ClosedResetLocal, ignore},
		RecvReset:        {ClosedResetLocal, ignore},
		RecvPushPromise:  {ClosedResetLocal, connProtocol},
		RecvPromising:    {ClosedResetLocal, allow}, // the promised stream is reserved all the same
		RecvWindowUpdate: {ClosedResetLocal, ignore},
		RecvPriority:     {ClosedResetLocal, allow},
	},
	ClosedResetRemote: {
		SendHeaders:      {ClosedResetRemote, misuse},
		SendData:         {ClosedResetRemote, misuse},
		SendEndStream:    {ClosedResetRemote, misuse},
		SendReset:        {ClosedResetRemote, ignore}, // §5.4.2: never in answer to RST_STREAM
		SendPushPromise:  {ClosedResetRemote, misuse},
		SendPromising:    {ClosedResetRemote, misuse},
		SendWindowUpdate: {ClosedResetRemote, misuse},
		SendPriority:     {ClosedResetRemote, allow},

		// Nothing can have been in flight: frames arrive in order. The stream error of
		// RFC 7540 §5.1 does not affect the other streams. It moves the stream to ClosedResetLocal,
		// so that a peer that goes on gets one RST_STREAM, and not one for each frame.
		RecvHeaders:      {ClosedResetLocal, streamClosed},
		RecvData:         {ClosedResetLocal, streamClosed},
		RecvEndStream:    {ClosedResetLocal, streamClosed},
		RecvReset:        {ClosedResetRemote, ignore},
		RecvPushPromise:  {ClosedResetRemote, connProtocol},
		RecvPromising:    {ClosedResetRemote, connProtocol},
		RecvWindowUpdate: {ClosedResetRemote, ignore},
		RecvPriority:     {ClosedResetRemote, allow},
	},
}
