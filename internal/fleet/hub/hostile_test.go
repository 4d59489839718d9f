package hub_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/hub"
	"pacgan-appliance/internal/fleet/member"
)

func mustKey(t *testing.T, path string) nkeys.KeyPair {
	t.Helper()
	key, err := fleet.LoadKey(path)
	must(t, err)
	return key
}

// victim is a gateway with all that one does.
type victim struct {
	truth   string
	desired *member.Desired
	log     said

	mu  sync.Mutex
	did []string // what it was told to do and did
}

func (v *victim) done() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.did)
}

// mustVictim runs gateway b until the test ends.
func mustVictim(t *testing.T, s served, boss fleet.Voice) *victim {
	t.Helper()
	state := t.TempDir()
	v := &victim{truth: t.TempDir()}
	public, err := boss.Key.PublicKey()
	must(t, err)
	log := slog.New(slog.NewTextHandler(&v.log, nil))
	v.desired, err = member.OpenDesired(filepath.Join(state, "desired.json"), log)
	must(t, err)
	seed := filepath.Join(s.dir, "members", "b", "member.nk")
	g := &member.Gateway{
		Options: fleet.Options{URL: s.url, Name: "b", Key: seed, CA: filepath.Join(s.dir, hub.CAFile), Log: log},
		Key:     mustKey(t, seed), Hub: public, Truth: v.truth, State: state,
		Beat: func() (fleet.Beat, error) { return fleet.Beat{}, nil },
		Take: func(w member.Wish, fault error) { v.desired.Take(w, fault, func(member.Wish) error { return nil }) },
		Do: func(action string) (string, error) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.did = append(v.did, action)
			return "done", nil
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() { cancel(); must(t, <-ended) })
	return v
}

// intruder has the server write where its rights do not let it publish.
type intruder struct {
	c  *nats.Conn
	js jetstream.JetStream
	n  int
}

// byReply has what a message of its own says sent to a subject, as the answer to a direct get.
func (i *intruder) byReply(t *testing.T, subject string, header nats.Header, payload []byte) {
	t.Helper()
	own := i.put(t, header, payload)
	must(t, i.c.PublishRequest("$JS.API.DIRECT.GET.OBJ_"+fleet.DataBucket("a")+"."+own, subject, nil))
}

// byDelivery has it sent there by a consumer.
func (i *intruder) byDelivery(t *testing.T, subject string, header nats.Header, payload []byte) {
	t.Helper()
	own := i.put(t, header, payload)
	stream, name := "OBJ_"+fleet.DataBucket("a"), fmt.Sprintf("c%d", i.n)
	request, err := json.Marshal(map[string]any{"stream_name": stream, "config": map[string]any{
		"name": name, "deliver_subject": subject, "filter_subject": own, "ack_policy": "none", "deliver_policy": "all", "mem_storage": true, "num_replicas": 1,
	}})
	must(t, err)
	m, err := i.c.Request("$JS.API.CONSUMER.CREATE."+stream+"."+name+"."+own, request, time.Minute)
	must(t, err)
	if strings.Contains(string(m.Data), `"error"`) {
		t.Fatalf("consumer: %s", m.Data)
	}
}

// put has a message in its own bucket.
func (i *intruder) put(t *testing.T, header nats.Header, payload []byte) (subject string) {
	t.Helper()
	i.n++
	subject = fmt.Sprintf("$O.%s.M.m%d", fleet.DataBucket("a"), i.n)
	_, err := i.js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Header: header, Data: payload})
	must(t, err)
	return subject
}

// mustWrite writes by both ways, and wants the server to have done so.
func (i *intruder) mustWrite(t *testing.T, hub *nats.Conn, subject string, header nats.Header, payload []byte) {
	t.Helper()
	heard, err := hub.SubscribeSync(subject)
	must(t, err)
	must(t, hub.FlushTimeout(time.Minute))
	for _, write := range []func(*testing.T, string, nats.Header, []byte){i.byReply, i.byDelivery} {
		write(t, subject, header, payload)
		m, err := heard.NextMsg(time.Minute)
		if err != nil || !bytes.Equal(m.Data, payload) {
			t.Fatalf("the server has not written to %s: %v; there would be nothing to refuse", subject, err)
		}
	}
	must(t, heard.Unsubscribe())
}

// TestHostileMember: a member that is let in has the server write what it may not, and what it has heard, again: the
// gateway that it is aimed at refuses each, in one line, and nothing changes.
func TestHostileMember(t *testing.T) {
	s := mustServe(t)
	hc, boss, _ := s.connect(t, "hub")
	gc, g, _ := s.connect(t, "a")
	i := &intruder{c: gc, js: g}
	voice := s.voice(t, hc)
	v := mustVictim(t, s, voice)
	own := mustKey(t, filepath.Join(s.dir, "members", "a", "member.nk"))

	bucket, err := boss.KeyValue(t.Context(), fleet.DesiredBucket)
	must(t, err)
	set := func(config string) (revision uint64, value []byte) {
		t.Helper()
		revision, err := fleet.ChangeDesired(t.Context(), bucket, voice.Key, "b", func(d *fleet.Desired) bool { d.Config = config; return true })
		must(t, err)
		eventually(t, "it is not in force: "+config, func() bool { return v.desired.InForce().Revision == revision && v.desired.Refused() == nil })
		e, err := bucket.Get(t.Context(), "b")
		must(t, err)
		return revision, e.Value()
	}
	overheard, err := gc.SubscribeSync(fleet.ControlAll) // which is its right
	must(t, err)
	must(t, gc.FlushTimeout(time.Minute))
	tell := func(action string) []byte {
		t.Helper()
		eventually(t, "b does not answer", func() bool {
			told, err := fleet.Tell(t.Context(), voice, fleet.ControlAll, fleet.Control{Action: action, By: "test"}, []string{"b"}, 30*time.Second)
			must(t, err)
			return len(told.Replies) == 1 && told.Replies[0].Error == ""
		})
		m, err := overheard.NextMsg(time.Minute)
		must(t, err)
		return m.Data
	}
	_, oldWish := set("old")
	inForce, _ := set("new")
	resume, pause := tell(fleet.Resume), tell(fleet.Pause)
	did := v.done()

	seal := func(subject, text string) []byte {
		t.Helper()
		sealed, err := fleet.Seal(own, subject, []byte(text))
		must(t, err)
		return sealed
	}
	now := time.Now().UTC().Format(time.RFC3339Nano)
	wish, told := fmt.Sprintf(`{"serial":%d,"config":"bad"}`, time.Now().UnixNano()), `{"action":"resume","id":"x","time":"`+now+`"}`
	desired, control := fleet.KeySubject(fleet.DesiredBucket, "b"), fleet.ControlSubject("b")
	for _, tt := range []struct {
		name, subject string
		header        nats.Header
		payload       []byte
		want          string // the line
	}{
		{"a wish", desired, nil, []byte(wish), "what is desired is not the hub's: not signed by whom it should be: it has no signature"},
		{"a wish that it signed", desired, nil, seal(desired, wish), "what is desired is not the hub's: not signed by whom it should be: U"},
		{"an old wish", desired, nil, oldWish, "what is desired is old: the hub wrote it at "},
		{"a wish removed", desired, nats.Header{"KV-Operation": {"DEL"}}, []byte("x"), "what is desired was removed, by nobody knows whom"},
		{"a resume", control, nil, []byte(told), "on pacgan.control.b: not signed by whom it should be: it has no signature"},
		{"a resume that it signed", control, nil, seal(control, told), "on pacgan.control.b: not signed by whom it should be: U"},
		{"all's resume to one", control, nil, resume, "on pacgan.control.b: not signed by whom it should be: U"},
		{"an old resume", fleet.ControlAll, nil, resume, "is an old one again, which was obeyed"},
		{"an old pause", fleet.ControlAll, nil, pause, "is an old one again, which was obeyed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := strings.Count(v.log.String(), tt.want)
			i.mustWrite(t, hc, tt.subject, tt.header, tt.payload)
			eventually(t, "not refused: "+tt.want+"\n"+v.log.String(), func() bool { return strings.Count(v.log.String(), tt.want) > before })
			if w := v.desired.InForce(); w.Revision != inForce || w.Config != "new" || !slices.Equal(v.done(), did) {
				t.Errorf("in force %+v; did %q, before %q", w, v.done(), did)
			}
		})
	}
	tell(fleet.Pause) // the hub is still heard
	set("newer")
	i.testTruth(t, hc, boss, s, v, own)
}

// testTruth writes truth in b's name: it is left out and counted, and b's own arrives, once.
func (i *intruder) testTruth(t *testing.T, hc *nats.Conn, boss jetstream.JetStream, s served, v *victim, own nkeys.KeyPair) {
	public, err := mustKey(t, filepath.Join(s.dir, "members", "b", "member.nk")).PublicKey()
	must(t, err)
	var want bytes.Buffer
	write := func() {
		t.Helper()
		for range 100 {
			fmt.Fprintf(&want, "{\"n\":%d}\n", want.Len())
		}
		must(t, os.WriteFile(filepath.Join(v.truth, "00000001-20260102T030405Z.jsonl"), want.Bytes(), 0o600))
		var got bytes.Buffer
		eventually(t, "its truth does not arrive", func() bool {
			got.Reset()
			_, err := fleet.ExportTruth(t.Context(), boss, public, "b", &got)
			return err == nil && got.Len() >= want.Len()
		})
		if !bytes.Equal(want.Bytes(), got.Bytes()) {
			t.Errorf("the hub has %d bytes, the gateway %d, or others", got.Len(), want.Len())
		}
	}
	write()
	m, err := fleet.NewBatch(own, "b", fleet.Batch{Cursor: "00000001-20260102T030405Z.jsonl:0", Records: 1}, []byte("{}\n"))
	must(t, err)
	i.mustWrite(t, hc, fleet.TruthSubject("b"), nil, []byte("{\"forged\":1}\n"))
	i.mustWrite(t, hc, fleet.TruthSubject("b"), m.Header, m.Data)
	write()
	// What a consumer delivers is stored under the subject that it had before: there nobody looks for truth.
	if done, err := fleet.ExportTruth(t.Context(), boss, public, "b", &bytes.Buffer{}); err != nil || done.Foreign != 2 {
		t.Errorf("%d messages are counted as others', want 2; %v", done.Foreign, err)
	}
	if n := strings.Count(v.log.String(), "others write truth in this gateway's name"); n != 1 {
		t.Errorf("said %d times", n)
	}
}
