package fleet

import (
	"crypto/sha256"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// Headers of a batch of truth records. The hub takes a batch only after the one before (Nats-Expected-Last-Subject-Sequence),
// so that it has each record once, however often it is sent.
const (
	// CursorHeader says where in the gateway's truth directory the batch ends: "FILE:OFFSET" in bytes.
	CursorHeader = "Pacgan-Cursor"
	// RecordsHeader says how many records the batch has.
	RecordsHeader = "Pacgan-Records"
	// AfterHeader is the sequence in the stream of what was the last message on the subject before the batch; 0: none.
	AfterHeader = "Pacgan-After"
	// SignatureHeader is the gateway's, over the others and the SHA-256 of the records.
	SignatureHeader = "Pacgan-Signature"
)

// Batch is what a gateway says and signs of a batch of truth records.
type Batch struct {
	Cursor  string
	Records int
	// After tells a batch from itself when somebody has the hub write it again: then there are messages after After and before it.
	After uint64
}

// NewBatch is the message of a gateway's batch.
func NewBatch(key nkeys.KeyPair, gateway string, b Batch, lines []byte) (*nats.Msg, error) {
	m := nats.NewMsg(TruthSubject(gateway))
	m.Header.Set(CursorHeader, b.Cursor)
	m.Header.Set(RecordsHeader, strconv.Itoa(b.Records))
	m.Header.Set(AfterHeader, strconv.FormatUint(b.After, 10))
	m.Data = lines
	signature, err := Sign(key, truthPurpose, batchParts(m.Subject, m.Header, lines)...)
	if err != nil {
		return nil, err
	}
	m.Header.Set(SignatureHeader, signature)
	return m, nil
}

const truthPurpose = "truth"

func batchParts(subject string, h nats.Header, lines []byte) [][]byte {
	sum := sha256.Sum256(lines)
	return [][]byte{[]byte(subject), []byte(h.Get(CursorHeader)), []byte(h.Get(RecordsHeader)), []byte(h.Get(AfterHeader)), sum[:]}
}

// OpenBatch reads what the gateway with a public NKey said of a batch: what it did not sign is ErrForged.
func OpenBatch(public, gateway string, h nats.Header, lines []byte) (Batch, error) {
	if err := Verify(public, h.Get(SignatureHeader), truthPurpose, batchParts(TruthSubject(gateway), h, lines)...); err != nil {
		return Batch{}, err
	}
	b := Batch{Cursor: h.Get(CursorHeader)}
	var err error
	if b.Records, err = strconv.Atoi(h.Get(RecordsHeader)); err != nil {
		return b, fmt.Errorf("%s: %w", RecordsHeader, err)
	}
	if b.After, err = strconv.ParseUint(h.Get(AfterHeader), 10, 64); err != nil {
		return b, fmt.Errorf("%s: %w", AfterHeader, err)
	}
	return b, nil
}
