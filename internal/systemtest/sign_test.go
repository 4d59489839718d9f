package systemtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// signer is a throw-away gpg home with one key.
type signer string

func mustSigner(t *testing.T) signer {
	t.Helper()
	home, err := os.MkdirTemp("", "gpg") // t.TempDir is too long for the agent's socket
	must(t, err)
	s := signer(home)
	t.Cleanup(func() {
		_, _ = s.run("", "gpgconf", "--kill", "all")
		must(t, os.RemoveAll(home))
	})
	if out, err := s.run("", "gpg", "--batch", "--passphrase", "", "--quick-generate-key", "tester@lab.test", "ed25519", "sign", "never"); err != nil {
		t.Fatalf("generate a key: %v\n%s", err, out)
	}
	return s
}

func (s signer) run(dir, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GNUPGHOME="+string(s), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// check is what scripts/sign.sh tells whoever gets the packages to do.
func (s signer) check(dir string) (string, error) {
	return s.run(dir, "sh", "-c", "gpg --verify SHA256SUMS.asc SHA256SUMS && sha256sum --check --ignore-missing SHA256SUMS")
}

// TestSignedChecksums: what was signed is found to be right, and whatever is
// changed afterwards is refused.
func TestSignedChecksums(t *testing.T) {
	ours, strangers := mustSigner(t), mustSigner(t)
	script := mustAbs(t, filepath.Join(top, "scripts/sign.sh"))
	sign := func(t *testing.T, s signer) (dir string) {
		t.Helper()
		dir = t.TempDir()
		for _, name := range []string{"a.deb", "a.rpm"} {
			must(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644))
		}
		if out, err := s.run("", script, "tester@lab.test", dir); err != nil {
			t.Fatalf("sign: %v\n%s", err, out)
		}
		return dir
	}
	for _, tt := range []struct {
		name   string
		by     signer
		change func(t *testing.T, dir string)
		want   string // what the check says where it refuses
	}{
		{"as signed", ours, func(*testing.T, string) {}, ""},
		{"one of the packages alone", ours, func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "a.rpm"))) }, ""},
		{"another package", ours, func(t *testing.T, dir string) { must(t, os.WriteFile(filepath.Join(dir, "a.deb"), []byte("x"), 0o644)) }, "a.deb: FAILED"},
		{"other checksums", ours, func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "a.deb"), []byte("x"), 0o644))
			if out, err := exec.Command("sh", "-c", "cd '"+dir+"' && sha256sum *.deb *.rpm >SHA256SUMS").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}, "BAD signature"},
		{"another's signature", strangers, func(*testing.T, string) {}, "No public key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := sign(t, tt.by)
			tt.change(t, dir)
			out, err := ours.check(dir)
			if (err == nil) != (tt.want == "") || !strings.Contains(out, tt.want) {
				t.Errorf("%v, want %q in\n%s", err, tt.want, out)
			}
		})
	}
	for _, tt := range []struct{ name, key, dir, want string }{
		{"no key", "", t.TempDir(), "sign: which key? make sign KEY=ID, one of gpg --list-secret-keys\n"},
		{"no packages", "tester@lab.test", "/var/empty", "sign: /var/empty has no packages: make package first\n"},
	} {
		if out, err := ours.run("", script, tt.key, tt.dir); err == nil || out != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.name, out, err, tt.want)
		}
	}
	dir := sign(t, ours)
	if out, err := ours.run("", script, "nobody@lab.test", dir); err == nil || !strings.Contains(out, "nobody@lab.test") {
		t.Errorf("a key that is not there: %v, %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "SHA256SUMS.asc")); err == nil {
		t.Error("a signature that failed leaves the one before")
	}
}
