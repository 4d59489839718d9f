package member

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pacgan-appliance/internal/bounded"
	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/fleettest"
)

var quiet = slog.New(slog.DiscardHandler)

// background runs a part until the test's end, or until stop.
func background(tb testing.TB, run func(context.Context) error) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	ended := false
	stop = func() {
		cancel()
		if !ended {
			ended = true
			must(tb, <-done)
		}
	}
	tb.Cleanup(stop)
	return stop
}

// heard is a call of Watch's.
type heard struct {
	Wish  Wish
	Fault bool
}

func mustHear(t *testing.T, wishes <-chan heard, want heard) {
	t.Helper()
	select {
	case got := <-wishes:
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("heard (-want +got):\n%s", diff)
		}
	case <-time.After(2 * time.Minute):
		t.Fatalf("not heard: %+v", want)
	}
}

// TestWatch follows what is desired through changes, nonsense, removal and a hub that goes and comes back.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	s, js := mustHub(t, dir, 0)
	port := s.Addr().(*netTCPAddr).Port
	c := mustConnect(t, s.ClientURL(), "a")
	kv, err := js.KeyValue(t.Context(), fleet.DesiredBucket)
	must(t, err)
	put := func(key, text string) uint64 {
		t.Helper()
		sealed, err := fleet.Seal(fleettest.Key(t, "hub"), fleet.KeySubject(fleet.DesiredBucket, key), []byte(text))
		must(t, err)
		revision, err := kv.Put(t.Context(), key, sealed)
		must(t, err)
		return revision
	}
	first := put("a", `{"config":"[inject]\nrate = 5.0\n"}`)
	wishes := make(chan heard, 10)
	background(t, func(ctx context.Context) error {
		return Watch(ctx, c.Conn, c.js, "a", fleettest.Public(t, "hub"), func(w Wish, fault error) { wishes <- heard{w, fault != nil} }, quiet)
	})
	mustHear(t, wishes, heard{Wish: Wish{first, fleet.Desired{Config: "[inject]\nrate = 5.0\n"}}})
	put("b", `{"model":"somebody else's"}`)
	mustHear(t, wishes, heard{Wish: Wish{put("a", `{"model":"x"}`), fleet.Desired{Model: "x"}}})
	mustHear(t, wishes, heard{Wish: Wish{Revision: put("a", `{"config":5}`)}, Fault: true})
	must(t, kv.Delete(t.Context(), "a"))
	mustHear(t, wishes, heard{Wish: Wish{Revision: 5}, Fault: true})

	s.Shutdown()
	s.WaitForShutdown()
	_, js = mustHub(t, dir, port)
	kv, err = js.KeyValue(t.Context(), fleet.DesiredBucket)
	must(t, err)
	last := put("a", `{"model":"y"}`)
	for w := (heard{}); w.Wish.Revision != last; { // after a new connection what is desired may come again
		select {
		case w = <-wishes:
		case <-time.After(2 * time.Minute):
			t.Fatal("not heard after the hub came back")
		}
	}
}

func TestBeat(t *testing.T) {
	s, js := mustHub(t, t.TempDir(), 0)
	c := mustConnect(t, s.ClientURL(), "a")
	beats := 0
	stop := background(t, func(ctx context.Context) error {
		return Beat(ctx, c.js, fleettest.Key(t, "a"), func() (fleet.Beat, error) {
			beats++
			if beats == 1 {
				return fleet.Beat{}, errors.New("not yet")
			}
			return fleet.Beat{Name: "a", Role: fleet.Gateway, Status: "well"}, nil
		}, quiet)
	})
	kv, err := js.KeyValue(t.Context(), fleet.BeatBucket)
	must(t, err)
	var got fleet.Beat
	eventually(t, "no beat", func() bool {
		e, err := kv.Get(t.Context(), "a")
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return false
		}
		must(t, err)
		got, err = fleet.OpenBeat(fleettest.Keyring(t), "a", e.Value())
		must(t, err)
		return true
	})
	stop()
	if got.Status != "well" || beats < 2 {
		t.Errorf("beat %+v after %d", got, beats)
	}
}

func TestControl(t *testing.T) {
	s, _ := mustHub(t, t.TempDir(), 0)
	c, hub := mustConnect(t, s.ClientURL(), "a"), mustConnect(t, s.ClientURL(), "hub")
	var did []string
	control := &Control{
		Name: "a", Key: fleettest.Key(t, "a"), Hub: fleettest.Public(t, "hub"), Path: filepath.Join(t.TempDir(), "control"), Log: quiet,
		Do: func(action string) (string, error) {
			did = append(did, action)
			if action == fleet.Resume {
				return "", errors.New("the kernel says no")
			}
			return action + "d", nil
		},
	}
	stop := background(t, func(ctx context.Context) error { return control.Run(ctx, c.Conn) })
	ask := func(subject, text string) (r fleet.ControlReply) {
		t.Helper()
		sealed, err := fleet.Seal(fleettest.Key(t, "hub"), subject, []byte(text))
		must(t, err)
		eventually(t, "no answer", func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			m, err := hub.RequestWithContext(ctx, subject, sealed)
			if err != nil {
				return false // it does not listen yet
			}
			answer, err := fleet.Open(fleettest.Public(t, "a"), m.Subject, m.Data)
			must(t, err)
			must(t, json.Unmarshal(answer, &r))
			return true
		})
		return r
	}
	now := time.Now().UTC().Format(time.RFC3339Nano)
	later := time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano)
	for _, tt := range []struct {
		subject, text string
		want          fleet.ControlReply
	}{
		{fleet.ControlAll, `{"action":"pause","by":"test","id":"1","time":"` + now + `"}`, fleet.ControlReply{Gateway: "a", Message: "paused"}},
		{fleet.ControlSubject("a"), `{"action":"resume","id":"2","time":"` + later + `"}`, fleet.ControlReply{Gateway: "a", Error: "the kernel says no"}},
		{fleet.ControlAll, `{"action":"reboot"}`, fleet.ControlReply{Gateway: "a", Error: `action "reboot": must be "pause" or "resume"`}},
		{fleet.ControlAll, `pause`, fleet.ControlReply{Gateway: "a", Error: "the request is none: invalid character 'p' looking for beginning of value"}},
	} {
		if diff := cmp.Diff(tt.want, ask(tt.subject, tt.text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.text, diff)
		}
	}
	stop()
	if diff := cmp.Diff([]string{"pause", "resume"}, did); diff != "" {
		t.Errorf("did (-want +got):\n%s", diff)
	}
}

// TestGatewayWithoutHub: a hub that cannot be reached, and one whose name no name server knows, hold nothing up.
func TestGatewayWithoutHub(t *testing.T) {
	for _, url := range []string{"nats://127.0.0.1:1", "nats://192.0.2.1:4222", "nats://hub.invalid:4222"} {
		g := &Gateway{
			Options: fleet.Options{URL: url, Name: "a", Log: quiet}, Key: fleettest.Key(t, "a"), Hub: fleettest.Public(t, "hub"), Truth: t.TempDir(), State: t.TempDir(),
			Beat: func() (fleet.Beat, error) { return fleet.Beat{}, nil }, Take: func(Wish, error) { t.Error("a wish") },
			Do: func(string) (string, error) { return "", nil },
		}
		stop := background(t, g.Run)
		must(t, os.WriteFile(filepath.Join(g.Truth, "00000001-20260102T030405Z.jsonl"), []byte("{}\n"), 0o644))
		if url == "nats://127.0.0.1:1" { // the others may still be at their first attempt
			eventually(t, "the spool is not counted", func() bool { return g.Spool().Bytes == 3 })
		}
		stop()
		if g.Connected() {
			t.Errorf("%s: connected", url)
		}
	}
}

// TestGateway wants all parts of a gateway to be there.
func TestGateway(t *testing.T) {
	s, js := mustHub(t, t.TempDir(), 0)
	var with atomic.Bool
	g := &Gateway{
		Options: fleet.Options{URL: s.ClientURL(), Name: "a", Log: quiet}, Key: fleettest.Key(t, "a"), Hub: fleettest.Public(t, "hub"), State: t.TempDir(),
		Beat: func() (fleet.Beat, error) { return fleet.Beat{Status: "well"}, nil }, Take: func(Wish, error) {},
		Do: func(string) (string, error) { return "", nil },
		With: func(ctx context.Context, _ *nats.Conn, _ jetstream.JetStream) error {
			with.Store(true)
			<-ctx.Done()
			return nil
		},
	}
	writer := &gateway{dir: t.TempDir()}
	writer.rotate()
	writer.records(t, 10)
	g.Truth = writer.dir
	stop := background(t, g.Run)
	kv, err := js.KeyValue(t.Context(), fleet.BeatBucket)
	must(t, err)
	eventually(t, "no beat with what was sent", func() bool {
		e, err := kv.Get(t.Context(), "a")
		if err != nil {
			return false
		}
		b, err := fleet.OpenBeat(fleettest.Keyring(t), "a", e.Value())
		must(t, err)
		return b.Name == "a" && b.Role == fleet.Gateway && b.Status == "well" && b.Spool.Sent == 10 && b.Spool.Bytes == 0 && g.Connected()
	})
	if !with.Load() {
		t.Error("what else is done with the connection is not")
	}
	stop()
}

// TestDesired: a wish holds as a whole or not at all, and over restarts.
func TestDesired(t *testing.T) {
	path := filepath.Join(t.TempDir(), "desired.json")
	open := func() *Desired {
		t.Helper()
		d, err := OpenDesired(path, quiet)
		must(t, err)
		return d
	}
	wish := func(n uint64, config string) Wish { return Wish{n, fleet.Desired{Serial: int64(n), Config: config}} }
	var tried []string
	put := func(bad ...string) func(Wish) error {
		return func(w Wish) error {
			tried = append(tried, w.Config)
			for _, b := range bad {
				if w.Config == b {
					return errors.New("bad " + b)
				}
			}
			return nil
		}
	}
	want := func(what string, d *Desired, inForce uint64, refused string, calls ...string) {
		t.Helper()
		var reason string
		if r := d.Refused(); r != nil {
			reason = r.Reason
		}
		if d.InForce().Revision != inForce || reason != refused || strings.Join(tried, ",") != strings.Join(calls, ",") {
			t.Errorf("%s: revision %d in force, refused %q, tried %q; want %d, %q, %q", what, d.InForce().Revision, reason, tried, inForce, refused, calls)
		}
		tried = nil
	}
	d := open()
	want("at first", d, 0, "")
	must(t, d.Again(put()))
	want("start without a wish", d, 0, "", "")
	d.Take(wish(3, "good"), nil, put())
	want("a good one", d, 3, "", "good")
	d.Take(wish(3, "good"), nil, put())
	want("again", d, 3, "")
	d.Take(wish(4, "wide"), nil, put("wide"))
	want("a bad one", d, 3, "bad wide", "wide")
	d.Take(Wish{Revision: 5}, errors.New("nonsense"), put())
	want("nonsense", d, 3, "nonsense")
	d = open()
	must(t, d.Again(put("wide")))
	want("nonsense, and a restart", d, 3, "nonsense", "wide", "good")
	d.Take(wish(6, "wide"), nil, put("wide"))
	want("a bad one after it", d, 3, "bad wide", "wide")
	old := wish(3, "good")
	old.Revision = 7
	d.Take(old, nil, put())
	const stale = "what is desired is old: the hub wrote it at 1970-01-01T00:00:00.000000003Z, and has written another since, at 1970-01-01T00:00:00.000000006Z; where it is the hub's clock that was wrong then, remove "
	want("an old one again", d, 3, stale+path)
	d = open()
	d.Take(old, nil, put())
	want("an old one again after a restart", d, 3, stale+path)
	latest := wish(6, "wide")
	latest.Revision = 8
	d.Take(latest, nil, put())
	want("the latest again", d, 3, "bad wide")
	d = open()
	want("after a restart", d, 3, "bad wide")
	must(t, d.Again(put("wide")))
	want("start with a bad one", d, 3, "bad wide", "wide", "good")
	must(t, d.Again(put("wide", "good")))
	want("own config narrower than both", d, 0, "bad wide", "wide", "good", "")
	if err := d.Again(put("wide", "")); err == nil {
		t.Error("own config is bad, and no error")
	}
	want("own config bad", d, 0, "bad wide", "wide", "")
	must(t, d.Again(put()))
	want("own config wide enough", d, 8, "", "wide")
	d.Take(wish(9, ""), nil, put())
	want("nothing is desired any more", d, 9, "", "")
	must(t, os.WriteFile(path, []byte("{"), 0o644))
	if _, err := OpenDesired(path, quiet); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("nonsense in the file: %v", err)
	}
}

// FuzzFromOutside: nothing that a hub says makes a gateway panic or exhausts it.
func FuzzFromOutside(f *testing.F) {
	f.Add([]byte(`{"action":"pause","by":"somebody"}`))
	f.Add([]byte(`{"config":"[inject]\nrate = 5.0\n","model":"abc","back":true}`))
	f.Add([]byte(`00000001-20260102T030405Z.jsonl:4096`))
	f.Add([]byte(`../../etc/passwd:0`))
	public := fleettest.Public(f, "hub")
	f.Fuzz(func(t *testing.T, text []byte) {
		defer bounded.Input(t, len(text))()
		if c, err := parseControl(text); err == nil && (c.Action != fleet.Pause && c.Action != fleet.Resume || len(c.By) > maxBy) {
			t.Errorf("control %+v", c)
		}
		if _, err := parseDesired(public, "a", text); err == nil && len(text) > maxDesired {
			t.Errorf("%d bytes are taken", len(text))
		}
		c, err := parseCursor(string(text))
		if err != nil {
			return
		}
		if c.String() != string(text) || c.offset < 0 || strings.ContainsAny(c.file, "/\x00") {
			t.Errorf("cursor %+v of %q", c, text)
		}
	})
}
