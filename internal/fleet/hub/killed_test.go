package hub_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/hub"
	"pacgan-appliance/internal/fleet/member"
)

// hubConfig is the environment of a child that is a hub and nothing else; hubReplicas, on how many servers.
const (
	hubConfig   = "PACGAN_TEST_HUB_CONFIG"
	hubReplicas = "PACGAN_TEST_HUB_REPLICAS"
)

func TestMain(m *testing.M) {
	config := os.Getenv(hubConfig)
	if config == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	b := small
	_, err := fmt.Sscan(os.Getenv(hubReplicas), &b.Replicas)
	if err == nil {
		key := filepath.Join(filepath.Dir(config), hub.KeyFile)
		log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
		err = hub.Run(ctx, hub.Options{Config: config, Server: fleet.Options{Name: "hub", Key: key, Log: log}, Bounds: b})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// node is a hub's process.
type node struct {
	name, config string
	replicas     int
	cmd          *exec.Cmd
}

// start runs the process, again where it was killed.
func (n *node) start(t *testing.T) {
	t.Helper()
	n.cmd = exec.Command("/proc/self/exe")
	n.cmd.Env = append(os.Environ(), hubConfig+"="+n.config, fmt.Sprintf("%s=%d", hubReplicas, n.replicas))
	n.cmd.Stderr = t.Output()
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, n.cmd.Start())
	cmd := n.cmd
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // it may have ended by itself
			_ = cmd.Wait()         // killed
		}
	})
}

// kill ends it with SIGKILL: nothing is written any more.
func (n *node) kill(t *testing.T) {
	t.Helper()
	must(t, n.cmd.Process.Kill())
	_ = n.cmd.Wait() // killed
}

// mustNodes makes and starts the hubs of a cluster of n, or one without, with the accounts that Init makes.
func mustNodes(t *testing.T, n int) (nodes map[string]*node, fleetDir, url string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "hub")
	must(t, hub.Init(dir, hub.Plan{Hosts: []string{"127.0.0.1"}, Port: 1, Gateways: []string{"a"}}))
	var urls, routes []string
	var peers []int
	for range n {
		peers = append(peers, freePort(t))
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", peers[len(peers)-1]))
	}
	nodes = map[string]*node{}
	for i := range n {
		name, port := fmt.Sprintf("n%d", i+1), freePort(t)
		text := fmt.Sprintf("listen: \"127.0.0.1:%d\"\nserver_name: %s\njetstream { store_dir: %q, sync_interval: always }\ninclude accounts.conf\n", port, name, filepath.Join(dir, name))
		if n > 1 {
			text += fmt.Sprintf("cluster { name: lab, listen: \"127.0.0.1:%d\", routes: [%s] }\n", peers[i], strings.Join(routes, ", "))
		}
		nodes[name] = &node{name: name, config: filepath.Join(dir, name+".conf"), replicas: n}
		must(t, os.WriteFile(nodes[name].config, []byte(text), 0o600))
		nodes[name].start(t)
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	return nodes, dir, strings.Join(urls, ",")
}

// mustMember is a member's connection that comes back, with its own key.
func mustMember(t *testing.T, name, key, url string) *stream {
	t.Helper()
	c, err := fleet.Connect(fleet.Options{URL: url, Name: name, Key: key, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(c.Close)
	js, err := jetstream.New(c)
	must(t, err)
	return &stream{js}
}

// stream asks the hub about truth.
type stream struct{ jetstream.JetStream }

// info is nil while nobody answers.
func (s *stream) info(t *testing.T) *jetstream.StreamInfo {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	truths, err := s.Stream(ctx, fleet.TruthStream)
	if err != nil {
		return nil
	}
	return truths.CachedInfo()
}

// TestKilledInMidRun kills with -9 a hub to which a gateway hands its truth, the only one or the one that leads the
// cluster's stream, and starts it again: the hub then has the gateway's truth to the byte, nothing lost and nothing twice.
func TestKilledInMidRun(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprintf("of %d", n), func(t *testing.T) {
			nodes, dir, url := mustNodes(t, n)
			boss := mustMember(t, "hub", filepath.Join(dir, hub.KeyFile), url)
			eventually(t, "no stream", func() bool { return boss.info(t) != nil })

			truths := filepath.Join(t.TempDir(), "truth")
			must(t, os.Mkdir(truths, 0o700))
			file, err := os.Create(filepath.Join(truths, "00000001-20260102T030405Z.jsonl"))
			must(t, err)
			defer file.Close()
			key, err := fleet.LoadKey(filepath.Join(dir, "members", "a", "member.nk"))
			must(t, err)
			public, err := key.PublicKey()
			must(t, err)
			g := mustMember(t, "a", filepath.Join(dir, "members", "a", "member.nk"), url)
			u := member.NewUploader(g.Conn(), g, "a", key, truths, filepath.Join(t.TempDir(), "cursor"), slog.New(slog.DiscardHandler))
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- u.Run(ctx) }()
			defer func() { cancel(); must(t, <-ended) }()

			var want bytes.Buffer
			const records = 20_000 // a part before the kill, one while the server is away, one after it is back
			part := func() {
				var text bytes.Buffer
				for range records {
					fmt.Fprintf(&text, `{"n":%d,"rest":"%0200d"}`+"\n", want.Len()+text.Len(), 0)
				}
				want.Write(text.Bytes())
				_, err := file.Write(text.Bytes())
				must(t, err)
			}
			part()
			eventually(t, "nothing arrives", func() bool { return u.Spool().Sent > 0 })
			victim := nodes["n1"]
			if info := boss.info(t); info != nil && info.Cluster != nil && n > 1 {
				victim = nodes[info.Cluster.Leader]
			}
			sent := u.Spool().Sent
			victim.kill(t)
			part()
			if n > 1 { // the two others go on
				eventually(t, "the cluster does not go on without its leader", func() bool { return u.Spool().Sent > sent+records/2 })
			}
			victim.start(t)
			part()
			var got bytes.Buffer
			eventually(t, "not all arrives", func() bool {
				got.Reset()
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				_, err := fleet.ExportTruth(ctx, boss, public, "a", &got)
				return err == nil && got.Len() >= want.Len()
			})
			if sha256.Sum256(got.Bytes()) != sha256.Sum256(want.Bytes()) {
				t.Errorf("the hub has %d bytes in %d lines, the gateway %d in %d, or others", got.Len(), bytes.Count(got.Bytes(), []byte("\n")), want.Len(), 3*records)
			}
			t.Logf("%d records, killed %s after %d", 3*records, victim.name, sent)
		})
	}
}
