package hub_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/hub"
)

// served is a hub that runs from what Init made.
type served struct {
	dir, url string
	hangups  chan<- struct{}
}

// mustServe makes a hub for two gateways and two trainers and runs it.
func mustServe(t *testing.T) served {
	t.Helper()
	dir, port := filepath.Join(t.TempDir(), "hub"), freePort(t)
	must(t, hub.Init(dir, hub.Plan{Hosts: []string{"localhost", "127.0.0.1"}, Port: port, Gateways: []string{"a", "b"}, Trainers: []string{"t", "u"}}))
	h := mustHub(t, filepath.Join(dir, hub.ConfigFile))
	return served{dir, fmt.Sprintf("tls://localhost:%d", port), h}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// connect is a member's connection, and all that the server refused it.
func (s served) connect(t *testing.T, name string) (*nats.Conn, jetstream.JetStream, <-chan error) {
	t.Helper()
	key := filepath.Join(s.dir, "members", name, "member.nk")
	if name == "hub" {
		key = filepath.Join(s.dir, hub.KeyFile)
	}
	option, err := nats.NkeyOptionFromSeed(key)
	must(t, err)
	refused := make(chan error, 100)
	c, err := nats.Connect(s.url, option, nats.RootCAs(filepath.Join(s.dir, hub.CAFile)), nats.CustomInboxPrefix(fleet.InboxPrefix(name)),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	must(t, err)
	t.Cleanup(c.Close)
	js, err := jetstream.New(c)
	must(t, err)
	return c, js, refused
}

// voice is the hub's on a connection.
func (s served) voice(t *testing.T, c *nats.Conn) fleet.Voice {
	t.Helper()
	key, err := fleet.LoadKey(filepath.Join(s.dir, hub.KeyFile))
	must(t, err)
	members, err := hub.ReadMembers(filepath.Join(s.dir, hub.AccountsFile))
	must(t, err)
	return fleet.Voice{Conn: c, Key: key, Keys: members.Key}
}

// TestRightsSuffice does with a gateway's and a trainer's own keys all that they do, with nats.go's own calls.
func TestRightsSuffice(t *testing.T) {
	s := mustServe(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, boss, _ := s.connect(t, "hub")
	gc, g, gRefused := s.connect(t, "a")
	tc, tr, tRefused := s.connect(t, "t")

	desired, err := boss.KeyValue(ctx, fleet.DesiredBucket)
	must(t, err)
	_, err = desired.PutString(ctx, "a", "one")
	must(t, err)
	own, err := g.KeyValue(ctx, fleet.DesiredBucket)
	must(t, err)
	watch, err := own.Watch(ctx, "a")
	must(t, err)
	wantUpdate(t, watch, "one")
	_, err = desired.PutString(ctx, "a", "two")
	must(t, err)
	wantUpdate(t, watch, "two")
	if e, err := own.Get(ctx, "a"); err != nil || string(e.Value()) != "two" {
		t.Errorf("get: %v, %v", e, err)
	}
	must(t, watch.Stop())

	for i := range uint64(3) {
		m := nats.NewMsg(fleet.TruthSubject("a"))
		m.Data = fmt.Appendf(nil, "{\"n\":%d}\n", i)
		_, err := g.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(i))
		must(t, err)
	}
	pushed, err := gc.JetStream(nats.Context(ctx))
	must(t, err)
	sub, err := pushed.SubscribeSync(fleet.TruthSubject("a"), nats.BindStream(fleet.TruthStream), nats.OrderedConsumer(), nats.DeliverLast())
	must(t, err)
	last, err := sub.NextMsgWithContext(ctx)
	must(t, err)
	if string(last.Data) != "{\"n\":2}\n" {
		t.Errorf("last of its truth: %q", last.Data)
	}
	must(t, sub.Unsubscribe())
	for name, js := range map[string]jetstream.JetStream{"a": g, "t": tr} {
		beats, err := js.KeyValue(ctx, fleet.BeatBucket)
		must(t, err)
		_, err = beats.PutString(ctx, name, "{}")
		must(t, err)
	}
	mustPassObject(t, ctx, g, tr, fleet.DataBucket("a")) // larger than flow control's window
	mustPassObject(t, ctx, tr, g, fleet.ModelBucket)
	mine, err := g.ObjectStore(ctx, fleet.DataBucket("a"))
	must(t, err)
	must(t, mine.Delete(ctx, "object"))
	mustTrain(t, ctx, gc, g, tc, tr)
	mustAnswer(t, ctx, s, gc)
	for who, refused := range map[string]<-chan error{"gateway": gRefused, "trainer": tRefused} {
		for len(refused) > 0 {
			t.Errorf("%s: %v", who, <-refused)
		}
	}
}

func wantUpdate(t *testing.T, w jetstream.KeyWatcher, want string) {
	t.Helper()
	for {
		select {
		case e := <-w.Updates():
			if e == nil { // all that was there has been told
				continue
			}
			if string(e.Value()) != want {
				t.Errorf("update %q, want %q", e.Value(), want)
			}
			return
		case <-time.After(time.Minute):
			t.Fatalf("no update %q", want)
		}
	}
}

// mustPassObject has one member put an object, twice, and another list and read it.
func mustPassObject(t *testing.T, ctx context.Context, from, to jetstream.JetStream, bucket string) {
	t.Helper()
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB: many chunks
	writer, err := from.ObjectStore(ctx, bucket)
	must(t, err)
	for range 2 {
		_, err = writer.Put(ctx, jetstream.ObjectMeta{Name: "object"}, bytes.NewReader(want))
		must(t, err)
	}
	reader, err := to.ObjectStore(ctx, bucket)
	must(t, err)
	list, err := reader.List(ctx)
	must(t, err)
	if len(list) != 1 {
		t.Errorf("%s lists %d objects, want 1", bucket, len(list))
	}
	got, err := reader.GetBytes(ctx, "object")
	must(t, err)
	if !bytes.Equal(want, got) {
		t.Errorf("%s: %d bytes differ from the %d that were put", bucket, len(got), len(want))
	}
}

// mustTrain passes a work from a gateway to a trainer, and a candidate back.
func mustTrain(t *testing.T, ctx context.Context, gc *nats.Conn, g jetstream.JetStream, tc *nats.Conn, tr jetstream.JetStream) {
	t.Helper()
	_, err := tc.QueueSubscribe(fleet.TrainerSubject, "trainers", func(m *nats.Msg) { _ = m.Respond([]byte("here")) })
	must(t, err)
	must(t, tc.FlushWithContext(ctx))
	_, err = gc.RequestWithContext(ctx, fleet.TrainerSubject, nil)
	must(t, err)
	_, err = g.Publish(ctx, fleet.WorkSubject("a"), []byte("{}"))
	must(t, err)
	consumer, err := tr.Consumer(ctx, fleet.WorkStream, fleet.WorkConsumer)
	must(t, err)
	m, err := consumer.Next(jetstream.FetchMaxWait(30 * time.Second))
	must(t, err)
	must(t, m.InProgress())
	_, err = tr.Publish(ctx, fleet.CandidateSubject("t"), []byte("{}"))
	must(t, err)
	must(t, m.DoubleAck(ctx))
}

// mustAnswer has a gateway answer what the hub tells all.
func mustAnswer(t *testing.T, ctx context.Context, s served, gc *nats.Conn) {
	t.Helper()
	hc, _, _ := s.connect(t, "hub")
	key, err := fleet.LoadKey(filepath.Join(s.dir, "members", "a", "member.nk"))
	must(t, err)
	_, err = gc.Subscribe(fleet.ControlAll, func(m *nats.Msg) {
		answer, err := fleet.Seal(key, m.Reply, []byte(`{"gateway":"a"}`))
		if err == nil {
			err = m.Respond(answer)
		}
		if err != nil {
			t.Error(err)
		}
	})
	must(t, err)
	must(t, gc.FlushWithContext(ctx))
	told, err := fleet.Tell(ctx, s.voice(t, hc), fleet.ControlAll, fleet.Control{Action: fleet.Pause}, []string{"a"}, 30*time.Second)
	must(t, err)
	if len(told.Replies) != 1 {
		t.Errorf("told %+v, want one reply", told)
	}
}

// TestRightsEnd has a gateway and a trainer try what is others'; the server itself must refuse each.
func TestRightsEnd(t *testing.T) {
	s := mustServe(t)
	for member, subjects := range map[string][]string{
		"a": {
			"pacgan.truth.b", "pacgan.truth.a.b", "pacgan.work.b", "pacgan.candidate.a", "pacgan.control.a", "pacgan.control.b", "pacgan.control.all",
			"$KV.pacgan-desired.a", "$KV.pacgan-desired.b", "$KV.pacgan-beat.b", "$KV.pacgan-rollout.x", "$O.pacgan-data-b.M.x", "$O.pacgan-models.M.x", "$O.pacgan-models.C.x",
			"$JS.API.DIRECT.GET.KV_pacgan-desired.$KV.pacgan-desired.b", "$JS.API.DIRECT.GET.KV_pacgan-desired", "$JS.API.STREAM.MSG.GET.KV_pacgan-desired",
			"$JS.API.CONSUMER.CREATE.KV_pacgan-desired.x.$KV.pacgan-desired.b", "$JS.API.CONSUMER.CREATE.KV_pacgan-desired.x.$KV.pacgan-desired.>", "$JS.API.CONSUMER.CREATE.KV_pacgan-desired.x",
			"$JS.API.CONSUMER.CREATE.KV_pacgan-desired", "$JS.API.CONSUMER.DURABLE.CREATE.KV_pacgan-desired.x", "$JS.API.DIRECT.GET.PACGAN_TRUTH.pacgan.truth.b", "$JS.API.CONSUMER.CREATE.PACGAN_TRUTH.x",
			"$JS.API.STREAM.CREATE.MINE", "$JS.API.STREAM.UPDATE.PACGAN_TRUTH", "$JS.API.STREAM.DELETE.PACGAN_TRUTH", "$JS.API.STREAM.PURGE.PACGAN_TRUTH", "$JS.API.STREAM.PURGE.KV_pacgan-desired",
			"$JS.API.STREAM.PURGE.OBJ_pacgan-models", "$JS.API.STREAM.DELETE.OBJ_pacgan-data-a", "$JS.API.STREAM.MSG.DELETE.PACGAN_TRUTH", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST",
			"$JS.API.CONSUMER.MSG.NEXT.PACGAN_WORK.trainers", "$JS.API.CONSUMER.DELETE.PACGAN_WORK.trainers", "$JS.ACK.PACGAN_WORK.trainers.1.1.1.1.1", "$SYS.REQ.SERVER.PING", "_INBOX_b.x", "_INBOX_hub.x", "x",
		},
		"t": {
			"pacgan.truth.a", "pacgan.work.a", "pacgan.candidate.u", "pacgan.control.all", "$KV.pacgan-desired.a", "$KV.pacgan-beat.a", "$KV.pacgan-rollout.x", "$O.pacgan-data-a.M.x",
			"$JS.API.DIRECT.GET.PACGAN_TRUTH.pacgan.truth.a", "$JS.API.CONSUMER.CREATE.PACGAN_TRUTH.x", "$JS.API.CONSUMER.CREATE.PACGAN_TRUTH.x.pacgan.truth.a", "$JS.API.CONSUMER.CREATE.PACGAN_WORK.x.pacgan.work.a",
			"$JS.API.STREAM.PURGE.OBJ_pacgan-data-a", "$JS.API.STREAM.DELETE.OBJ_pacgan-models", "$JS.API.STREAM.CREATE.MINE", "$JS.API.CONSUMER.DELETE.PACGAN_WORK.trainers", "_INBOX_a.x", "x",
		},
	} {
		c, _, refused := s.connect(t, member)
		for _, subject := range subjects {
			must(t, c.Publish(subject, nil))
			wantRefused(t, c, refused, member+" writes to "+subject, subject)
		}
		for _, subject := range []string{"_INBOX_b.>", "_INBOX.>", ">", "pacgan.>", "pacgan.control.b", "pacgan.control.*", "pacgan.truth.*", "$KV.pacgan-desired.>", "$JS.>", "$SYS.>"} {
			_, err := c.Subscribe(subject, func(*nats.Msg) {})
			must(t, err)
			wantRefused(t, c, refused, member+" listens to "+subject, subject)
		}
	}
}

// wantRefused waits for the server's answer: it comes before the one to a ping after it.
func wantRefused(t *testing.T, c *nats.Conn, refused <-chan error, what, subject string) {
	t.Helper()
	must(t, c.FlushTimeout(time.Minute))
	select {
	case err := <-refused:
		if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), `"`+subject+`"`) {
			t.Errorf("%s: %v", what, err)
		}
	case <-time.After(5 * time.Second):
		t.Errorf("%s: not refused", what)
	}
}

// TestRollupRefused: the right to write one's own beat is none to remove the others'.
func TestRollupRefused(t *testing.T) {
	s := mustServe(t)
	_, g, _ := s.connect(t, "a")
	m := nats.NewMsg("$KV." + fleet.BeatBucket + ".a")
	m.Header.Set("Nats-Rollup", "all")
	if ack, err := g.PublishMsg(t.Context(), m); err == nil {
		t.Errorf("a rollup is taken: %+v", ack)
	}
}
