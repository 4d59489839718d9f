package inject_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/inject"
)

// TestLongRequests sends requests of several segments, each of which the
// server has to have whole to answer.
func TestLongRequests(t *testing.T) {
	n := newNetwork(t, networkOptions{})
	startHTTP(t, n.servers, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || strings.Trim(string(body), "ab") != "" || int64(len(body)) != r.ContentLength {
			http.Error(w, "not what was sent", http.StatusTeapot)
		}
	}))
	var list []labelled
	for i, size := range []int{1300, 1400, 1461, 3000, 10_000, 60_000} {
		body := strings.Repeat("a", size/2) + strings.Repeat("b", size-size/2)
		request := fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		list = append(list, mustRequest(t, uint16(30000+i), request))
	}
	got := n.inject(t, list, inject.RunOptions{Rate: 50})[web]
	total := uint64(len(list))
	want := account{Label: "http", Generated: total, Answered: total, OnWire: total}
	if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	n.checkNoConnectionIsLeft(t)
}
