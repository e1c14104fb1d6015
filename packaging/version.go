package main

import (
	"regexp"
	"strings"
	"time"
)

// described takes apart what git describe --tags --always --dirty says of a commit at or behind a tag.
var described = regexp.MustCompile(`^v?([0-9]+(?:\.[0-9]+)*)(-[0-9A-Za-z.]+?)??(?:-([0-9]+)-g([0-9a-f]+))?(-dirty)?$`)

// packageVersion is a version that deb and rpm both take, and that is higher for a later commit: 1.2.0~rc1 before 1.2.0, 1.2.0+3.gHASH for the third
// commit behind it. Before the first tag it is made of the commit's time.
func packageVersion(describe string, date time.Time) string {
	plain := regexp.MustCompile(`^[0-9a-f]+(-dirty)?$`)
	if m := described.FindStringSubmatch(describe); m != nil && (strings.ContainsAny(describe, ".") || !plain.MatchString(describe)) {
		v := m[1]
		if m[2] != "" {
			v += "~" + m[2][1:]
		}
		if m[3] != "" {
			v += "+" + m[3] + ".g" + m[4]
		}
		return v + strings.ReplaceAll(m[5], "-", "+")
	}
	return "0.0." + date.Format("20060102150405") + "+" + regexp.MustCompile(`[^0-9A-Za-z]+`).ReplaceAllString(describe, ".")
}
