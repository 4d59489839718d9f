package appliance

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/fleettest"
	"pacgan-appliance/internal/fleet/shelf"
	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/model"
)

// mustKey makes a member's NKey: its file, itself and its public key.
func mustKey(t *testing.T) (path string, key nkeys.KeyPair, public string) {
	t.Helper()
	key, err := nkeys.CreateUser()
	must(t, err)
	seed, err := key.Seed()
	must(t, err)
	path = filepath.Join(t.TempDir(), "member.nk")
	must(t, os.WriteFile(path, seed, 0o600))
	public, err = key.PublicKey()
	must(t, err)
	return path, key, public
}

// mustDataset puts the packets of a capture file into a store's directory, and that on the shelf of gateway a.
func mustDataset(t *testing.T, js jetstream.JetStream, key nkeys.KeyPair, packets int) *shelf.Manifest {
	t.Helper()
	dir := t.TempDir()
	pcap := filepath.Join(dir, "dns.pcap")
	mustWritePcap(t, pcap, packets, 0)
	captured, _, err := dataset.ReadFile(pcap, "dns")
	must(t, err)
	store, err := dataset.Open(dataset.Options{Dir: filepath.Join(dir, dataDir), Labels: []string{"dns"}, MaxBytes: dataset.MinMaxBytes})
	must(t, err)
	for _, p := range captured {
		must(t, store.Append(p))
	}
	must(t, store.Close())
	m, err := shelf.Put(t.Context(), js, fleet.DataBucket("a"), filepath.Join(dir, dataDir), dir, func(name string) bool { return strings.HasPrefix(name, "dns/") },
		shelf.Manifest{Kind: shelf.Dataset, Member: "a", Role: fleet.Gateway, Labels: []string{"dns"}}, key)
	must(t, err)
	return m
}

func mustPublish(t *testing.T, js jetstream.JetStream, key nkeys.KeyPair, w fleet.Work) {
	t.Helper()
	text, err := fleet.SealJSON(key, fleet.WorkSubject(w.Gateway), w)
	must(t, err)
	_, err = js.Publish(t.Context(), fleet.WorkSubject(w.Gateway), text)
	must(t, err)
}

// mustCandidates are the first n candidates that are announced.
func mustCandidates(t *testing.T, js jetstream.JetStream, public map[string]string, n int) []fleet.Candidate {
	t.Helper()
	consumer, err := js.OrderedConsumer(t.Context(), fleet.CandidateStream, jetstream.OrderedConsumerConfig{})
	must(t, err)
	var out []fleet.Candidate
	for len(out) < n {
		msg, err := consumer.Next(jetstream.FetchMaxWait(2 * time.Minute))
		must(t, err)
		var c fleet.Candidate
		_, text, _ := bytes.Cut(msg.Data(), []byte{'\n'})
		must(t, json.Unmarshal(text, &c))
		must(t, fleet.OpenJSON(public[c.Trainer], msg.Subject(), msg.Data(), &c))
		out = append(out, c)
	}
	return out
}

// TestTrainerKilled has two trainers, kills the one that got the work in the midst of it, and wants the other one's model,
// once. A work that comes to nothing is told of, and a trainer goes on after it.
func TestTrainerKilled(t *testing.T) {
	withoutRace(t)
	labtest.RequireRoot(t)
	t.Setenv(asProgram, "1")
	s, js := fleettest.Hub(t, "a")
	must(t, fleet.Setup(t.Context(), js, fleet.Bounds{TruthBytes: 1 << 20, DataBytes: 1 << 28, ModelBytes: 1 << 28, Replicas: 1, WorkAck: 2 * time.Second}, []string{"a"}))
	_, gateway, gatewayPublic := mustKey(t)
	states, publics, trust := map[string]string{}, map[string]string{}, []string{}
	running := map[string]*exec.Cmd{}
	for _, name := range []string{"t1", "t2"} {
		path, _, public := mustKey(t)
		states[name], publics[name], trust = filepath.Join(t.TempDir(), name), public, append(trust, public)
		running[name] = exec.Command("/proc/self/exe", "trainer", "--url", s.ClientURL(), "--name", name, "--key", path, "--trust", gatewayPublic, "--state", states[name])
		running[name].Stderr = t.Output()
		must(t, running[name].Start())
		t.Cleanup(func() { _ = running[name].Process.Kill(); _ = running[name].Wait() }) // one is dead by then
	}
	m := mustDataset(t, js, gateway, 3000)
	mustPublish(t, js, gateway, fleet.Work{ID: "w1", Gateway: "a", Data: m.SHA256, Recipe: "tree", Labels: []string{"dns"}, Seed: 7})
	killed := ""
	eventually(t, "a trainer at work", func() bool {
		for name, state := range states {
			if _, err := os.Stat(filepath.Join(state, "work", dataDir)); err == nil {
				killed = name
				must(t, running[name].Process.Kill())
				return true
			}
		}
		return false
	})
	got := mustCandidates(t, js, publics, 1)[0]
	if got.Work != "w1" || got.Error != "" || got.Trainer == killed || got.Gateway != "a" {
		t.Fatalf("%s was killed; candidate %+v", killed, got)
	}
	dir := filepath.Join(t.TempDir(), "m")
	man, err := shelf.Get(t.Context(), js, fleet.ModelBucket, shelf.Want{Kind: shelf.Model, SHA256: got.Model, Member: got.Trainer, Trust: trust}, dir, func(dir string) error {
		_, _, err := model.Load(dir)
		return err
	})
	must(t, err)
	if man.Work != "w1" || man.Gateway != "a" || strings.Join(man.Labels, ",") != "dns" {
		t.Errorf("manifest %+v", man)
	}
	eventually(t, "an empty directory", func() bool {
		_, err := os.Stat(filepath.Join(states[got.Trainer], "work"))
		return errors.Is(err, fs.ErrNotExist)
	})
	mustPublish(t, js, gateway, fleet.Work{ID: "w2", Gateway: "a", Data: m.SHA256, Recipe: "tree", Labels: []string{"http"}})
	mustCandidates(t, js, publics, 2) // a gateway's later work takes the place of an earlier one that nobody has begun
	_, stranger, _ := mustKey(t)
	mustPublish(t, js, gateway, fleet.Work{ID: "w3", Gateway: "a", Data: mustDataset(t, js, stranger, 3001).SHA256, Recipe: "tree", Labels: []string{"dns"}})
	all := mustCandidates(t, js, publics, 3)
	if want := `no label "http"`; !strings.Contains(all[1].Error, want) || all[1].Work != "w2" {
		t.Errorf("candidate %+v, want %s", all[1], want)
	}
	if want := "is not among the trusted keys"; !strings.Contains(all[2].Error, want) || all[2].Work != "w3" {
		t.Errorf("candidate %+v, want %s", all[2], want)
	}
}

func TestTrainerUsage(t *testing.T) {
	key, _, public := mustKey(t)
	args := func(name, trust, memory string) []string {
		return []string{"trainer", "--url", "nats://127.0.0.1:4", "--name", name, "--key", key, "--trust", trust, "--state", t.TempDir(), "--max-memory", memory}
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{args("Big", public, "1GiB"), `--name: name "Big": must be 1 to 32 of a-z, 0-9 and -, and not "all"`},
		{args("big", "UNONE", "1GiB"), `--trust "UNONE": must be the public NKey of a gateway, which begins with U`},
		{args("big", public, "much"), `must be a size such as "512MiB" or "2GiB"`},
		{[]string{"trainer", "--url", "nats://127.0.0.1:4"}, `required flag(s) "state" not set`},
		{[]string{"trainer", "--url", "nats://127.0.0.1:4", "--state", "s"}, `missing [key name trust]`},
		{[]string{"trainer", "--state", "s"}, `at least one of the flags in the group [config url] is required`},
		{[]string{"trainer", "--state", "s", "--config", "fleet.toml", "--ca", "ca.pem"}, `[ca config] were all set`},
	} {
		if got := run(t, tt.args...); got.Code != ExitUsage || !strings.Contains(got.Stderr, tt.want) || strings.Count(got.Stderr, "\n") != 1 {
			t.Errorf("exit code %d, %s\nwant %s", got.Code, got.Stderr, tt.want)
		}
	}
}
