package frame_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sluice-go/sluice/frame"
)

func TestSettingCheck(t *testing.T) {
	const ok = frame.NoError
	for _, tt := range []struct {
		id    frame.SettingID
		value uint32
		code  frame.Code
	}{
		{frame.SettingHeaderTableSize, 0, ok},
		{frame.SettingHeaderTableSize, math.MaxUint32, ok},
		{frame.SettingEnablePush, 0, ok},
		{frame.SettingEnablePush, 1, ok},
		{frame.SettingEnablePush, 2, frame.ProtocolError},
		{frame.SettingEnablePush, math.MaxUint32, frame.ProtocolError},
		{frame.SettingMaxConcurrentStreams, 0, ok},
		{frame.SettingMaxConcurrentStreams, math.MaxUint32, ok},
		{frame.SettingInitialWindowSize, 0, ok},
		{frame.SettingInitialWindowSize, frame.MaxWindow, ok},
		{frame.SettingInitialWindowSize, frame.MaxWindow + 1, frame.FlowControlError},
		{frame.SettingInitialWindowSize, math.MaxUint32, frame.FlowControlError},
		{frame.SettingMaxFrameSize, 0, frame.ProtocolError},
		{frame.SettingMaxFrameSize, frame.MinMaxFrameSize - 1, frame.ProtocolError},
		{frame.SettingMaxFrameSize, frame.MinMaxFrameSize, ok},
		{frame.SettingMaxFrameSize, frame.MaxMaxFrameSize, ok},
		{frame.SettingMaxFrameSize, frame.MaxMaxFrameSize + 1, frame.ProtocolError},
		{frame.SettingMaxHeaderListSize, 0, ok},
		{frame.SettingMaxHeaderListSize, math.MaxUint32, ok},
		{frame.SettingEnableConnectProtocol, 1, ok},
		{frame.SettingEnableConnectProtocol, 2, frame.ProtocolError},
		{frame.SettingNoRFC7540Priorities, 1, ok},
		{frame.SettingNoRFC7540Priorities, 2, frame.ProtocolError},
		{0, math.MaxUint32, ok},
		{7, math.MaxUint32, ok},
		{0xffff, math.MaxUint32, ok},
	} {
		s := frame.Setting{ID: tt.id, Value: tt.value}
		err := s.Check()
		var ce *frame.ConnError
		switch {
		case tt.code == ok && err != nil:
			t.Errorf("%v: %v", s, err)
		case tt.code != ok && (!errors.As(err, &ce) || ce.Code != tt.code || ce.Section == ""):
			t.Errorf("%v: %v, want a connection error of %v", s, err, tt.code)
		}
	}
}

func TestSettingIDString(t *testing.T) {
	want := map[frame.SettingID]string{
		0:  "SETTINGS_UNKNOWN_0x0",
		1:  "SETTINGS_HEADER_TABLE_SIZE",
		2:  "SETTINGS_ENABLE_PUSH",
		3:  "SETTINGS_MAX_CONCURRENT_STREAMS",
		4:  "SETTINGS_INITIAL_WINDOW_SIZE",
		5:  "SETTINGS_MAX_FRAME_SIZE",
		6:  "SETTINGS_MAX_HEADER_LIST_SIZE",
		7:  "SETTINGS_UNKNOWN_0x7",
		8:  "SETTINGS_ENABLE_CONNECT_PROTOCOL",
		9:  "SETTINGS_NO_RFC7540_PRIORITIES",
		10: "SETTINGS_UNKNOWN_0xa",
	}
	for id, name := range want {
		if got := id.String(); got != name {
			t.Errorf("SettingID(%d) = %q, want %q", id, got, name)
		}
	}
}

func TestSettingsView(t *testing.T) {
	want := []frame.Setting{
		{ID: frame.SettingEnablePush, Value: 0},
		{ID: frame.SettingEnablePush, Value: 1}, // again: the last one counts, so none may be lost
		{ID: 0xffff, Value: math.MaxUint32},
	}
	wire := frame.AppendSettings(nil, want...)
	f, err := frame.ParseSettings(frame.ParseHeader(wire), wire[frame.HeaderLen:])
	if err != nil {
		t.Fatal(err)
	}
	var byIndex, byRange []frame.Setting
	for i := range f.Len() {
		byIndex = append(byIndex, f.At(i))
	}
	for s := range f.All() {
		byRange = append(byRange, s)
	}
	if diff := cmp.Diff(want, byIndex); diff != "" {
		t.Errorf("At (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, byRange); diff != "" {
		t.Errorf("All (-want +got):\n%s", diff)
	}
	for s := range f.All() { // a caller may stop early
		if s != want[0] {
			t.Errorf("first is %v", s)
		}
		break
	}
	if !f.Equal(frame.NewSettings(want...)) || f.Equal(frame.NewSettings(want[1:]...)) ||
		f.Equal(frame.Settings{Ack: true}) {
		t.Error("Equal is wrong")
	}
	if ack := frame.AppendSettingsAck(nil); !bytes.Equal(ack, frame.Settings{Ack: true}.Append(nil)) {
		t.Errorf("AppendSettingsAck wrote %x", ack)
	}
}

func TestOriginView(t *testing.T) {
	want := []string{"https://a.example", "", "https://b.example:8443"}
	wire := frame.AppendOrigin(nil, want...)
	if !bytes.Equal(wire, frame.NewOrigin(want...).Append(nil)) {
		t.Errorf("AppendOrigin wrote %x", wire)
	}
	f, err := frame.ParseOrigin(frame.ParseHeader(wire), wire[frame.HeaderLen:])
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for o := range f.All() {
		got = append(got, string(o))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("All (-want +got):\n%s", diff)
	}
	for o := range f.All() { // a caller may stop early
		if string(o) != want[0] {
			t.Errorf("first is %q", o)
		}
		break
	}
	if !f.Equal(frame.NewOrigin(want...)) || f.Equal(frame.NewOrigin()) {
		t.Error("Equal is wrong")
	}
}
