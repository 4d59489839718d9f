package quality

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// question is the first question of a DNS message.
type question struct {
	id    uint16
	name  string // lower case: names compare without it (RFC 4343)
	qtype uint16
}

// readQuestion reads a DNS message's id and first question; ok is false where
// there is none to read.
func readQuestion(msg []byte) (q question, ok bool) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil {
		return question{}, false
	}
	first, err := p.Question()
	if err != nil {
		return question{}, false
	}
	return question{h.ID, strings.ToLower(first.Name.String()), uint16(first.Type)}, true
}

// request is what an HTTP request asks for.
type request struct {
	host string // as the Host header or an absolute target gives it, lower case
	path string // the target as it stands in the request line, query included
}

// looksLikeHTTP tells a request from other TCP data by its first word: a
// method of capital letters and a space.
func looksLikeHTTP(data []byte) bool {
	const longestMethod = 16
	word, _, found := bytes.Cut(data[:min(len(data), longestMethod+1)], []byte(" "))
	if !found || len(word) < 3 {
		return false
	}
	for _, c := range word {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}

// readRequest reads an HTTP/1 request that may end anywhere after its first
// line: what follows the last whole header line is left out.
func readRequest(data []byte) (r request, ok bool) {
	eol := []byte("\r\n")
	head, _, whole := bytes.Cut(data, []byte("\r\n\r\n"))
	if !whole {
		last := bytes.LastIndex(data, eol)
		if last < 0 {
			return request{}, false
		}
		head = data[:last]
	}
	closed := append(bytes.Clone(head), "\r\n\r\n"...)
	parsed, err := http.ReadRequest(bufio.NewReaderSize(bytes.NewReader(closed), 16))
	if err != nil {
		return request{}, false
	}
	return request{strings.ToLower(parsed.Host), parsed.RequestURI}, true
}
