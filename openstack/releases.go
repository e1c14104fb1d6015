package openstack

import (
	"fmt"
	"strings"
)

// Release is one of OpenStack's, in their order.
type Release int

// releases are all that settings are known for. From 2023.1 on a release is known by its number or its name.
var releases = []struct{ name, number string }{
	{"icehouse", ""}, {"juno", ""}, {"kilo", ""}, {"liberty", ""}, {"mitaka", ""}, {"newton", ""}, {"ocata", ""}, {"pike", ""}, {"queens", ""},
	{"rocky", ""}, {"stein", ""}, {"train", ""}, {"ussuri", ""}, {"victoria", ""}, {"wallaby", ""}, {"xena", ""}, {"yoga", ""}, {"zed", ""},
	{"antelope", "2023.1"}, {"bobcat", "2023.2"}, {"caracal", "2024.1"}, {"dalmatian", "2024.2"}, {"epoxy", "2025.1"}, {"flamingo", "2025.2"},
}

// The releases at which something changes.
var (
	icehouse  = known("icehouse")
	juno      = known("juno")
	liberty   = known("liberty")
	mitaka    = known("mitaka")
	newton    = known("newton")
	ocata     = known("ocata")
	queens    = known("queens")
	zed       = known("zed")
	bobcat    = known("bobcat")
	caracal   = known("caracal")
	dalmatian = known("dalmatian")
	epoxy     = known("epoxy")
)

// Newest is the release that is meant when none is named.
const Newest = "flamingo"

// ParseRelease reads a release's name or number, in any case.
func ParseRelease(text string) (Release, error) {
	for i, r := range releases {
		if t := strings.ToLower(text); t == r.name || t != "" && t == r.number {
			return Release(i), nil
		}
	}
	return 0, fmt.Errorf("the release %.40q is unknown: write one from %s to %s, or from 2023.1 to %s", text, releases[0].name, Newest, releases[len(releases)-1].number)
}

func known(name string) Release {
	r, err := ParseRelease(name)
	if err != nil {
		panic(err)
	}
	return r
}

// String gives the name, and the number where there is one.
func (r Release) String() string {
	name := strings.ToUpper(releases[r].name[:1]) + releases[r].name[1:]
	if n := releases[r].number; n != "" {
		return name + " (" + n + ")"
	}
	return name
}
