package inject_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/inject"
)

func TestPingsAreAnsweredByTheKernel(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine inject.Engine) {
		n := newNetwork(t, networkOptions{engine: engine})
		got := n.inject(t, pings(t, 2000, pingServer), inject.RunOptions{Rate: 5000})[ping]
		want := account{Label: "ping", Generated: 2000, Answered: 2000, OnWire: 2000}
		if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
			t.Errorf("account (-want +got):\n%s", diff)
		}
	})
}

func TestQueriesAreAnswered(t *testing.T) {
	n := newNetwork(t, networkOptions{})
	server := startDNS(t, n.servers, "www.lab.test", "mail.lab.test", "WWW.lab.TEST")
	var list []labelled
	for i := range 1000 {
		name := []string{"www.lab.test", "mail.lab.test", "gone.lab.test", "WWW.lab.TEST"}[i%4]
		list = append(list, mustQuery(t, uint16(i*7), uint16(20000+i), name))
	}
	got := n.inject(t, list, inject.RunOptions{Rate: 2000})[dns]
	want := account{Label: "dns", Generated: 1000, Answered: 750, OnWire: 1000, Rejected: map[string]uint64{"nxdomain": 250}}
	if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	if rate := got.success().Rate; rate != 0.75 {
		t.Errorf("success rate %v, want 0.75", rate)
	}
	if q := server.queries.Load(); q != 1000 {
		t.Errorf("the server saw %d queries, want 1000", q)
	}
}

func TestRequestsAreAnswered(t *testing.T) {
	n := newNetwork(t, networkOptions{})
	var requests atomic.Uint64
	startHTTP(t, n.servers, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.URL.Path == "/missing" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintln(w, "hello")
	}))
	var list []labelled
	for i := range 1000 {
		path := "/"
		if i%10 == 0 {
			path = "/missing"
		}
		list = append(list, mustRequest(t, uint16(20000+i), "GET "+path+" HTTP/1.1\r\nHost: www.lab.test\r\n\r\n"))
	}
	got := n.inject(t, list, inject.RunOptions{Rate: 1000})[web]
	want := account{Label: "http", Generated: 1000, Answered: 900, OnWire: 1000, Rejected: map[string]uint64{"http 404": 100}}
	if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	if r := requests.Load(); r != 1000 {
		t.Errorf("the server saw %d requests, want 1000", r)
	}
}
