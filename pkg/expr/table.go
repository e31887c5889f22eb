package expr

import "maps"

// functions is the table of operators and functions, by name in upper case. It is read only.
var functions = merge(operators(), numericFunctions(), textFunctions(), timeFunctions(), jsonTests())

func merge(tables ...map[string]function) map[string]function {
	all := map[string]function{}
	for _, table := range tables {
		maps.Copy(all, table)
	}
	return all
}

func operators() map[string]function {
	arithmetic := function{min: 1, max: 2, takes: "numbers, or times and intervals", bind: bindArithmetic}
	comparison := function{min: 2, max: 2, takes: "two values of comparable types", nulls: true, bind: bindComparison}
	connective := function{min: 2, max: 2, takes: "BOOLEANs", bind: bindConnective}
	is := func(test func(*vector, bitmap), negate bool) function {
		return function{min: 1, max: 1, takes: "a BOOLEAN", nulls: true, bind: bindIs(test, negate, false)}
	}
	distinct := func(negate bool) function {
		return function{min: 2, max: 2, takes: "two values of comparable types", nulls: true, bind: bindDistinct(negate)}
	}
	between := func(symmetric, negate bool) function {
		return function{min: 3, max: 3, takes: "three values of comparable types", nulls: true, bind: bindBetween(symmetric, negate)}
	}
	return map[string]function{
		"+": arithmetic, "-": arithmetic, "*": arithmetic, "/": arithmetic, "%": arithmetic,
		"MOD": {min: 2, max: 2, takes: "two exact numbers", bind: bindArithmetic},
		"=":   comparison, "<>": comparison, "<": comparison, "<=": comparison, ">": comparison, ">=": comparison,
		"AND": connective, "OR": connective,
		"NOT":     {min: 1, max: 1, takes: "a BOOLEAN", bind: bindNot},
		"IS NULL": {min: 1, max: 1, nulls: true, bind: bindIs(nulls, false, true)}, "IS NOT NULL": {min: 1, max: 1, nulls: true, bind: bindIs(nulls, true, true)},
		"IS TRUE": is(trues, false), "IS NOT TRUE": is(trues, true), "IS FALSE": is(falses, false), "IS NOT FALSE": is(falses, true),
		"IS UNKNOWN": is(nulls, false), "IS NOT UNKNOWN": is(nulls, true),
		"IS DISTINCT FROM": distinct(true), "IS NOT DISTINCT FROM": distinct(false),
		"BETWEEN": between(false, false), "NOT BETWEEN": between(false, true),
		"BETWEEN SYMMETRIC": between(true, false), "NOT BETWEEN SYMMETRIC": between(true, true),
		"IN":       {min: 2, max: -1, takes: "values of comparable types", nulls: true, bind: bindIn(false)},
		"NOT IN":   {min: 2, max: -1, takes: "values of comparable types", nulls: true, bind: bindIn(true)},
		"IF":       {min: 3, max: 3, takes: "a BOOLEAN and two values of one type", bind: bindIf},
		"COALESCE": {min: 1, max: -1, takes: "values of one type", bind: bindCoalesce},
		"IFNULL":   {min: 2, max: 2, takes: "two values of one type", bind: bindCoalesce},
		"NULLIF":   {min: 2, max: 2, takes: "two values of comparable types", nulls: true, bind: bindNullIf},
	}
}
