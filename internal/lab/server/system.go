package server

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pacgan-appliance/internal/lab/plan"
	"pacgan-appliance/internal/lab/program"
)

// patience is how long a program may take until it listens, or ends, on a machine that is busy.
const patience = 10 * time.Second

// System is the set of the system's own programs, unbound and nginx, run from generated configs in
// the foreground; no system service, file or user is touched.
type System struct {
	dir            string
	unbound, nginx string // programs
	names          []plan.Name
	dnsLog         *tail
	httpLog        *tail
	dns, http      *program.Process
}

// NewSystem makes the set; its configs and logs (unbound.log, nginx.jsonl) are in dir.
func NewSystem(dir string) (*System, error) {
	s := &System{
		dir: dir, names: append(plan.Names(), plan.Blocked()...),
		dnsLog:  newTail(filepath.Join(dir, "unbound.log"), unboundStatus),
		httpLog: newTail(filepath.Join(dir, "nginx.jsonl"), nginxStatus),
	}
	for _, log := range []*tail{s.dnsLog, s.httpLog} {
		if err := os.Remove(log.path); err != nil && !os.IsNotExist(err) {
			return nil, err
		}
	}
	var err error
	if s.unbound, err = program.Find("unbound"); err != nil {
		return nil, err
	}
	if s.nginx, err = program.Find("nginx"); err != nil {
		return nil, err
	}
	return s, nil
}

// Start runs both programs and waits for their sockets.
func (s *System) Start() error {
	if err := s.startUnbound(); err != nil {
		return err
	}
	if err := s.startNginx(); err != nil {
		_ = s.Stop() // the first error tells more
		return err
	}
	return nil
}

// Stop ends both programs.
func (s *System) Stop() error {
	var first error
	for _, p := range []**program.Process{&s.dns, &s.http} {
		if *p == nil {
			continue
		}
		if err := (*p).Stop(patience); first == nil {
			first = err
		}
		*p = nil
	}
	return first
}

// RemoveName takes a name out of unbound's config and starts it again with that.
func (s *System) RemoveName(host string) error {
	i := slices.IndexFunc(s.names, func(n plan.Name) bool { return n.Host == host })
	if i < 0 {
		return fmt.Errorf("DNS name %q: the servers do not know it", host)
	}
	s.names = slices.Delete(s.names, i, i+1)
	if s.dns == nil {
		return nil
	}
	if err := s.dns.Stop(patience); err != nil {
		return err
	}
	return s.startUnbound()
}

// Counts reads the programs' logs.
func (s *System) Counts() (Counts, error) {
	dns, err := s.dnsLog.counts()
	if err != nil {
		return nil, err
	}
	http, err := s.httpLog.counts()
	if err != nil {
		return nil, err
	}
	return Counts{"dns": dns, "http": http}, nil
}

// ResetCounts leaves out what the logs hold so far.
func (s *System) ResetCounts() error {
	if err := s.dnsLog.reset(); err != nil {
		return err
	}
	return s.httpLog.reset()
}

func (s *System) startUnbound() error {
	path := filepath.Join(s.dir, "unbound.conf")
	if err := os.WriteFile(path, unboundConfig(s.dir, s.names), 0o644); err != nil {
		return err
	}
	var err error
	if s.dns, err = program.Start(s.dir, s.unbound, "-d", "-c", path); err != nil {
		return err
	}
	if err := s.dns.Ready(patience, listening("udp", plan.Resolvers(), 53)); err != nil {
		return err
	}
	return nil
}

func (s *System) startNginx() error {
	path := filepath.Join(s.dir, "nginx.conf")
	if err := os.WriteFile(path, nginxConfig(s.dir), 0o644); err != nil {
		return err
	}
	var err error
	if s.http, err = program.Start(s.dir, s.nginx, "-e", "stderr", "-p", s.dir, "-c", path); err != nil {
		return err
	}
	return s.http.Ready(patience, listening("tcp", plan.WebServers(), 80))
}

// unboundConfig answers local data only: everything else is NXDOMAIN, without asking anybody.
func unboundConfig(dir string, names []plan.Name) []byte {
	var b strings.Builder
	b.WriteString(`server:
	do-daemonize: no
	username: ""
	chroot: ""
	use-syslog: no
	verbosity: 0
	log-replies: yes
	log-tag-queryreply: yes
	num-threads: 1
	do-ip6: no
	module-config: "iterator"
	access-control: 10.0.0.0/8 allow
	local-zone: "." static
`)
	fmt.Fprintf(&b, "\tdirectory: %q\n\tpidfile: %q\n\tlogfile: %q\n", dir,
		filepath.Join(dir, "unbound.pid"), filepath.Join(dir, "unbound.log"))
	for _, a := range plan.Resolvers() {
		fmt.Fprintf(&b, "\tinterface: %s\n", a)
	}
	for _, n := range names {
		for _, a := range n.Addrs {
			fmt.Fprintf(&b, "\tlocal-data: \"%s. 300 IN A %s\"\n", n.Host, a)
		}
	}
	b.WriteString("remote-control:\n\tcontrol-enable: no\n")
	return []byte(b.String())
}

// nginxConfig serves each site at its own address only, and 404 for the rest.
func nginxConfig(dir string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `daemon off;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
	default_type text/plain;
	server_names_hash_bucket_size 128;
	log_format lab escape=json '{"time":"$time_iso8601","source":"$remote_addr:$remote_port",'
		'"server":"$server_addr:$server_port","host":"$http_host","path":"$uri","status":$status}';
	access_log %[1]s/nginx.jsonl lab;
`, dir)
	for _, temp := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&b, "\t%s_temp_path %s/%s;\n", temp, dir, temp)
	}
	for _, a := range plan.WebServers() {
		fmt.Fprintf(&b, "\tserver { listen %s:80 default_server; return 404; }\n", a)
	}
	for _, s := range plan.Sites() {
		fmt.Fprintf(&b, "\tserver {\n\t\tlisten %s:80;\n\t\tserver_name %s;\n\t\tlocation / { return 404; }\n", s.Addr, s.Host)
		for _, p := range plan.Paths() {
			fmt.Fprintf(&b, "\t\tlocation = %s { return 200 \"%s%s\\n\"; }\n", p, s.Host, p)
		}
		b.WriteString("\t}\n")
	}
	b.WriteString("}\n")
	return []byte(b.String())
}
