package quality

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/bounded"
)

func TestReadQuestion(t *testing.T) {
	two := query(t, 3, "first.", nil)
	two[5] = 2 // says two questions, has one
	tests := []struct {
		name string
		msg  []byte
		want question
		ok   bool
	}{
		{"dig", mustHex(t, digHex)[28:], question{0xbb70, "host3.lab.test.", 1}, true},
		{"letters of any case", query(t, 5, "WwW.Lab.", nil), question{5, "www.lab.", 1}, true},
		{"root", query(t, 5, ".", nil), question{5, ".", 1}, true},
		{"the first of two", two, question{3, "first.", 1}, true},
		{"nothing", nil, question{}, false},
		{"header only", make([]byte, 12), question{}, false},
		{"name cut", query(t, 5, "www.lab.", nil)[:18], question{}, false},
		{"name that points at itself", append(query(t, 5, ".", nil)[:12], 0xc0, 12, 0, 1, 0, 1), question{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := readQuestion(tt.msg)
			if ok != tt.ok {
				t.Errorf("ok = %t, want %t", ok, tt.ok)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(question{})); diff != "" {
				t.Errorf("readQuestion (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadRequest(t *testing.T) {
	tests := []struct {
		name string
		data string
		want request
		ok   bool
	}{
		{"whole", "GET /a?b=c HTTP/1.1\r\nHost: WWW.lab:8080\r\n\r\n", request{"www.lab:8080", "/a?b=c"}, true},
		{"with a body", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", request{"h", "/a"}, true},
		{"cut in a header", "GET /a HTTP/1.1\r\nHost: h\r\nUser-Age", request{"h", "/a"}, true},
		{"cut in the host", "GET /a HTTP/1.1\r\nHost: www.la", request{"", "/a"}, true},
		{"cut after the host", "GET /a HTTP/1.1\r\nHost: h\r\n", request{"h", "/a"}, true},
		{"cut between CR and LF", "GET /a HTTP/1.1\r\nHost: h\r", request{"", "/a"}, true},
		{"no host", "GET / HTTP/1.0\r\n\r\n", request{"", "/"}, true},
		{"absolute target", "GET http://h/a HTTP/1.1\r\n\r\n", request{"h", "http://h/a"}, true},
		{"cut in the first line", "GET /a HT", request{}, false},
		{"not a version", "GET /a HTXP/1.1\r\nHost: h\r\n\r\n", request{}, false},
		{"not a header", "GET /a HTTP/1.1\r\nHo st h\r\n\r\n", request{}, false},
		{"nothing", "", request{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := readRequest([]byte(tt.data))
			if ok != tt.ok {
				t.Errorf("ok = %t, want %t", ok, tt.ok)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(request{})); diff != "" {
				t.Errorf("readRequest (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLooksLikeHTTP(t *testing.T) {
	tests := []struct {
		data string
		want bool
	}{
		{"GET / HTTP/1.1\r\n", true},
		{"OPTIONS *", true},
		{"GET", false},
		{"get / HTTP/1.1", false},
		{"OK done", false},
		{"\x16\x03\x01\x02\x00", false},
		{"AVERYLONGWORDTHATISNOMETHOD / HTTP/1.1", false},
		{"", false},
	}
	for _, tt := range tests {
		if got := looksLikeHTTP([]byte(tt.data)); got != tt.want {
			t.Errorf("looksLikeHTTP(%q) = %t, want %t", tt.data, got, tt.want)
		}
	}
}

// FuzzPayload: any bytes are read or refused, the input stays as it is, and a
// request reads the same without the part that was left out.
func FuzzPayload(f *testing.F) {
	f.Add(mustHex(f, digHex)[28:])                             // a DNS message
	f.Add(mustHex(f, curlHex)[52:])                            // a whole request
	f.Add([]byte("GET /a HTTP/1.1\r\nHost: h\r\nUser-Age"))    // cut
	f.Add([]byte("GET /a HTTP/1.1\r\nTransfer-Encoding: x\n")) // refused by net/http
	f.Fuzz(func(t *testing.T, b []byte) {
		defer bounded.Input(t, len(b))()
		before := string(b)
		readQuestion(b)
		ednsCookies(b)
		r, ok := readRequest(b)
		if !ok && r != (request{}) {
			t.Errorf("refused, but gives %+v", r)
		}
		if string(b) != before {
			t.Error("input changed")
		}
	})
}
