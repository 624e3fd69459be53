package conn

import (
	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream/priority"
)

// Types of other packages, named here so that a Config can be filled in, and a priority be stated,
// without an import of those.
type (
	// Limits bounds what the peer can make a connection do.
	Limits = core.Limits

	// PaddingFunc chooses the padding of a frame: see PadTo and PadRandom.
	PaddingFunc = core.PaddingFunc

	// SettingID is the identifier of a setting (RFC 9113 §6.5.2).
	SettingID = frame.SettingID

	// Scheduler decides which stream of a connection sends next. Package priority has some.
	Scheduler = priority.Scheduler

	// PriorityParams are the priority of a stream, in one of two schemes or in both.
	PriorityParams = priority.Params
)
