package tlsrecord

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	randomText = strings.Repeat("0a", 32)
	secret32   = strings.Repeat("Bc", 32) // hex digits of either case
	secret48   = strings.Repeat("de", 48)
)

func TestKeys(t *testing.T) {
	k := &Keys{}
	lines := k.Add([]byte("# SSL/TLS secrets log file\r\n\r\n" +
		"CLIENT_RANDOM " + randomText + " " + secret48 + "\r\n" +
		"  CLIENT_HANDSHAKE_TRAFFIC_SECRET\t" + randomText + " " + secret32 + "\n" +
		"SERVER_HANDSHAKE_TRAFFIC_SECRET " + randomText + " " + secret48 + "\n" +
		"CLIENT_TRAFFIC_SECRET_0 " + randomText + " " + secret32 + "\n" +
		"CLIENT_TRAFFIC_SECRET_2 " + randomText + " " + secret48 + "\n" +
		"CLIENT_TRAFFIC_SECRET_99 " + randomText + " " + secret48 + "\n" + // derived where it is needed
		"EXPORTER_SECRET " + randomText + " " + secret32 + "\n" +
		"ECH_CONFIG " + randomText + " " + strings.Repeat("00", 400) + "\n" +
		"RSA 0123456789abcdef " + secret48 + "\n" +
		"SERVER_TRAFFIC_SECRET_0 " + randomText + " " + secret32))
	if lines != 6 || k.Junk() != 0 || k.Connections() != 1 {
		t.Errorf("%d lines, %d junk, %d connections", lines, k.Junk(), k.Connections())
	}
	of := k.get(random(bytes.Repeat([]byte{0x0a}, 32)))
	got := map[string]int{}
	for _, s := range of.list {
		got[fmt.Sprintf("%v/%d", s.label, s.update)] = len(s.octets())
	}
	want := map[string]int{
		"CLIENT_RANDOM/0": 48, "CLIENT_HANDSHAKE_TRAFFIC_SECRET/0": 32, "SERVER_HANDSHAKE_TRAFFIC_SECRET/0": 48,
		"CLIENT_TRAFFIC_SECRET_0/0": 32, "CLIENT_TRAFFIC_SECRET_0/2": 48, "SERVER_TRAFFIC_SECRET_0/0": 32,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s := of.find(labelClientTraffic, 0); !bytes.Equal(s, bytes.Repeat([]byte{0xbc}, 32)) {
		t.Errorf("%x", s)
	}
}

func TestKeysJunk(t *testing.T) {
	for _, line := range []string{
		"CLIENT_RANDOM", "CLIENT_RANDOM " + randomText, "CLIENT_RANDOM " + randomText + " " + secret32,
		"CLIENT_RANDOM " + randomText + " " + secret48[2:] + "zz", "CLIENT_RANDOM " + randomText[2:] + " " + secret48,
		"CLIENT_RANDOM " + randomText + " " + secret48 + " more", "CLIENT_TRAFFIC_SECRET_ " + randomText + " " + secret48,
		"CLIENT_TRAFFIC_SECRET_-1 " + randomText + " " + secret48, "NO_SUCH_LABEL " + randomText + " " + secret48,
		"CLIENT_RANDOM " + randomText + " " + strings.Repeat("ab", 4000), "\x00\xff", strings.Repeat("x", 1<<20),
	} {
		k := &Keys{}
		if lines := k.Add([]byte(line)); lines != 0 || k.Junk() != 1 || k.Connections() != 0 {
			t.Errorf("%.60q: %d lines, %d junk, %d connections", line, lines, k.Junk(), k.Connections())
		}
	}
}

// A log has no end where a program has run for long: the oldest connections are given up.
func TestKeysBound(t *testing.T) {
	k := &Keys{}
	for i := range maxConnections + 10 {
		k.put(random{0: byte(i), 1: byte(i >> 8), 2: byte(i >> 16)}, secret{label: labelMaster, size: 48})
	}
	if k.Connections() != maxConnections || len(k.byRandom) != maxConnections {
		t.Errorf("%d connections, %d randoms", k.Connections(), len(k.byRandom))
	}
	if k.get(random{9}) != nil || k.get(random{10}) == nil {
		t.Error("the oldest connections were not given up")
	}
	for i := range 2 * maxSessions {
		k.sessions.put([]byte{byte(i), byte(i >> 8), byte(i >> 16)}, &secrets{})
	}
	if n := len(k.sessions.by); n != maxSessions {
		t.Errorf("%d sessions", n)
	}
}

// No log takes more memory than it says above maxConnections.
func TestKeysMemory(t *testing.T) {
	for _, tt := range []struct{ connections, secrets, want int }{
		{maxConnections + 1000, 5, maxConnections},
		{maxConnections + 1000, 2, maxConnections},
		{40_000, 36, maxSecrets / 37}, // room for 37
	} {
		k := &Keys{}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range tt.connections {
			for j := range tt.secrets {
				s := secret{label: labelEarly + label(j%5), update: uint8(j / 5), size: 48}
				k.put(random{0: byte(i), 1: byte(i >> 8), 2: byte(i >> 16)}, s)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if n := int64(after.HeapAlloc) - int64(before.HeapAlloc); n > 60e6 {
			t.Errorf("%d secrets each: %d octets", tt.secrets, n)
		}
		if n := k.Connections(); n < tt.want-1 || n > tt.want || n != len(k.byRandom) || k.room > maxSecrets {
			t.Errorf("%d secrets each: %d connections, want %d; %d randoms, room for %d",
				tt.secrets, n, tt.want, len(k.byRandom), k.room)
		}
		for i, of := range k.order {
			if len(of.list) != tt.secrets {
				t.Errorf("%d secrets of connection %d, want %d", len(of.list), i, tt.secrets)
				break
			}
		}
		runtime.KeepAlive(k)
	}
}

// Where the oldest client random gets a secret more, and there is no room, it gives up its others.
func TestKeysOldestGrows(t *testing.T) {
	k := &Keys{}
	for i := range maxConnections {
		for update := range uint8(2) {
			r := random{0: byte(i), 1: byte(i >> 8), 2: byte(i >> 16)}
			k.put(r, secret{label: labelClientTraffic, update: update, size: 32})
		}
	}
	for update := range uint8(6) {
		k.put(random{}, secret{label: labelServerTraffic, update: update, size: 32})
	}
	of := k.get(random{})
	if len(of.list) != 3 || k.order[len(k.order)-1] != of || k.Connections() != maxConnections || k.room > maxSecrets {
		t.Errorf("%d secrets, %d connections, room for %d", len(of.list), k.Connections(), k.room)
	}
	room := 0
	for _, of := range k.order {
		room += cap(of.list)
	}
	if room != k.room {
		t.Errorf("room for %d secrets, want %d", k.room, room)
	}
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte("CLIENT_RANDOM " + randomText + " " + secret48 + "\n# comment\r\n"))
	f.Add([]byte("SERVER_TRAFFIC_SECRET_1 " + randomText + " " + secret32 + "\nRSA 00 11\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		k := &Keys{}
		lines := k.Add(text)
		all := bytes.Count(text, []byte("\n")) + 1
		if lines+k.Junk() > all || k.Connections() > lines {
			t.Errorf("%d lines and %d junk of %d, %d connections", lines, k.Junk(), all, k.Connections())
		}
		again := &Keys{}
		if n := again.Add(text) + again.Add(text); n != 2*lines || again.Connections() != k.Connections() {
			t.Errorf("twice: %d lines, %d connections; once: %d, %d", n, again.Connections(), lines, k.Connections())
		}
	})
}
