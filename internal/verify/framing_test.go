package verify

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pacgan-appliance/internal/bounded"
)

// responseEnd does what the matcher does with the table: where a response ends, or -1 where that is open or has not
// come yet.
func responseEnd(table *matchAutomaton, data []byte) int {
	state, left := matchFramingFRAMING_HEAD, uint32(0)
	if status := string(data[min(9, len(data)):min(12, len(data))]); status == "204" || status == "304" {
		state = matchFramingFRAMING_BODILESS
	}
	for i := 0; i <= len(data); {
		switch state {
		case matchFramingFRAMING_DONE:
			return i
		case matchFramingFRAMING_OPEN:
			return -1
		case matchFramingFRAMING_BODY, matchFramingFRAMING_CHUNK:
			if i += int(left); i > len(data) {
				return -1
			}
			left = 0
			if state == matchFramingFRAMING_BODY {
				return i
			}
			state = matchFramingFRAMING_CHUNKED
			continue
		}
		if i == len(data) {
			return -1
		}
		state, left = framingStep(table, state, data[i], left)
		i++
	}
	return -1
}

func framingStep(table *matchAutomaton, state matchFraming, b byte, left uint32) (matchFraming, uint32) {
	next := matchFraming(table.Next[int(state)*256+int(b)])
	switch {
	case next == matchFramingFRAMING_DIGIT:
		left = left*10 + uint32(b&15)
	case next == matchFramingFRAMING_HEX && b&64 != 0:
		left = left*16 + uint32(b&7) + 9
	case next == matchFramingFRAMING_HEX:
		left = left*16 + uint32(b&15)
	case next == matchFramingFRAMING_SIZE:
		left = 0
	case next == matchFramingFRAMING_BODY && left == 0:
		next = matchFramingFRAMING_DONE
	case next == matchFramingFRAMING_CHUNK && left == 0:
		next = matchFramingFRAMING_TRAILER
	}
	if left >= 1<<27 {
		next = matchFramingFRAMING_OPEN
	}
	return next, left
}

// bodies are responses, whole and as net/http reads them, and where they end; -1: only the peer's closing says.
var bodies = []struct {
	name, response string
	end            int // from the end of response
}{
	{"length", "HTTP/1.1 200 OK\r\nServer: a\r\nContent-Length: 5\r\nContent-Type: a\r\n\r\nhello", 0},
	{"length, any case, blanks", "HTTP/1.1 200 OK\r\ncONTENT-lENGTH: \t 5 \r\n\r\nhello and more", 9},
	{"lines end with line feeds", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", 0},
	{"nothing", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nx", 1},
	{"a name that begins the same", "HTTP/1.1 200 OK\r\nContent-Lengthy: 3\r\nX-Content-Length: 2\r\nContent-Length: 5\r\n\r\nhello", 0},
	{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1A;a=\"b\"\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\nx", 1},
	{"chunks override a length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 0},
	{"a length after chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 0},
	{"trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n0\n\r\n0\r\nA: b\r\nC: d\r\n\r\n", 0},
	{"no body", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\nx", 1},
	{"until the peer closes", "HTTP/1.1 200 OK\r\nServer: a\r\n\r\nhello", -1},
	{"a coding that is not chunked", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked, gzip\r\n\r\nhello", -1},
	{"a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\nhello", -1},
	{"a length beyond all", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nhello", -1},
	{"a chunk without a size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n0\r\n\r\n", -1},
	{"cut in its head", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", -1},
	{"cut in its body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", -1},
}

func TestResponseEnd(t *testing.T) {
	table := framingTable()
	for _, tt := range bodies {
		t.Run(tt.name, func(t *testing.T) {
			want := -1
			if tt.end >= 0 {
				want = len(tt.response) - tt.end
			}
			if got := responseEnd(table, []byte(tt.response)); got != want {
				t.Errorf("ends at %d, want %d", got, want)
			}
		})
	}
}

// FuzzResponseEnd: what net/http reads as a whole response ends nowhere else.
// That its end is not seen is possible: then nothing is said of it in time.
func FuzzResponseEnd(f *testing.F) {
	for _, tt := range bodies {
		f.Add([]byte(tt.response))
	}
	table := framingTable()
	f.Fuzz(func(t *testing.T, data []byte) {
		defer bounded.Input(t, len(data))()
		if !bytes.HasPrefix(data, []byte("HTTP/1.1 2")) && !bytes.HasPrefix(data, []byte("HTTP/1.1 3")) {
			return // has its verdict, or is of a version without chunks
		}
		from := bytes.NewReader(data)
		buffered := bufio.NewReader(from)
		r, err := http.ReadResponse(buffered, nil)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		want := len(data) - from.Len() - buffered.Buffered()
		if got := responseEnd(table, data); got >= 0 && got != want {
			t.Errorf("%q ends at %d, want %d", data, got, want)
		}
	})
}

// disorder is what may become of segments on their way; in the end the peer has repeated every one that was lost.
func disorder(rng *rand.Rand, n int) []int {
	var order []int
	for i := range n {
		switch rng.IntN(6) {
		case 0: // lost
		case 1: // twice
			order = append(order, i, i)
		case 2: // before the one that it follows
			order = append(order, i)
			if k := len(order); k > 1 {
				order[k-1], order[k-2] = order[k-2], order[k-1]
			}
		default:
			order = append(order, i)
		}
	}
	return order
}

// TestResponsesInAnyOrder: whatever the network does to the segments of a response, its verdict is what it would be in
// order, or has not come yet; and once all have come in order, it has.
func TestResponsesInAnyOrder(t *testing.T) {
	if testing.Short() {
		t.Skip("long, of one goroutine: runs without the race detector")
	}
	const text = "all is well"
	v := mustOpen(t, Options{Timeout: time.Minute, Labels: []Label{{Name: "web", Answer: AnswerHTTP, Contains: text}}})
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 1))
		response, holds := randomResponse(rng, text)
		parts := randomParts(rng, len(response))
		want := rejected("text missing")
		if holds {
			want = ends{Answered: 1}
		}
		before := mustEnds(t, v, 0)
		mustExpect(t, v, tcpKey, sent(0), 0)
		send := func(i int) {
			iss := uint32(ourISS)
			p := parts[i]
			mustMatch(t, v, mustSegment(t, segment(theirISS+1+uint32(p.from), iss+1+request, p.flags), response[p.from:p.to]))
		}
		verdict := func() ends {
			got := since(mustEnds(t, v, 0), before)
			got.Stolen = 0
			return got
		}
		want.Stolen = 0
		order := disorder(rng, len(parts))
		for _, i := range order {
			send(i)
			if got := verdict(); got.Inflight == 0 && !cmp.Equal(want, got, cmpopts.EquateEmpty()) {
				t.Fatalf("seed %d: after %v of %v in %q: %+v, want %+v", seed, order, parts, response, got, want)
			}
		}
		for i := range parts {
			send(i)
		}
		if diff := cmp.Diff(want, verdict(), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("seed %d: %v in %q (-want +got):\n%s", seed, parts, response, diff)
		}
		if err := v.match.Expectations.Delete(tcpKey); err != nil {
			t.Fatal(err)
		}
	}
}

// randomResponse is one with a body of much that begins the text, and perhaps the text itself.
func randomResponse(rng *rand.Rand, text string) (response string, holds bool) {
	var body strings.Builder
	for range rng.IntN(60) {
		body.WriteString(text[:rng.IntN(len(text))])
	}
	if rng.IntN(2) == 0 {
		body.WriteString(text)
	}
	for range rng.IntN(30) {
		body.WriteString(text[:rng.IntN(len(text))])
	}
	b := body.String()
	switch rng.IntN(3) {
	case 0:
		b = fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(b), b)
	case 1:
		b = fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(b), b)
		if strings.Contains(b, "\r\n0\r\n\r\n0") { // an empty chunk ended it
			b = strings.TrimSuffix(b, "\r\n0\r\n\r\n")
		}
	default:
		b = "Server: a\r\n\r\n" + b
	}
	b = "HTTP/1.1 200 OK\r\n" + b
	return b, strings.Contains(b, text)
}

// randomParts cuts a response into segments, none so short that the status line is cut, and ends the last.
func randomParts(rng *rand.Rand, n int) []part {
	var parts []part
	for at := 0; at < n; {
		to := min(n, at+12+rng.IntN(90))
		parts = append(parts, part{at, to, "A"})
		at = to
	}
	return append(parts, part{n, n, "FA"})
}
