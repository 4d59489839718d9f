// Package shelf puts directories on the fleet's shelves and takes them from there: a model's or a dataset's files, as one
// tar in a JetStream object store, under its SHA-256, with a manifest that its member signed. Nothing of an object is
// unpacked or used before signer, kind, length and hash are what they must be. What the files mean it does not know.
package shelf

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
)

// How long a transfer may take: patience, and a second more for each slowest bytes.
const (
	patience = time.Minute
	slowest  = 256 << 10
)

// ErrRefused is an object that must not be used: its error says which and why, in one line. Other errors are of the network
// or the disk, and may pass.
var ErrRefused = errors.New("refused")

// Put packs the files of dir that take wants and puts them into a bucket. Of the manifest it fills in what follows from the
// files. The tar is kept aside in spool, a directory, until it is there.
func Put(ctx context.Context, js jetstream.JetStream, bucket, dir, spool string, take func(name string) bool, m Manifest, key nkeys.KeyPair) (_ *Manifest, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("put %s %s into bucket %s: %w", m.Kind, dir, bucket, err)
		}
	}()
	aside, err := openAside(spool)
	if err != nil {
		return nil, err
	}
	defer aside.Close() // it has no name
	hash := sha256.New()
	if m.Files, err = pack(io.MultiWriter(aside, hash), dir, take); err != nil {
		return nil, err
	}
	m.SHA256 = hex.EncodeToString(hash.Sum(nil))
	if m.Bytes, err = aside.Seek(0, io.SeekCurrent); err != nil {
		return nil, err
	}
	m.Time = time.Now().UTC()
	if err := (Want{Kind: m.Kind, SHA256: m.SHA256}).check(&m); err != nil { // whoever takes it would refuse it
		return nil, err
	}
	if _, err := aside.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	metadata, err := m.seal(key)
	if err != nil {
		return nil, err
	}
	store, err := js.ObjectStore(ctx, bucket)
	if err != nil {
		return nil, err
	}
	_, err = store.Put(ctx, jetstream.ObjectMeta{Name: m.SHA256, Metadata: metadata}, aside)
	return &m, err
}

// Get takes an object from a bucket and unpacks it to the directory to, which must not be there yet and appears whole or
// not at all. check, if it is not nil, has the last word on what is unpacked.
func Get(ctx context.Context, js jetstream.JetStream, bucket string, want Want, to string, check func(dir string) error) (*Manifest, error) {
	m, err := get(ctx, js, bucket, want, to, check)
	if err != nil {
		return nil, want.failed(bucket, err)
	}
	return m, nil
}

// failed names what could not be taken.
func (w Want) failed(bucket string, err error) error {
	return fmt.Errorf("%s %.8s of bucket %s: %w", w.Kind, w.SHA256, bucket, err)
}

func get(ctx context.Context, js jetstream.JetStream, bucket string, want Want, to string, check func(dir string) error) (*Manifest, error) {
	if sum, err := hex.DecodeString(want.SHA256); err != nil || len(sum) != sha256.Size {
		return nil, refuse(errors.New("its name is no SHA-256 in hex"))
	}
	m, content, end, err := openObject(ctx, js, bucket, want)
	if err != nil {
		return nil, err
	}
	defer end()
	aside, err := openAside(filepath.Dir(to))
	if err != nil {
		return nil, err
	}
	defer aside.Close() // it has no name
	if err := fetch(aside, content, m); err != nil {
		return nil, err
	}
	return m, place(aside, to, m, check)
}

func refuse(err error) error { return fmt.Errorf("%w: %w", ErrRefused, err) }

// openObject begins to read an object whose manifest is believed and says what is wanted. close ends it.
func openObject(ctx context.Context, js jetstream.JetStream, bucket string, want Want) (m *Manifest, r io.Reader, end func(), err error) {
	store, err := js.ObjectStore(ctx, bucket)
	if err != nil {
		return nil, nil, nil, err
	}
	info, err := store.GetInfo(ctx, want.SHA256)
	if err != nil {
		return nil, nil, nil, err
	}
	if info.Opts != nil && info.Opts.Link != nil {
		return nil, nil, nil, refuse(errors.New("it is a link to another object"))
	}
	m, err = open(info.Metadata, want.Trust)
	if err == nil {
		err = want.check(m)
	}
	if err == nil && info.Size != uint64(m.Bytes) {
		err = fmt.Errorf("it has %d bytes, its manifest says %d", info.Size, m.Bytes)
	}
	if err != nil {
		return nil, nil, nil, refuse(err)
	}
	// Without a deadline the library gives the whole of it five seconds.
	ctx, cancel := context.WithTimeout(ctx, patience+time.Duration(m.Bytes/slowest)*time.Second)
	result, err := store.Get(ctx, want.SHA256)
	if err != nil {
		cancel()
		return nil, nil, nil, err
	}
	return m, result, func() { cancel(); _ = result.Close() }, nil
}

// fetch writes an object to a file and compares its length and hash with the manifest's.
func fetch(aside *os.File, r io.Reader, m *Manifest) error {
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(aside, hash), io.LimitReader(r, m.Bytes+1))
	sum := hex.EncodeToString(hash.Sum(nil))
	switch {
	case errors.Is(err, jetstream.ErrDigestMismatch):
		return refuse(errors.New("its content is not what was put there"))
	case err != nil:
		return err
	case n != m.Bytes:
		return refuse(fmt.Errorf("it has not the %d bytes of its manifest: %d were read", m.Bytes, n))
	case sum != m.SHA256:
		return refuse(fmt.Errorf("its SHA-256 is %.8s: its content was changed", sum))
	}
	_, err = aside.Seek(0, io.SeekStart)
	return err
}

// place unpacks a tar that is believed to a directory aside, and renames that to what it is to be.
func place(tar io.Reader, to string, m *Manifest, check func(dir string) error) (err error) {
	aside, err := os.MkdirTemp(filepath.Dir(to), unfinished)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(aside))
		}
	}()
	if err := os.Chmod(aside, directoryMode); err != nil {
		return err
	}
	root, err := os.OpenRoot(aside)
	if err != nil {
		return err
	}
	defer root.Close() // syncAll looks at what is in it
	if err := unpack(tar, root, m); err != nil {
		return refuse(err)
	}
	if check != nil {
		if err := check(aside); err != nil {
			return refuse(err)
		}
	}
	if err := syncAll(aside); err != nil {
		return err
	}
	return os.Rename(aside, to)
}

// unfinished is how the names of directories begin that are being written: as those of internal/model, which removes them.
const unfinished = ".unfinished-"

// openAside opens a file without a name, which is gone when it is closed, or when the program is killed.
func openAside(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, directoryMode); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, unfinished)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Remove takes an object from a bucket; one that is not there is no error.
func Remove(ctx context.Context, js jetstream.JetStream, bucket, sha256 string) error {
	store, err := js.ObjectStore(ctx, bucket)
	if err == nil {
		err = store.Delete(ctx, sha256)
	}
	if err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return fmt.Errorf("remove %.8s from bucket %s: %w", sha256, bucket, err)
	}
	return nil
}

// Look reads an object's manifest alone.
func Look(ctx context.Context, js jetstream.JetStream, bucket string, want Want) (*Manifest, error) {
	store, err := js.ObjectStore(ctx, bucket)
	if err != nil {
		return nil, want.failed(bucket, err)
	}
	info, err := store.GetInfo(ctx, want.SHA256)
	if err != nil {
		return nil, want.failed(bucket, err)
	}
	m, err := open(info.Metadata, want.Trust)
	if err == nil {
		err = want.check(m)
	}
	if err != nil {
		return nil, want.failed(bucket, refuse(err))
	}
	return m, nil
}
