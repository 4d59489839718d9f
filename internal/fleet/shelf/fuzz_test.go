package shelf

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nkeys"

	"pacgan-appliance/internal/bounded"
)

// Seal lets tests sign what Put would not.
func (m *Manifest) Seal(key nkeys.KeyPair) (map[string]string, error) { return m.seal(key) }

// FuzzUnpack unpacks what a trusted member signed and should not have: whatever it is, it stays below its directory, within
// its length, and leaves regular files alone.
func FuzzUnpack(f *testing.F) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []tar.Header{ // a model's files; then what must not be
		{Name: "manifest.json", Size: 2, Typeflag: tar.TypeReg},
		{Name: "step0/generator.safetensors", Size: 2, Typeflag: tar.TypeReg},
		{Name: "../up", Size: 2, Typeflag: tar.TypeReg},
		{Name: "link", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink},
	} {
		if err := w.WriteHeader(&h); err != nil {
			f.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte("{}")); err != nil {
				f.Fatal(err)
			}
		}
		f.Add(bytes.Clone(b.Bytes()), 2)
	}
	f.Fuzz(func(t *testing.T, data []byte, files int) {
		defer bounded.Input(t, len(data))()
		parent := t.TempDir()
		dir := filepath.Join(parent, "m")
		if err := os.Mkdir(dir, directoryMode); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		_ = unpack(bytes.NewReader(data), root, &Manifest{Kind: Model, Bytes: int64(len(data)), Files: min(files, most[Model].files)})
		var sum int64
		err = filepath.WalkDir(parent, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			sum += info.Size()
			if rel, err := filepath.Rel(dir, path); err != nil || !filepath.IsLocal(rel) || !info.Mode().IsRegular() {
				t.Errorf("%s, %v", path, info.Mode())
			}
			return nil
		})
		if err != nil || sum > int64(len(data)) {
			t.Errorf("%d bytes of a tar of %d: %v", sum, len(data), err)
		}
	})
}

// FuzzOpen reads metadata that anybody may have written.
func FuzzOpen(f *testing.F) {
	key, err := nkeys.CreateUser()
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := (&Manifest{Kind: Model}).seal(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed[manifestKey], sealed[signatureKey], sealed[signerKey]) // a good one
	f.Add("{}", "AAAA", "UNOTAKEY")
	f.Fuzz(func(t *testing.T, manifest, signature, signer string) {
		defer bounded.Input(t, len(manifest)+len(signature)+len(signer))()
		m, err := open(map[string]string{manifestKey: manifest, signatureKey: signature, signerKey: signer}, []string{sealed[signerKey], signer})
		if (m == nil) == (err == nil) {
			t.Errorf("manifest %v and error %v", m, err)
		}
	})
}
