package verify

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pacgan-appliance/internal/bounded"
)

// find runs an automaton over data as the kernel does.
func find(a *matchAutomaton, data string) bool {
	state := uint8(0)
	for i := range len(data) {
		if state = a.Next[int(state)*256+int(data[i])]; state == textFound {
			return true
		}
	}
	return false
}

func FuzzAutomaton(f *testing.F) {
	f.Add("abab", "abaabab")               // falls back by two
	f.Add("aaab", "aaaaaab")               // falls back by one, again and again
	f.Add("\x00\xff", "x\x00\x00\xff")     // any byte
	f.Add("a", "")                         // the shortest text, and nothing to find it in
	f.Add(strings.Repeat("ab", 127), "ab") // nearly the longest
	f.Fuzz(func(t *testing.T, text, data string) {
		defer bounded.Input(t, len(text)+len(data))()
		if text == "" || len(text) > MaxContains {
			return
		}
		if got, want := find(automatonOf(text), data), strings.Contains(data, text); got != want {
			t.Errorf("%q in %q: %v, want %v", text, data, got, want)
		}
	})
}

// part is a segment of a response: bytes from to to of it, with flags.
type part struct {
	from, to int
	flags    string
}

// TestContains has the matcher find a text in responses that come in segments.
func TestContains(t *testing.T) {
	const text = "all is well"
	body := strings.Repeat("all is we", 90) + "all is well" + strings.Repeat(".", 50)
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
	good := head + body
	at := strings.Index(good, text)
	bad := strings.ReplaceAll(good, "well", "weak")
	missing := rejected("text missing")
	tests := []struct {
		name     string
		response string
		parts    []part
		want     ends // Stolen is set by the test
	}{
		{"in one segment", good, []part{{0, len(good), "PA"}}, ends{Answered: 1}},
		{"in the head", "HTTP/1.1 200 all is well\r\n\r\n", []part{{0, 28, "PA"}}, ends{Answered: 1}},
		{"over two segments", good, []part{{0, at + 5, "A"}, {at + 5, len(good), "PA"}}, ends{Answered: 1}},
		{"byte by byte", good[:at+11], bytewise(at + 11), ends{Answered: 1}},
		{"at the very end", good[:at+11], []part{{0, at + 11, "FPA"}}, ends{Answered: 1}},
		{"a segment again", good, []part{{0, 100, "A"}, {0, 100, "A"}, {100, len(good), "PA"}}, ends{Answered: 1}},
		{"segments that overlap", good, []part{{0, at + 3, "A"}, {at - 9, at + 8, "A"}, {at + 2, len(good), "PA"}}, ends{Answered: 1}},
		{"a gap, filled later", good, []part{{0, at + 3, "A"}, {at + 6, len(good), "PA"}, {at + 3, len(good), "PA"}}, ends{Answered: 1}},
		{"a gap is not read over", head + "all is " + "welcome", []part{{0, len(head) + 7, "A"}, {len(head) + 8, len(head) + 14, "A"}}, ends{Inflight: 1}},
		{"not in it", bad, []part{{0, len(bad), "A"}, {len(bad), len(bad), "FA"}}, missing},
		{"not in it, with the end", bad, []part{{0, len(bad), "FPA"}}, missing},
		{"not in it, and kept open", bad, []part{{0, len(bad), "PA"}}, missing},
		{"more to come", bad, []part{{0, len(bad) - 1, "PA"}}, ends{Inflight: 1}},
		{"closed before its end", bad, []part{{0, len(bad) - 1, "FPA"}}, rejected("truncated reply")},
		{"a SYN again in the middle", good, []part{{0, at + 3, "A"}, {-1, -1, "SA"}, {at + 3, len(good), "PA"}}, ends{Answered: 1}},
		{"the end before the rest", bad, []part{{0, at, "A"}, {len(bad), len(bad), "FA"}, {at, len(bad), "PA"}}, missing},
		{"the end before the rest, which never comes", bad, []part{{0, at, "A"}, {len(bad), len(bad), "FA"}}, ends{Inflight: 1}},
		{"reset in the middle", good, []part{{0, at, "A"}, {at, at, "RA"}}, rejected("rst")},
		{"in a response with a bad status", "HTTP/1.1 404 all is well\r\n\r\n", []part{{0, 28, "PA"}}, rejected("http 404")},
		{"after an interim response", "HTTP/1.1 100 Continue\r\n\r\n" + good, []part{{0, 25, "PA"}, {25, 25 + len(good), "PA"}}, ends{Answered: 1}},
	}
	v := mustOpen(t, Options{Timeout: time.Minute, Labels: []Label{{Name: "web", Answer: AnswerHTTP, Contains: text}}})
	iss := uint32(ourISS)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := mustEnds(t, v, 0)
			mustExpect(t, v, tcpKey, sent(0), 0)
			for _, p := range tt.parts {
				s := segment(theirISS+1+uint32(p.from), iss+1+request, p.flags)
				frame := mustReply(t, layers.IPProtocolTCP, s, gopacket.Payload(tt.response[max(p.from, 0):max(p.to, 0)]))
				if action := mustMatch(t, v, frame); action != steal {
					t.Fatalf("action %#x, want %#x", action, steal)
				}
			}
			tt.want.Stolen = uint64(len(tt.parts))
			if diff := cmp.Diff(tt.want, since(mustEnds(t, v, 0), before), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("ends (-want +got):\n%s", diff)
			}
			if err := v.match.Expectations.Delete(tcpKey); err != nil {
				t.Error(err)
			}
		})
	}
}

func bytewise(n int) []part {
	parts := []part{{0, 20, "A"}}
	for i := 20; i < n; i++ {
		parts = append(parts, part{i, i + 1, "PA"})
	}
	return parts
}

// TestContainsChanges: a text that a reload brings, or takes away.
func TestContainsChanges(t *testing.T) {
	label := func(text string) Label { return Label{Name: "web", Answer: AnswerHTTP, Contains: text} }
	v := mustOpen(t, Options{Timeout: time.Minute, Labels: []Label{label("")}})
	iss := uint32(ourISS)
	frame := mustReply(t, layers.IPProtocolTCP, segment(theirISS+1, iss+1+request, "FPA"), gopacket.Payload("HTTP/1.1 200 OK\r\n\r\none"))
	for _, step := range []struct {
		text string
		want ends
	}{
		{"", ends{Answered: 1, Stolen: 1}},
		{"two", ends{Answered: 1, Rejected: map[string]uint64{"text missing": 1}, Stolen: 2}},
		{"one", ends{Answered: 2, Rejected: map[string]uint64{"text missing": 1}, Stolen: 3}},
		{"", ends{Answered: 3, Rejected: map[string]uint64{"text missing": 1}, Stolen: 4}},
	} {
		if err := v.SetLabel(0, label(step.text)); err != nil {
			t.Fatal(err)
		}
		mustExpect(t, v, tcpKey, sent(0), 0)
		mustMatch(t, v, frame)
		if diff := cmp.Diff(step.want, mustEnds(t, v, 0), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("text %q: ends (-want +got):\n%s", step.text, diff)
		}
	}
	err := v.SetLabel(0, label(strings.Repeat("x", 256)))
	if want := `verify: label "web": text of 256 bytes that responses must hold: at most 255 are possible`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
