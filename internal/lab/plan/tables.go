package plan

import (
	"net/netip"
	"strings"
)

// Site is one virtual web host: a GET of one of Paths at Addr with its Host is answered with 200.
type Site struct {
	Host string
	Addr netip.Addr
}

// Name is one DNS name with its A records.
type Name struct {
	Host  string // without the final dot
	Addrs []netip.Addr
}

// Paths exist on every site. With the longest host and path a plain GET fits the paper's 98 bytes:
// 40 of headers, 25 of request syntax, 33 for host and path together.
func Paths() []string {
	return []string{"/", "/news", "/about", "/login", "/img/a.png"}
}

// Sites are the virtual hosts, two on each web server.
func Sites() []Site {
	hosts := []string{
		"www.shop.test", "pay.shop.test", "www.lab.test", "wiki.lab.test", "news.example", "www.city.test",
		"m.city.test", "www.school.test", "bank.example", "www.bank.example", "games.example", "tv.test",
	}
	servers := WebServers()
	sites := make([]Site, len(hosts))
	for i, h := range hosts {
		sites[i] = Site{Host: h, Addr: servers[i%len(servers)]}
	}
	return sites
}

// Names are all DNS names: every site, and hosts that only have a name. The first ShortNames of them
// make the smaller table of the embedded servers.
func Names() []Name {
	var names []Name
	for _, s := range Sites() {
		names = append(names, Name{Host: s.Host, Addrs: []netip.Addr{s.Addr}})
	}
	pool := PingHosts()
	for i, h := range strings.Fields(nameOnly) {
		addrs := []netip.Addr{pool[i%len(pool)]}
		if i%3 == 1 { // a third has two addresses, as services behind two machines have
			addrs = append(addrs, pool[(i+3)%len(pool)])
		}
		names = append(names, Name{Host: h, Addrs: addrs})
	}
	return names
}

// ShortNames is how many of Names the embedded servers know and their clients ask for.
const ShortNames = 40

// nameOnly are names of hosts without a web site, of 7 to 32 bytes.
const nameOnly = `
	api.shop.test cdn.shop.test img3.static.shop.test mail.lab.test ns1.lab.test ns2.lab.test
	printer-2.office.lab.test git.lab.test ldap.lab.test ntp.lab.test imap.mail.example smtp.mail.example
	mx1.mail.example a.test db.test api.weather.example maps.city.test tram.city.test
	library.school.test exam.school.test online.bank.example atm17.branch.bank.example eu-west.games.example
	update.games.example live.tv.test epg.tv.test sensor-04.roof.lab.test backup.lab.test

	vpn.lab.test proxy.lab.test build.lab.test ci.build.lab.test docs.lab.test chat.lab.test
	calendar.office.lab.test scanner.office.lab.test phone-101.office.lab.test phone-102.office.lab.test
	door.office.lab.test camera-1.roof.lab.test camera-2.roof.lab.test sensor-05.roof.lab.test
	search.shop.test cart.shop.test reviews.shop.test img1.static.shop.test img2.static.shop.test
	returns.shop.test warehouse.shop.test newsletter.shop.test feeds.news.example archive.news.example
	video.news.example weather.news.example parking.city.test museum.city.test pool.city.test
	townhall.city.test tickets.museum.city.test bus-stop-0042.city.test grades.school.test sports.school.test
	canteen.school.test alumni.school.test cards.bank.example loans.bank.example fraud.bank.example
	atm18.branch.bank.example atm19.branch.bank.example us-east.games.example ap-south.games.example
	match.games.example store.games.example forum.games.example radio.tv.test replay.tv.test
	ads.tv.test webmail.mail.example lists.mail.example spam.mail.example mx2.mail.example
	autoconfig.mail.example radar.weather.example alerts.weather.example hourly.weather.example
	tide.harbour.example ferry.harbour.example pilot.harbour.example
`
