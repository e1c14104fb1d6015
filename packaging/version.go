package main

import (
	"regexp"
	"strings"
	"time"
)

var (
	// described takes apart what git describe --tags --always --dirty says of a commit at or behind a tag. A hash has no dot.
	described = regexp.MustCompile(`^v?([0-9]+(?:\.[0-9]+)+)(-[0-9A-Za-z.]+?)??(?:-([0-9]+)-g([0-9a-f]+))?(-dirty)?$`)
	unusable  = regexp.MustCompile(`[^0-9A-Za-z]+`)
)

// packageVersion is a version that deb and rpm both take, and that is higher for a later commit: 1.2.0~rc1 before 1.2.0, 1.2.0+3.gHASH for the third
// commit behind it. Before the first tag it is made of the commit's time.
func packageVersion(describe string, date time.Time) string {
	m := described.FindStringSubmatch(describe)
	if m == nil {
		return "0.0." + date.Format("20060102150405") + "+" + unusable.ReplaceAllString(describe, ".")
	}
	v := m[1]
	if m[2] != "" {
		v += "~" + m[2][1:]
	}
	if m[3] != "" {
		v += "+" + m[3] + ".g" + m[4]
	}
	return v + strings.ReplaceAll(m[5], "-", "+")
}
