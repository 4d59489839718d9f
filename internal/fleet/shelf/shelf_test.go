package shelf_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/fleettest"
	"pacgan-appliance/internal/fleet/shelf"
)

// member is who puts things on shelves.
type member struct {
	key    nkeys.KeyPair
	public string
}

func mustMember(tb testing.TB) member {
	tb.Helper()
	key, err := nkeys.CreateUser()
	must(tb, err)
	public, err := key.PublicKey()
	must(tb, err)
	return member{key, public}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// mustFiles writes a directory of files.
func mustFiles(tb testing.TB, files map[string]string) string {
	tb.Helper()
	dir := tb.TempDir()
	for name, content := range files {
		must(tb, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700))
		must(tb, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return dir
}

// filesIn reads a directory back, with the modes of its files.
func filesIn(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	files := map[string]string{}
	must(tb, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		must(tb, err)
		info, err := e.Info()
		must(tb, err)
		if path == dir {
			return nil
		}
		if want := map[bool]fs.FileMode{true: 0o750, false: 0o640}[e.IsDir()]; info.Mode().Perm() != want {
			tb.Errorf("%s: mode %v, want %v", path, info.Mode(), want)
		}
		if !e.IsDir() {
			content, err := os.ReadFile(path)
			must(tb, err)
			name, err := filepath.Rel(dir, path)
			must(tb, err)
			files[name] = string(content)
		}
		return nil
	}))
	return files
}

func mustBeEmpty(tb testing.TB, dir string) {
	tb.Helper()
	left, err := os.ReadDir(dir)
	must(tb, err)
	if len(left) > 0 {
		tb.Errorf("left on the disk: %v", left)
	}
}

func TestPutAndGet(t *testing.T) {
	_, js := fleettest.Hub(t, "a")
	a := mustMember(t)
	large := strings.Repeat("packets", 100_000) // several chunks
	dir := mustFiles(t, map[string]string{"dns/0001.pcap": large, "dns/0002.pcap": "", "http/0001.pcap": "x", ".lock": "", "ping/0001.pcap": "no"})
	take := func(name string) bool { return strings.HasPrefix(name, "dns/") || strings.HasPrefix(name, "http/") }
	spool := t.TempDir()
	m, err := shelf.Put(t.Context(), js, fleet.DataBucket("a"), dir, spool, take, shelf.Manifest{Kind: shelf.Dataset, Member: "a", Role: fleet.Gateway, Labels: []string{"dns", "http"}}, a.key)
	must(t, err)
	again, err := shelf.Put(t.Context(), js, fleet.DataBucket("a"), dir, spool, take, shelf.Manifest{Kind: shelf.Dataset, Member: "a", Role: fleet.Gateway}, a.key)
	must(t, err)
	if m.SHA256 != again.SHA256 || m.Files != 3 {
		t.Errorf("%+v, and then %+v: want the same content of 3 files", m, again)
	}
	mustBeEmpty(t, spool)
	to := filepath.Join(t.TempDir(), "new", "data")
	want := shelf.Want{Kind: shelf.Dataset, SHA256: m.SHA256, Member: "a", Trust: []string{mustMember(t).public, a.public}}
	got, err := shelf.Get(t.Context(), js, fleet.DataBucket("a"), want, to, nil)
	must(t, err)
	if diff := cmp.Diff(again, got); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"dns/0001.pcap": large, "dns/0002.pcap": "", "http/0001.pcap": "x"}, filesIn(t, to)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	must(t, shelf.Remove(t.Context(), js, fleet.DataBucket("a"), m.SHA256))
	must(t, shelf.Remove(t.Context(), js, fleet.DataBucket("a"), m.SHA256))
	if _, err := shelf.Get(t.Context(), js, fleet.DataBucket("a"), want, to, nil); !errors.Is(err, jetstream.ErrObjectNotFound) {
		t.Errorf("after it was removed: %v", err)
	}
}

// entry is one of a tar that pack would not write.
type entry struct {
	header  tar.Header
	content string
}

func mustTar(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if e.header.Typeflag == 0 {
			e.header.Typeflag = tar.TypeReg
		}
		e.header.Size = int64(len(e.content))
		must(tb, w.WriteHeader(&e.header))
		_, err := w.Write([]byte(e.content))
		must(tb, err)
	}
	must(tb, w.Close())
	return b.Bytes()
}

// mustForge puts a tar on the shelf whose manifest its trusted member signed, as change then made it.
func mustForge(tb testing.TB, js jetstream.JetStream, tar []byte, key nkeys.KeyPair, change func(m *shelf.Manifest)) string {
	tb.Helper()
	sum := sha256.Sum256(tar)
	m := shelf.Manifest{Kind: shelf.Model, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(tar)), Files: 1, Member: "t"}
	if change != nil {
		change(&m)
	}
	metadata, err := m.Seal(key)
	must(tb, err)
	mustPut(tb, js, hex.EncodeToString(sum[:]), metadata, tar)
	return hex.EncodeToString(sum[:])
}

func mustPut(tb testing.TB, js jetstream.JetStream, name string, metadata map[string]string, content []byte) {
	tb.Helper()
	store, err := js.ObjectStore(tb.Context(), fleet.ModelBucket)
	must(tb, err)
	_, err = store.Put(tb.Context(), jetstream.ObjectMeta{Name: name, Metadata: metadata}, bytes.NewReader(content))
	must(tb, err)
}

// TestRefused takes objects that somebody made to harm. Each is refused with one line, and nothing is left on the disk.
func TestRefused(t *testing.T) {
	_, js := fleettest.Hub(t)
	trusted, stranger := mustMember(t), mustMember(t)
	good := mustTar(t, entry{header: tar.Header{Name: "manifest.json"}, content: "{}"})
	for i, tt := range []struct {
		name string
		put  func(t *testing.T) string // returns what is asked for
		want string                    // after "model SHA of bucket pacgan-models: refused: "
	}{
		{"another content", func(t *testing.T) string {
			return mustReplace(t, js, mustForge(t, js, good, trusted.key, nil), bytes.ToUpper(good))
		}, "its SHA-256 is"},
		{"a shorter content", func(t *testing.T) string {
			return mustReplace(t, js, mustForge(t, js, good, trusted.key, nil), good[:1024])
		},
			"it has 1024 bytes, its manifest says 2048"},
		{"another manifest", func(t *testing.T) string {
			sha := mustForge(t, js, good, trusted.key, nil)
			return mustChange(t, js, sha, func(metadata map[string]string) {
				metadata["pacgan-manifest"] = strings.Replace(metadata["pacgan-manifest"], `"member":"t"`, `"member":"u"`, 1)
			})
		}, "its manifest's signature is wrong: it was changed after it was signed"},
		{"another one's signature", func(t *testing.T) string {
			sha := mustForge(t, js, good, stranger.key, nil)
			return mustChange(t, js, sha, func(metadata map[string]string) { metadata["pacgan-signer"] = trusted.public })
		}, "its manifest's signature is wrong"},
		{"a stranger", func(t *testing.T) string { return mustForge(t, js, good, stranger.key, nil) }, `its signer "` + stranger.public + `" is not among the trusted keys`},
		{"nobody", func(t *testing.T) string {
			return mustChange(t, js, mustForge(t, js, good, trusted.key, nil), func(metadata map[string]string) { clear(metadata) })
		}, "it is not signed"},
		{"another kind", func(t *testing.T) string {
			return mustForge(t, js, good, trusted.key, func(m *shelf.Manifest) { m.Kind = shelf.Dataset })
		}, `it is a "dataset", not a model`},
		{"another member", func(t *testing.T) string {
			return mustForge(t, js, good, trusted.key, func(m *shelf.Manifest) { m.Member = "v" })
		}, `it is by "v", not by "t"`},
		{"an honest manifest of another object", func(t *testing.T) string {
			return mustForge(t, js, good, trusted.key, func(m *shelf.Manifest) { m.SHA256 = strings.Repeat("0", 64) })
		}, `its manifest is of "00000000"`},
		{"too large", func(t *testing.T) string {
			return mustForge(t, js, good, trusted.key, func(m *shelf.Manifest) { m.Bytes = 1 << 40 })
		}, "it has 1099511627776 bytes, at most 268435456 are taken"},
		{"too many files", func(t *testing.T) string {
			return mustForge(t, js, good, trusted.key, func(m *shelf.Manifest) { m.Files = 100 })
		}, "it has 100 files, at most 64 are taken"},
		{"fewer files", func(t *testing.T) string {
			return mustForge(t, js, good, trusted.key, func(m *shelf.Manifest) { m.Files = 2 })
		}, "it has 1 of its 2 files"},
		{"more files", func(t *testing.T) string {
			return mustForge(t, js, mustTar(t, entry{tar.Header{Name: "a"}, ""}, entry{tar.Header{Name: "b"}, ""}), trusted.key, nil)
		}, "it has more than its 1 files"},
		{"no tar", func(t *testing.T) string { return mustForge(t, js, bytes.Repeat([]byte("x"), 2048), trusted.key, nil) }, "archive/tar: invalid tar header"},
		{"a path up", func(t *testing.T) string {
			return mustForge(t, js, mustTar(t, entry{tar.Header{Name: "../../etc/passwd"}, "x"}), trusted.key, nil)
		}, `"../../etc/passwd": is not a plain path within it`},
		{"an absolute path", func(t *testing.T) string {
			return mustForge(t, js, mustTar(t, entry{tar.Header{Name: "/etc/passwd"}, "x"}), trusted.key, nil)
		}, `"/etc/passwd": is not a plain path within it`},
		{"a hidden file", func(t *testing.T) string {
			return mustForge(t, js, mustTar(t, entry{tar.Header{Name: "step0/.x"}, "x"}), trusted.key, nil)
		}, `"step0/.x": is not a plain path within it`},
		{"a link", func(t *testing.T) string {
			return mustForge(t, js, mustTar(t, entry{tar.Header{Name: "manifest.json", Typeflag: tar.TypeSymlink, Linkname: "/etc/shadow"}, ""}), trusted.key, nil)
		}, `"manifest.json": is not a regular file`},
		{"a device", func(t *testing.T) string {
			return mustForge(t, js, mustTar(t, entry{tar.Header{Name: "manifest.json", Typeflag: tar.TypeChar, Devmajor: 1}, ""}), trusted.key, nil)
		}, `"manifest.json": is not a regular file`},
		{"twice the same file", func(t *testing.T) string {
			return mustForge(t, js, mustTar(t, entry{tar.Header{Name: "a"}, "1"}, entry{tar.Header{Name: "a"}, "2"}), trusted.key, func(m *shelf.Manifest) { m.Files = 2 })
		}, "openat a: file exists"},
		{"a bomb", func(t *testing.T) string { return mustForge(t, js, mustBomb(t), trusted.key, nil) }, `"bomb": its files are longer than itself`},
		{"what the caller refuses", func(t *testing.T) string { return mustForge(t, js, good, trusted.key, nil) }, "no model"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sha := tt.put(t)
			dir := t.TempDir()
			want := shelf.Want{Kind: shelf.Model, SHA256: sha, Member: "t", Trust: []string{trusted.public}}
			_, err := shelf.Get(t.Context(), js, fleet.ModelBucket, want, filepath.Join(dir, "m"), func(string) error { return errors.New("no model") })
			if !errors.Is(err, shelf.ErrRefused) || !strings.HasPrefix(err.Error(), "model "+sha[:8]+" of bucket pacgan-models: refused: "+tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%d: %v\nwant %s", i, err, tt.want)
			}
			mustBeEmpty(t, dir)
		})
	}
}

// mustReplace puts another content below the same name and the same metadata.
func mustReplace(t *testing.T, js jetstream.JetStream, sha string, content []byte) string {
	t.Helper()
	store, err := js.ObjectStore(t.Context(), fleet.ModelBucket)
	must(t, err)
	info, err := store.GetInfo(t.Context(), sha)
	must(t, err)
	mustPut(t, js, sha, info.Metadata, content)
	return sha
}

// mustChange changes the metadata alone.
func mustChange(t *testing.T, js jetstream.JetStream, sha string, change func(map[string]string)) string {
	t.Helper()
	store, err := js.ObjectStore(t.Context(), fleet.ModelBucket)
	must(t, err)
	info, err := store.GetInfo(t.Context(), sha)
	must(t, err)
	change(info.Metadata)
	must(t, store.UpdateMeta(t.Context(), sha, info.ObjectMeta))
	return sha
}

// mustBomb is a tar of three blocks, with a sparse file in it of a terabyte (the PAX format 1.0 of GNU tar).
func mustBomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	pax := "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n24 GNU.sparse.name=bomb\n37 GNU.sparse.realsize=1099511627776\n" // each with its length
	b.Write(mustTar(t, entry{tar.Header{Name: "a"}, ""})[:512])                                                            // a header to make others of
	header := func(kind byte, size string) []byte {
		h := bytes.Clone(b.Bytes()[:512])
		h[156] = kind
		copy(h[124:], size)
		copy(h[148:], "        ")
		sum := 0
		for _, c := range h {
			sum += int(c)
		}
		copy(h[148:], octal(sum))
		return h
	}
	block := func(s string) []byte { return append([]byte(s), make([]byte, 512-len(s))...) }
	return bytes.Join([][]byte{
		header('x', "00000000151"), block(pax), header('0', "00000001000"), block("1\n1099511627776\n0\n"), make([]byte, 1024),
	}, nil)
}

func octal(n int) string {
	digits := []byte("000000\x00 ")
	for i := 5; n > 0; i-- {
		digits[i], n = '0'+byte(n&7), n>>3
	}
	return string(digits)
}

func TestNotThere(t *testing.T) {
	_, js := fleettest.Hub(t)
	_, err := shelf.Get(t.Context(), js, fleet.ModelBucket, shelf.Want{Kind: shelf.Model, SHA256: "../x"}, filepath.Join(t.TempDir(), "m"), nil)
	if err == nil || err.Error() != "model ../x of bucket pacgan-models: refused: its name is no SHA-256 in hex" {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = shelf.Get(ctx, js, fleet.ModelBucket, shelf.Want{Kind: shelf.Model, SHA256: strings.Repeat("0", 64)}, filepath.Join(t.TempDir(), "m"), nil)
	if !errors.Is(err, context.Canceled) || errors.Is(err, shelf.ErrRefused) {
		t.Errorf("%v: want the context's", err)
	}
}
