package fleet

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nkeys"
)

// NATS lets a member write where its rights end: whatever it may ask the server for, it may have sent to any subject. So
// what members and the hub write says by a signature who wrote it and for which subject, and whoever reads it refuses the
// rest.

// ErrForged is what was not signed by whom it should be, or not for where it was found.
var ErrForged = errors.New("not signed by whom it should be")

// KeySubject is the subject of a bucket's key, for which its value is signed.
func KeySubject(bucket, key string) string { return "$KV." + bucket + "." + key }

// Keyring is the public NKey of a member by its name; "": there is none of that name.
type Keyring func(name string) string

// Sign is the signature, in base64, of a member over parts, for a purpose of its own. The key also signs whatever nonce a
// server sends when it is connected, and that is a string of JSON, which has no byte 0xff: no server can have anything
// else signed by that.
func Sign(key nkeys.KeyPair, purpose string, parts ...[]byte) (string, error) {
	signature, err := key.Sign(signed(purpose, parts))
	if err != nil {
		return "", fmt.Errorf("sign %s: %w", purpose, err)
	}
	return base64.StdEncoding.EncodeToString(signature), nil
}

// Verify says whether the member with a public NKey made a signature of Sign's over parts: else ErrForged.
func Verify(public, signature, purpose string, parts ...[]byte) error {
	key, err := nkeys.FromPublicKey(public)
	if err != nil {
		return fmt.Errorf("%w: %.60q, which is no public NKey", ErrForged, public)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(signature) // strictly: there is one text of each signature
	if err != nil || key.Verify(signed(purpose, parts), raw) != nil {
		return fmt.Errorf("%w: %s", ErrForged, public)
	}
	return nil
}

func signed(purpose string, parts [][]byte) []byte {
	text := []byte("pacgan-appliance " + purpose + " 1")
	for _, part := range parts {
		text = append(append(text, 0xff), part...)
	}
	return text
}

// message is the purpose of what is sealed.
const message = "message"

// Seal is text, signed for a subject: a line with the signature, and text as it is. A message's header would do, but a
// bucket's keys have none for whoever watches them.
func Seal(key nkeys.KeyPair, subject string, text []byte) ([]byte, error) {
	signature, err := Sign(key, message, []byte(subject), text)
	if err != nil {
		return nil, err
	}
	return append([]byte(signature+"\n"), text...), nil
}

// Open is the text of what the member with a public NKey sealed for a subject; anything else is ErrForged.
func Open(public, subject string, sealed []byte) ([]byte, error) {
	signature, text, found := bytes.Cut(sealed, []byte{'\n'})
	if !found || len(signature) != base64.StdEncoding.EncodedLen(signatureLen) {
		return nil, fmt.Errorf("%w: it has no signature", ErrForged)
	}
	if err := Verify(public, string(signature), message, []byte(subject), text); err != nil {
		return nil, err
	}
	return text, nil
}

// SealJSON seals v as JSON.
func SealJSON(key nkeys.KeyPair, subject string, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return Seal(key, subject, text)
}

// OpenJSON reads what SealJSON made, as Open does, into what v points to.
func OpenJSON(public, subject string, sealed []byte, v any) error {
	text, err := Open(public, subject, sealed)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

const signatureLen = 64 // of ed25519, in bytes
