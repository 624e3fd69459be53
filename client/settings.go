package client

import "github.com/sluice-go/sluice/conn"

// Types of other packages, named here so that a Transport can be filled in, and a priority be
// stated, without an import of those.
type (
	// Limits bounds the work that a server can cause on a connection.
	Limits = conn.Limits

	// Scheduler decides which request body of a connection sends next. Package priority has some.
	Scheduler = conn.Scheduler

	// PriorityParams are the priority of a request: see WithPriority.
	PriorityParams = conn.PriorityParams

	// Tracer sees every frame in and out.
	Tracer = conn.Tracer

	// FramePolicy decides on every frame that a server sends: it may count it, drop it, reset its
	// stream or end the connection.
	FramePolicy = conn.FramePolicy

	// PaddingFunc chooses the padding of frames that are sent (RFC 9113 §10.7): see conn.PadTo and
	// conn.PadRandom.
	PaddingFunc = conn.PaddingFunc

	// SettingID is the identifier of a setting (RFC 9113 §6.5.2).
	SettingID = conn.SettingID
)
