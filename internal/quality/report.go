package quality

import (
	"encoding/json"
	"maps"
)

// Report holds the measures of one label. Its JSON is the "quality" object of
// the lab's contract. Every share stands beside its counts in N; where a
// denominator is 0 the share is 0 and nothing was measured.
type Report struct {
	// ByteError is the Hamming distance in bytes from a generated packet to
	// the nearest real one (train or held-out), averaged over all generated,
	// over the bytes that do not vary freely (see freeSpans). A byte that only
	// one of the two has differs.
	ByteError float64 `json:"byte_error"`
	// ByteErrorReal is the same of held-out packets, to the nearest training
	// packet: what a perfect generator would have. It is large where real
	// packets have bytes of their own that freeSpans does not know, such as a
	// random cookie's.
	ByteErrorReal float64 `json:"byte_error_real"`
	// Novelty is the share of generated packets unlike every training packet.
	Novelty float64 `json:"novelty"`
	// TemplateNovelty is the share of generated packets that differ from every
	// training packet in a byte that does not vary freely.
	TemplateNovelty float64 `json:"template_novelty"`
	// TemplateNoveltyReal is the held-out packets' own TemplateNovelty: what a
	// perfect generator would have.
	TemplateNoveltyReal float64 `json:"template_novelty_real"`
	// Coverage is the share of the training packets' distinct (destination,
	// query name, HTTP host and path) that the generated packets have too.
	Coverage float64 `json:"coverage"`
	// Duplicates is the share of generated packets that equal an earlier one.
	Duplicates float64 `json:"duplicates"`
	// FieldJSD is the Jensen-Shannon distance (base 2: 0 equal, 1 disjoint)
	// from generated to held-out packets, field by field.
	FieldJSD FieldDistances `json:"field_jsd"`
	// FieldJSDFloor is the same from training to held-out packets: what chance
	// alone makes of two real samples of these sizes.
	FieldJSDFloor FieldDistances `json:"field_jsd_floor"`
	// FieldDivergence is FieldJSD before the square root: the Jensen-Shannon
	// divergence in bits.
	FieldDivergence FieldDistances `json:"field_jsdiv"`
	// FieldDivergenceFloor is FieldJSDFloor before the square root.
	FieldDivergenceFloor FieldDistances `json:"field_jsdiv_floor"`
	// AUC is the area under the ROC curve of a classifier trained to tell
	// generated from held-out packets, on packets it was not trained on: 0.5
	// is perfect, 1 is told apart always. It is 0.5, and not measured, where
	// N.AUCPerClass is 0.
	AUC float64 `json:"auc"`
	// Step0Success is the success rate before adversarial training, in [0, 1].
	// Measure cannot know it: the caller fills it in, or leaves it out.
	Step0Success *float64 `json:"step0_success,omitempty"`
	// N has the counts behind the shares.
	N Counts `json:"n"`
}

// Counts are the numerators and denominators of a Report, in packets unless
// they say otherwise.
type Counts struct {
	Generated int `json:"generated"`
	Train     int `json:"train"`
	HeldOut   int `json:"held_out"`
	// Unparsable counts generated packets that packet.ParseIP refuses.
	Unparsable int `json:"unparsable"`
	// ByteErrors is the sum, in bytes, whose mean over Generated is ByteError.
	ByteErrors int `json:"byte_errors"`
	// ByteErrorsReal is the sum whose mean over HeldOut is ByteErrorReal.
	ByteErrorsReal int `json:"byte_errors_real"`
	// Novel of Generated make Novelty.
	Novel int `json:"novel"`
	// NovelTemplates of Generated make TemplateNovelty.
	NovelTemplates int `json:"novel_templates"`
	// NovelTemplatesReal of HeldOut make TemplateNoveltyReal.
	NovelTemplatesReal int `json:"novel_templates_real"`
	// Covered of TrainKeys, in distinct keys, make Coverage.
	Covered   int `json:"covered"`
	TrainKeys int `json:"train_keys"`
	// Duplicates of Generated make Report.Duplicates.
	Duplicates int `json:"duplicates"`
	// AUCPerClass is the number of generated, and as many held-out, packets
	// that the classifier was trained and tested on.
	AUCPerClass int `json:"auc_per_class"`
}

// FieldDistances are distances by field name. The JSON is one flat object,
// the mean among the fields: {"mean": 0.02, "src": 0.01, ...}.
type FieldDistances struct {
	Mean   float64            // over Fields; 0 where there are none
	Fields map[string]float64 // by field name: the fields that the label's real packets have
}

const meanKey = "mean"

// MarshalJSON gives the flat object.
func (d FieldDistances) MarshalJSON() ([]byte, error) {
	flat := make(map[string]float64, len(d.Fields)+1)
	maps.Copy(flat, d.Fields)
	flat[meanKey] = d.Mean
	return json.Marshal(flat)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (d *FieldDistances) UnmarshalJSON(b []byte) error {
	var flat map[string]float64
	if err := json.Unmarshal(b, &flat); err != nil {
		return err
	}
	d.Mean = flat[meanKey]
	delete(flat, meanKey)
	d.Fields = flat
	return nil
}
