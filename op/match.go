package op

// Match says whether s matches a glob pattern as Redis reads it: * ? [abc] [^a] [a-z] and \ before a plain character.
// It takes time proportional to len(pattern)*len(s) at the most: only the last star is ever tried again.
func Match(pattern, s []byte) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			star, mark = p, i
			p++
			continue
		}
		if next, ok := matchOne(pattern, p, s[i]); ok {
			p, i = next, i+1
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		p, i = star+1, mark
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne matches c against the element of pattern at p and returns where the next element begins.
func matchOne(pattern []byte, p int, c byte) (int, bool) {
	if p >= len(pattern) {
		return p, false
	}
	switch pattern[p] {
	case '?':
		return p + 1, true
	case '[':
		return matchClass(pattern, p+1, c)
	case '\\':
		if p+1 < len(pattern) {
			p++
		}
	}
	return p + 1, pattern[p] == c
}

// matchClass matches c against the class whose inside begins at p. Like Redis it takes an unclosed class to the pattern's end.
func matchClass(pattern []byte, p int, c byte) (int, bool) {
	not := p < len(pattern) && pattern[p] == '^'
	if not {
		p++
	}
	hit := false
	for p < len(pattern) && pattern[p] != ']' {
		switch {
		case pattern[p] == '\\' && p+1 < len(pattern):
			p++
			hit = hit || pattern[p] == c
		case p+2 < len(pattern) && pattern[p+1] == '-':
			lo, hi := pattern[p], pattern[p+2]
			if lo > hi {
				lo, hi = hi, lo
			}
			hit = hit || lo <= c && c <= hi
			p += 2
		default:
			hit = hit || pattern[p] == c
		}
		p++
	}
	if p < len(pattern) {
		p++
	}
	return p, hit != not
}
