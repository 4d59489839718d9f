package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/nats-io/nkeys"
)

// Fleet says which hub the gateway belongs to.
type Fleet struct {
	URL   string     // of the hub's servers, by commas; "": it belongs to none
	Name  string     // the gateway's, in the fleet
	Key   string     // absolute path of its NKey's seed or its credentials, which let it in and sign what it writes
	Hub   string     // the hub's public NKey: what it has not signed is refused
	CA    string     // absolute path of the certificate that signed the servers'; "": the system's
	Trust []string   // public NKeys of users whose models are taken
	Train FleetTrain // where models are trained
}

// FleetTrain is where a gateway's models are trained.
type FleetTrain string

// The values of fleet.train.
const (
	FleetTrainFleet FleetTrain = "fleet" // by a trainer; here where none answers
	FleetTrainSelf  FleetTrain = "self"  // here
)

// LoadFleet reads a file that has [fleet] and nothing else, as "hub init" writes one for each member. The error names every
// fault; one is that it names no hub.
func (l Loader) LoadFleet(path string) (Fleet, error) {
	data, err := readFile(path)
	if err != nil {
		return Fleet{}, err
	}
	p := parser{file: path, Loader: l, config: Default()}
	if r, ok := p.decode(string(data)); ok {
		for _, path := range p.pos.paths {
			if section, _, _ := strings.Cut(withoutIndexes(path), "."); section != "fleet" && section == path && slices.Contains(known(""), section) {
				p.faultAt(p.pos.at(path), "%s: is not for a trainer: this file has [fleet] alone", header(section))
			}
		}
		p.fleet(r.Fleet)
		if p.config.Fleet.URL == "" && (r.Fleet.URL == nil || r.Fleet.URL == "") {
			p.faultAt(p.pos.at("fleet"), "fleet.url is missing: add url = \"tls://hub.example:4222\", where the hub is reached")
		}
	}
	if len(p.faults) > 0 {
		return Fleet{}, p.faults.sorted()
	}
	return p.config.Fleet, nil
}

func (p *parser) fleet(r rawFleet) {
	f := &p.config.Fleet
	setKey(p, "fleet.url", r.URL, &f.URL, serverURLs)
	setKey(p, "fleet.name", r.Name, &f.Name, memberName)
	setKey(p, "fleet.key", r.Key, &f.Key, optionalPath)
	setKey(p, "fleet.hub", r.Hub, &f.Hub, publicKey)
	setKey(p, "fleet.ca", r.CA, &f.CA, optionalPath)
	p.trust(r.Trust)
	setKey(p, "fleet.train", r.Train, &f.Train, oneOf(FleetTrainFleet, FleetTrainSelf))
	if f.URL == "" {
		return
	}
	if f.Key == "" && (r.Key == nil || r.Key == "") {
		p.faultAt(p.pos.at("fleet"), "fleet.key is missing: add key = \"/etc/pacgan-appliance/fleet/member.nk\", the file of this gateway's NKey: it signs what the gateway writes")
	}
	if f.Hub == "" && (r.Hub == nil || r.Hub == "") {
		p.faultAt(p.pos.at("fleet"), "fleet.hub is missing: add hub = \"U...\", the hub's public NKey, which it says when it starts: what others write in its name is refused")
	}
	if f.Name != "" || r.Name != nil && r.Name != "" { // a name, or a bad one, which was told
		return
	}
	var err error
	if f.Name, err = p.hostMember(); err != nil {
		p.faultAt(p.pos.at("fleet"), "fleet.name is missing, %v: name the gateway, such as \"lab-a\"", err)
	}
}

// serverURLs accepts URLs of NATS servers; "" stands for none.
func serverURLs(v any) (string, error) {
	s, err := text(v)
	if err != nil || s == "" {
		return "", err
	}
	for one := range strings.SplitSeq(s, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		switch {
		case err != nil || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) || u.Hostname() == "":
			return "", errors.New(`must be a NATS server such as "tls://hub.example:4222", or several by commas`)
		case u.User != nil:
			return "", errors.New("holds a user or a password, which others can read here: name a file in fleet.key")
		}
	}
	return s, nil
}

// publicKey accepts a user's public NKey; "" stands for none.
func publicKey(v any) (string, error) {
	s, err := text(v)
	if err == nil && s != "" && !nkeys.IsValidPublicUserKey(s) {
		err = errors.New("must be the public NKey of a user, which begins with U")
	}
	return s, err
}

// memberForm is what fleet.CheckName takes, but for "all": a test holds the two against each other.
var memberForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// memberName accepts a name in the fleet; "" stands for the machine's.
func memberName(v any) (string, error) {
	s, err := text(v)
	if err != nil {
		return "", err
	}
	if s != "" && (!memberForm.MatchString(s) || s == "all") {
		return "", fmt.Errorf(`must be 1 to %d of a-z, 0-9 and "-", with a letter or digit at both ends, and not "all"`, maxNameLen)
	}
	return s, nil
}

// hostMember makes a name in the fleet of the machine's: its first part, in small letters.
func (p *parser) hostMember() (string, error) {
	if p.HostName == nil {
		return "", errors.New("and the machine is not asked for its own here")
	}
	host, err := p.HostName()
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(strings.ToLower(host), ".")
	name, err := memberName(strings.Trim(first[:min(len(first), maxNameLen)], "-"))
	if err != nil || name == "" {
		return "", fmt.Errorf("and the machine's own, %q, is none that it may have", host)
	}
	return name, nil
}

// trust reads each key apart, so that each bad one has its own line.
func (p *parser) trust(v any) {
	if v == nil {
		return
	}
	const key = "fleet.trust"
	items, ok := v.([]any)
	if !ok {
		p.fault(key, key, v, errors.New("must be a list of public NKeys of users, each beginning with U"))
		return
	}
	for i, item := range items {
		s, err := text(item)
		if err == nil && !nkeys.IsValidPublicUserKey(s) {
			err = errors.New("must be the public NKey of a user, which begins with U: `pacgan-appliance hub init` prints a trainer's")
		}
		if err != nil {
			p.fault(fmt.Sprintf("%s[%d]", key, i), key, item, err)
			continue
		}
		p.config.Fleet.Trust = append(p.config.Fleet.Trust, s)
	}
}
