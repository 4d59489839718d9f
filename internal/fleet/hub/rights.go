package hub

import (
	"fmt"
	"strings"

	"pacgan-appliance/internal/fleet"
)

// rights are the subjects that a member may write to and listen on; what nats.go asks JetStream for each of its calls is
// pinned by TestRights.
type rights struct {
	publish, never, subscribe []string
}

// rightsOf a member: no more than its role needs.
func rightsOf(role fleet.Role, name string) rights {
	switch role {
	case fleet.Gateway:
		return gatewayRights(name)
	case fleet.Trainer:
		return trainerRights(name)
	}
	return rights{publish: []string{">"}, subscribe: []string{">"}}
}

// gatewayRights let a gateway write under its own name, and read what is desired of it and the models.
func gatewayRights(name string) rights {
	data := fleet.DataBucket(name)
	desired := "$KV." + fleet.DesiredBucket + "." + name
	own := []string{
		fleet.TruthSubject(name), fleet.WorkSubject(name), fleet.TrainerSubject, "$KV." + fleet.BeatBucket + "." + name,
		"$O." + data + ".>",
	}
	api := []string{
		"CONSUMER.CREATE." + fleet.TruthStream + ".*." + fleet.TruthSubject(name), // where its truth ends
		"CONSUMER.DELETE." + fleet.TruthStream + ".*",
		"STREAM.INFO.KV_" + fleet.BeatBucket,
		"STREAM.INFO.KV_" + fleet.DesiredBucket,
		"DIRECT.GET.KV_" + fleet.DesiredBucket + "." + desired,
		"CONSUMER.CREATE.KV_" + fleet.DesiredBucket + ".*." + desired,
		"CONSUMER.DELETE.KV_" + fleet.DesiredBucket + ".*",
	}
	api = append(api, readObjects(fleet.ModelBucket)...)
	api = append(api, readObjects(data)...)
	api = append(api, "STREAM.PURGE.OBJ_"+data) // what it takes away itself, and what a put that broke off left
	return rights{
		publish:   append(append(own, prefixed("$JS.API.", api)...), flow(fleet.TruthStream, "KV_"+fleet.DesiredBucket, "OBJ_"+fleet.ModelBucket, "OBJ_"+data)...),
		subscribe: []string{fleet.InboxPrefix(name) + ".>", fleet.ControlSubject(name), fleet.ControlAll},
	}
}

// trainerRights let a trainer pull work, read every object store (that is all gateways' data sets: NATS matches whole
// tokens, so that they cannot be named as such), and write models and candidates.
func trainerRights(name string) rights {
	own := []string{fleet.CandidateSubject(name), "$KV." + fleet.BeatBucket + "." + name, "$O." + fleet.ModelBucket + ".>"}
	api := []string{
		"STREAM.INFO.*",
		"DIRECT.GET.*.$O.*.M.>",
		"CONSUMER.CREATE.*.*.$O.*.C.>", "CONSUMER.CREATE.*.*.$O.*.M.>", "CONSUMER.DELETE.*.*",
		"STREAM.PURGE.OBJ_" + fleet.ModelBucket, // what an object that is put again had, and what a put that broke off left
		"CONSUMER.INFO." + fleet.WorkStream + "." + fleet.WorkConsumer,
		"CONSUMER.MSG.NEXT." + fleet.WorkStream + "." + fleet.WorkConsumer,
	}
	work := fleet.WorkStream + "." + fleet.WorkConsumer + ".>"
	publish := append(own, prefixed("$JS.API.", api)...)
	publish = append(publish, "$JS.ACK."+work, "$JS.ACK.*.*."+work, "$JS.FC.>")
	return rights{
		publish:   publish,
		never:     []string{"$JS.API.CONSUMER.DELETE." + fleet.WorkStream + ".>"}, // readers of objects have names that none can guess; this one is known
		subscribe: []string{fleet.InboxPrefix(name) + ".>", fleet.TrainerSubject},
	}
}

// readObjects are the calls with which a bucket's objects are listed and read.
func readObjects(bucket string) []string {
	stream := "OBJ_" + bucket
	return []string{
		"STREAM.INFO." + stream,
		"DIRECT.GET." + stream + ".$O." + bucket + ".M.*",
		"CONSUMER.CREATE." + stream + ".*.$O." + bucket + ".>",
		"CONSUMER.DELETE." + stream + ".*",
	}
}

// flow are the answers to a stream's flow control, in the form of a server of one domain and of several.
func flow(streams ...string) []string {
	var subjects []string
	for _, s := range streams {
		subjects = append(subjects, "$JS.FC."+s+".>", "$JS.FC.*.*."+s+".>")
	}
	return subjects
}

func prefixed(prefix string, subjects []string) []string {
	for i := range subjects {
		subjects[i] = prefix + subjects[i]
	}
	return subjects
}

// user is a member as accounts.conf has it. allow_responses lets it answer who asked it, once.
func user(role fleet.Role, name, public string) string {
	r := rightsOf(role, name)
	var b strings.Builder
	fmt.Fprintf(&b, "      { # %s %s\n        nkey: %s\n        permissions: {\n", role, name, public)
	list := func(what string, subjects []string) {
		fmt.Fprintf(&b, "            %s: [\n", what)
		for _, s := range subjects {
			fmt.Fprintf(&b, "              %q\n", s)
		}
		b.WriteString("            ]\n")
	}
	b.WriteString("          publish: {\n")
	list("allow", r.publish)
	if len(r.never) > 0 {
		list("deny", r.never)
	}
	b.WriteString("          }\n          subscribe: {\n")
	list("allow", r.subscribe)
	b.WriteString("          }\n")
	b.WriteString("          allow_responses: { max: 1, expires: \"10s\" }\n        }\n      }\n")
	return b.String()
}
