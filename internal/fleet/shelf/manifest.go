package shelf

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nkeys"

	"pacgan-appliance/internal/fleet"
)

// Kind is what an object holds.
type Kind string

// The kinds.
const (
	Model   Kind = "model"   // a model's directory
	Dataset Kind = "dataset" // captured packets: LABEL/NNNN.pcap
)

// Manifest says what an object is and who vouches for it. Its signature lies beside it in the object's metadata.
type Manifest struct {
	Kind   Kind       `json:"kind"`
	SHA256 string     `json:"sha256"` // of the tar, in hex: the object's name
	Bytes  int64      `json:"bytes"`  // of the tar
	Files  int        `json:"files"`  // in it
	Member string     `json:"member"` // who put it there
	Role   fleet.Role `json:"role"`
	Time   time.Time  `json:"time"`

	Work    string   `json:"work,omitempty"`    // ID of the Work that it is for or came of
	Gateway string   `json:"gateway,omitempty"` // whose packets these are, or were learned
	Labels  []string `json:"labels"`
	Name    string   `json:"name,omitempty"` // of a model's directory
}

// Keys of an object's metadata.
const (
	manifestKey  = "pacgan-manifest"  // JSON
	signatureKey = "pacgan-signature" // ed25519, in base64
	signerKey    = "pacgan-signer"    // public NKey
)

const maxManifest = 64 << 10 // bytes of JSON

// signed is what a signature is made over. The key also signs whatever nonce a server sends when it is connected, and that
// is a string of JSON, which has no byte 0xff: no server can have a manifest signed by that.
func signed(manifest string) []byte { return []byte("pacgan-appliance manifest 1\xff" + manifest) }

// seal is the metadata of a manifest.
func (m *Manifest) seal(key nkeys.KeyPair) (map[string]string, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	public, err := key.PublicKey()
	if err != nil {
		return nil, err
	}
	signature, err := key.Sign(signed(string(text)))
	if err != nil {
		return nil, err
	}
	return map[string]string{
		manifestKey: string(text), signerKey: public, signatureKey: base64.StdEncoding.EncodeToString(signature),
	}, nil
}

// open reads a manifest from metadata and believes it only where one of the trusted public keys signed it.
func open(metadata map[string]string, trust []string) (*Manifest, error) {
	text, signer := metadata[manifestKey], metadata[signerKey]
	switch {
	case text == "" || signer == "" || metadata[signatureKey] == "":
		return nil, errors.New("it is not signed")
	case len(text) > maxManifest:
		return nil, fmt.Errorf("its manifest has %d bytes, at most %d are read", len(text), maxManifest)
	case !slices.Contains(trust, signer):
		return nil, fmt.Errorf("its signer %.60q is not among the trusted keys", signer)
	}
	public, err := nkeys.FromPublicKey(signer)
	if err != nil {
		return nil, fmt.Errorf("its signer %.60q: %w", signer, err)
	}
	signature, err := base64.StdEncoding.DecodeString(metadata[signatureKey])
	if err == nil {
		err = public.Verify(signed(text), signature)
	}
	if err != nil {
		return nil, errors.New("its manifest's signature is wrong: it was changed after it was signed")
	}
	var m Manifest
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return nil, fmt.Errorf("its manifest: %w", err)
	}
	return &m, nil
}

// Want says what an object must be to be used.
type Want struct {
	Kind   Kind
	SHA256 string
	Member string   // who must have put it there; "": any that is trusted
	Trust  []string // public NKeys
}

// check compares a manifest that is believed with what is wanted.
func (w Want) check(m *Manifest) error {
	switch {
	case m.Kind != w.Kind:
		return fmt.Errorf("it is a %.20q, not a %s", m.Kind, w.Kind)
	case m.SHA256 != w.SHA256:
		return fmt.Errorf("its manifest is of %.8q", m.SHA256)
	case w.Member != "" && m.Member != w.Member:
		return fmt.Errorf("it is by %.40q, not by %q", m.Member, w.Member)
	case m.Bytes <= 0 || m.Bytes > most[m.Kind].bytes:
		return fmt.Errorf("it has %d bytes, at most %d are taken", m.Bytes, most[m.Kind].bytes)
	case m.Files <= 0 || m.Files > most[m.Kind].files:
		return fmt.Errorf("it has %d files, at most %d are taken", m.Files, most[m.Kind].files)
	}
	return nil
}
