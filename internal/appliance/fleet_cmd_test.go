package appliance

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pacgan-appliance/internal/fleet"
)

// mustRunHub makes a hub with the program's own commands and runs it until the test ends.
func mustRunHub(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	must(t, l.Close())
	dir := filepath.Join(t.TempDir(), "hub")
	if r := run(t, "hub", "init", dir, "--host", "127.0.0.1", "--port", fmt.Sprint(port), "--gateway", "a", "--gateway", "b", "--trainer", "t"); r.Code != ExitDone {
		t.Fatalf("%+v", r)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		p := Program{Version: "test", Stdout: io.Discard, Stderr: io.Discard}
		ended <- p.Run(ctx, []string{"hub", "--config", filepath.Join(dir, "hub.conf"), "--truth", "64MiB", "--models", "8MiB", "--data", "8MiB"})
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != ExitDone {
			t.Errorf("hub: exit code %d", code)
		}
	})
	eventually(t, "the hub is not ready", func() bool { return run(t, "fleet", "list", "--hub", dir).Code == ExitDone })
	return dir
}

// mustJoin connects a member with the key that hub init made for it.
func mustJoin(t *testing.T, dir, name string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	url, err := os.ReadFile(filepath.Join(dir, "url"))
	must(t, err)
	member := filepath.Join(dir, "members", name)
	c, err := fleet.Connect(fleet.Options{URL: strings.TrimSpace(string(url)), Name: name, Key: filepath.Join(member, "member.nk"), CA: filepath.Join(member, "ca.pem"), Once: true, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(c.Close)
	js, err := jetstream.New(c)
	must(t, err)
	return c, js
}

func mustBeat(t *testing.T, dir string, js jetstream.JetStream, b fleet.Beat) {
	t.Helper()
	key, err := fleet.LoadKey(filepath.Join(dir, "members", b.Name, "member.nk"))
	must(t, err)
	subject := fleet.KeySubject(fleet.BeatBucket, b.Name)
	text, err := fleet.SealJSON(key, subject, b)
	must(t, err)
	_, err = js.Publish(t.Context(), subject, text)
	must(t, err)
}

// TestFleetCommands steers a gateway through a hub, each by its own key and the program's own commands.
func TestFleetCommands(t *testing.T) {
	dir := mustRunHub(t)
	c, js := mustJoin(t, dir, "a")
	_, trainer := mustJoin(t, dir, "t")
	beat := fleet.Beat{Name: "a", Role: fleet.Gateway, State: "injecting", Rate: 500, Model: "m1", Labels: []fleet.LabelBeat{{Name: "dns", Generated: 1100, Inflight: 50, Answered: 900, Unasked: 50}}}
	mustBeat(t, dir, js, beat)
	mustBeat(t, dir, trainer, fleet.Beat{Name: "t", Role: fleet.Trainer, State: "idle"})

	r := run(t, "fleet", "list", "--hub", dir)
	for _, want := range []string{"90.00% of 1,000", "500/s", "injecting", "m1", "trainer", "idle"} {
		if r.Code != ExitDone || !strings.Contains(r.Stdout, want) {
			t.Errorf("fleet list lacks %q: %+v", want, r)
		}
	}

	r = run(t, "fleet", "pause", "--hub", dir)
	if r.Code != ExitFailed || !strings.Contains(r.Stderr, "no answer within 1s from a") {
		t.Errorf("a gateway that does not answer: %+v", r)
	}
	key, err := fleet.LoadKey(filepath.Join(dir, "members", "a", "member.nk"))
	must(t, err)
	answer := func(m *nats.Msg) {
		sealed, err := fleet.Seal(key, m.Reply, []byte(`{"gateway":"a","message":"paused"}`))
		if err == nil {
			err = m.Respond(sealed)
		}
		if err != nil {
			t.Error(err)
		}
	}
	for _, subject := range []string{fleet.ControlAll, fleet.ControlSubject("a")} {
		_, err := c.Subscribe(subject, answer)
		must(t, err)
	}
	must(t, c.FlushTimeout(time.Minute))
	for _, args := range [][]string{{"fleet", "pause", "--hub", dir}, {"fleet", "resume", "a", "--hub", dir}} {
		if r := run(t, args...); r.Code != ExitDone || r.Stdout != "a: paused\n" {
			t.Errorf("%v: %+v", args, r)
		}
	}
	if r := run(t, "fleet", "pause", "b", "--hub", dir); r.Code != ExitFailed || !strings.Contains(r.Stderr, "from b") {
		t.Errorf("a gateway that is not there: %+v", r)
	}
	testFleetSet(t, dir, js, beat)
	testFleetTruth(t, dir, js)
}

// testFleetSet has a gateway take a revision, and refuse one.
func testFleetSet(t *testing.T, dir string, js jetstream.JetStream, beat fleet.Beat) {
	desired, err := js.KeyValue(t.Context(), fleet.DesiredBucket)
	must(t, err)
	hubKey, err := fleet.LoadKey(filepath.Join(dir, "hub.nk"))
	must(t, err)
	watch, err := desired.Watch(t.Context(), "a", jetstream.UpdatesOnly())
	must(t, err)
	defer watch.Stop()
	file := mustWrite(t, filepath.Join(t.TempDir(), "slow.toml"), "[inject]\nrate = 5\n")
	done := make(chan result, 1)
	for _, refuse := range []bool{false, true} {
		go func() { done <- run(t, "fleet", "set", "a", file, "--hub", dir) }()
		e := <-watch.Updates()
		d, err := fleet.OpenDesired(mustPublic(hubKey), "a", e.Value())
		must(t, err)
		if d.Config != "[inject]\nrate = 5\n" {
			t.Errorf("desired %+v", d)
		}
		want := result{Code: ExitDone, Stdout: fmt.Sprintf("a: revision %d is in force\n", e.Revision())}
		if refuse {
			beat.Refused = &fleet.Refusal{Revision: e.Revision(), Reason: "it widens safety.allow"}
			want = result{Code: ExitFailed, Stderr: fmt.Sprintf("pacgan-appliance: a refuses revision %d: it widens safety.allow\n", e.Revision())}
		} else {
			beat.Applied = e.Revision()
		}
		mustBeat(t, dir, js, beat)
		if got := <-done; got != want {
			t.Errorf("fleet set: %+v, want %+v", got, want)
		}
	}
}

// testFleetTruth wants a gateway's records as it sent them, and what is none of its left out and said.
func testFleetTruth(t *testing.T, dir string, js jetstream.JetStream) {
	var want string
	key, err := fleet.LoadKey(filepath.Join(dir, "members", "a", "member.nk"))
	must(t, err)
	var last uint64
	var old *nats.Msg
	for i := range 3 {
		m, err := fleet.NewBatch(key, "a", fleet.Batch{Cursor: fmt.Sprintf("truth.jsonl:%d", 8*(i+1)), Records: 1, After: last}, fmt.Appendf(nil, "{\"n\":%d}\n", i))
		must(t, err)
		ack, err := js.PublishMsg(t.Context(), m)
		must(t, err)
		last, old = ack.Sequence, m
		want += string(m.Data)
	}
	out := filepath.Join(t.TempDir(), "a.jsonl")
	if r := run(t, "fleet", "truth", "a", "--hub", dir, "--out", out); r.Code != ExitDone {
		t.Errorf("%+v", r)
	}
	if got, err := os.ReadFile(out); err != nil || string(got) != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	_, err = js.Publish(t.Context(), fleet.TruthSubject("a"), []byte("junk"))
	must(t, err)
	_, err = js.PublishMsg(t.Context(), old) // again
	must(t, err)
	if r := run(t, "fleet", "truth", "a", "--hub", dir); r.Code != ExitFailed || r.Stdout != want || !strings.Contains(r.Stderr, "2 messages under pacgan.truth.a are not as a signed them") {
		t.Errorf("%+v", r)
	}
}

// TestFleetCommandErrors pins what is said of a command line that cannot be meant, or of a server that is not there.
func TestFleetCommandErrors(t *testing.T) {
	key, _, _ := mustKey(t)
	const accounts = "../../packaging/fleet/accounts.conf"
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"fleet", "list"}, ExitUsage, "which fleet: give --hub DIR, or --url with --key, --ca and --accounts"},
		{[]string{"fleet", "list", "--hub", "x", "--url", "y"}, ExitUsage, "give it or them"},
		{[]string{"fleet", "list", "--hub", "nowhere"}, ExitFailed, "nowhere was not made by hub init"},
		{[]string{"fleet", "list", "--url", "nats://127.0.0.1:1"}, ExitUsage, "--url with --key, --ca and --accounts"},
		{[]string{"fleet", "list", "--url", "nats://127.0.0.1:1", "--key", key, "--accounts", accounts}, ExitFailed, `fleet.url "nats://127.0.0.1:1"`},
		{[]string{"fleet", "pause", "--url", "nats://127.0.0.1:1", "--key", key}, ExitUsage, "--accounts is missing"},
		{[]string{"fleet", "truth", "A", "--url", "nats://127.0.0.1:1"}, ExitUsage, `name "A"`},
		{[]string{"hub", "--url", "nats://127.0.0.1:1"}, ExitUsage, "--key is missing"},
		{[]string{"hub", "--url", "nats://127.0.0.1:1", "--key", key}, ExitUsage, "--accounts is missing"},
		{[]string{"hub"}, ExitUsage, "config"},
		{[]string{"hub", "--config", "x", "--replicas", "7"}, ExitUsage, "--replicas 7: must be 1 to 5"},
		{[]string{"hub", "add", "printer", "p", "nowhere"}, ExitUsage, `role "printer": must be gateway or trainer`},
		{[]string{"hub", "add", "gateway", "p", "nowhere"}, ExitFailed, "nowhere was not made by hub init"},
	} {
		if r := run(t, test.args...); r.Code != test.code || !strings.Contains(r.Stderr, test.want) || strings.Count(r.Stderr, "\n") != 1 {
			t.Errorf("%v: %+v, want %d and one line with %q", test.args, r, test.code, test.want)
		}
	}
}
