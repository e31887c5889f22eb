package decimal

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The errors of Parse and ParseCast.
var (
	ErrSyntax   = errors.New("is not a number")
	ErrOverflow = errors.New("has more digits than fit")
)

// Parse reads a number as Java's BigDecimal does ([+-]digits[.digits][e[+-]digits]) and rounds it half up to the scale.
// Errors are ErrSyntax and ErrOverflow.
func Parse(text string, precision, scale int) (Num, error) {
	negative, body := sign(asciiDigits(text))
	mantissa, exponent := body, 0
	if e := strings.IndexAny(body, "eE"); e >= 0 {
		n, err := strconv.ParseInt(body[e+1:], 10, 32)
		if err != nil {
			return Num{}, ErrSyntax
		}
		mantissa, exponent = body[:e], int(n)
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return Num{}, ErrSyntax
	}
	digits = strings.TrimLeft(digits, "0")
	if digits == "" {
		return Num{}, nil
	}
	return round(digits, scale+exponent-len(fraction), negative, precision)
}

// asciiDigits replaces the decimal digits of other scripts, which Java takes too.
func asciiDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf {
			return r
		}
		for _, block := range unicode.Nd.R16 {
			if rune(block.Lo) <= r && r <= rune(block.Hi) {
				return '0' + (r-rune(block.Lo))%10
			}
		}
		for _, block := range unicode.Nd.R32 {
			if rune(block.Lo) <= r && r <= rune(block.Hi) {
				return '0' + (r-rune(block.Lo))%10
			}
		}
		return r
	}, text)
}

// round returns digits * 10^shift, rounded half up to an integer.
func round(digits string, shift int, negative bool, precision int) (Num, error) {
	if len(digits)+shift > precision {
		return Num{}, ErrOverflow
	}
	if len(digits)+shift < 0 {
		return Num{}, nil
	}
	up := false
	if shift < 0 {
		cut := len(digits) + shift
		up = digits[cut] >= '5'
		digits, shift = "0"+digits[:cut], 0
	}
	v, _ := new(big.Int).SetString(digits+strings.Repeat("0", shift), 10)
	if up {
		v.Add(v, big.NewInt(1))
	}
	n := fromBig(v, negative)
	if !Fits(n, precision) {
		return Num{}, ErrOverflow
	}
	return n, nil
}

func sign(text string) (negative bool, rest string) {
	if text != "" && (text[0] == '-' || text[0] == '+') {
		return text[0] == '-', text[1:]
	}
	return false, text
}

// ParseCast reads text as CAST(… AS DECIMAL(precision, scale)) of Flink does. Above 18 digits or bytes it is Parse. Below, Flink has a
// reader of its own, which takes one foreign character at the end of the digits for the end ("12.7x" is 12.7, "x" is 0).
func ParseCast(text string, precision, scale int) (Num, error) {
	text = strings.Trim(text, " \n\t")
	if precision > 18 || len(text) > 18 {
		return Parse(text, precision, scale)
	}
	if text == "" {
		return Num{}, ErrSyntax
	}
	negative, body := sign(text)
	if body == "" {
		return Num{}, ErrSyntax
	}
	digits, rest := significand(body)
	whole, fraction, _ := strings.Cut(digits, ".")
	if strings.Contains(fraction, ".") {
		return Num{}, ErrSyntax
	}
	exponent := 0
	if len(rest) > 1 && (rest[0] == 'e' || rest[0] == 'E') {
		var err error
		if exponent, rest, err = castExponent(rest[1:]); err != nil {
			return Num{}, err
		}
	}
	if len(rest) > 1 {
		return Num{}, ErrSyntax
	}
	digits = whole + fraction
	shift := scale + exponent - len(fraction)
	if len(digits)+shift > precision {
		return Num{}, ErrOverflow
	}
	if digits = strings.TrimLeft(digits, "0"); digits == "" {
		return Num{}, nil
	}
	return round(digits, shift, negative, precision)
}

// significand splits the leading digits and points from the rest.
func significand(text string) (digits, rest string) {
	n := strings.IndexFunc(text, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if n < 0 {
		return text, ""
	}
	return text[:n], text[n:]
}

// maxCastExponent is the largest exponent of Flink's own reader: 18 digits times 10^18.
const maxCastExponent = 36

// castExponent reads an exponent; what follows it is the rest.
func castExponent(text string) (exponent int, rest string, err error) {
	negative, body := sign(text)
	if body == "" {
		return 0, "", ErrSyntax
	}
	n := 0
	for n < len(body) && '0' <= body[n] && body[n] <= '9' {
		exponent = min(exponent*10+int(body[n]-'0'), 1000)
		n++
	}
	if exponent > maxCastExponent {
		return 0, "", ErrOverflow
	}
	if negative {
		exponent = -exponent
	}
	return exponent, body[n:], nil
}
