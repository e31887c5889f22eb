package expr

import (
	"pencere/pkg/sqltype"
)

// digitsOf returns precision and scale of an exact number's type, as if it were DECIMAL.
func digitsOf(t sqltype.Type) (precision, scale int) {
	switch t.Kind {
	case sqltype.TinyInt:
		return 3, 0
	case sqltype.SmallInt:
		return 5, 0
	case sqltype.Int:
		return 10, 0
	case sqltype.BigInt:
		return 19, 0
	default:
		return t.Precision, t.Scale
	}
}

// adjusted returns DECIMAL(precision, scale) within 38 digits. Where there are too many, digits after the point give way, down to 6
// (Flink's LogicalTypeMerging.adjustPrecisionScale, which is SQL Server's rule as Hive and Spark have it).
func adjusted(precision, scale int) sqltype.Type {
	if precision > sqltype.MaxDecimalPrecision {
		whole := precision - scale
		scale = max(sqltype.MaxDecimalPrecision-whole, min(scale, 6))
		precision = sqltype.MaxDecimalPrecision
	}
	return sqltype.DecimalType(precision, scale)
}

// arithmeticType returns the type of a + b and the like for numbers, without nullability.
func arithmeticType(operator string, a, b sqltype.Type) sqltype.Type {
	switch {
	case operator == "%" && a.IsInteger() && b.IsInteger():
		return sqltype.Type{Kind: b.Kind}
	case a.IsApproximate() || b.IsApproximate() || a.IsInteger() && b.IsInteger():
		return numericCommon(a, b)
	}
	p1, s1 := digitsOf(a)
	p2, s2 := digitsOf(b)
	switch operator {
	case "*":
		return adjusted(p1+p2+1, s1+s2)
	case "/":
		scale := max(6, s1+p2+1)
		return adjusted(p1-s1+s2+scale, scale)
	case "%":
		scale := max(s1, s2)
		return adjusted(min(p1-s1, p2-s2)+scale, scale)
	default:
		scale := max(s1, s2)
		return adjusted(max(p1-s1, p2-s2)+scale+1, scale)
	}
}

// numericCommon is the type to which Calcite's leastRestrictive brings two numbers: of two approximate ones the first, DOUBLE for
// an approximate one and a DECIMAL.
func numericCommon(a, b sqltype.Type) sqltype.Type {
	switch {
	case a.IsApproximate() && b.IsApproximate():
		return sqltype.Type{Kind: a.Kind}
	case a.IsApproximate() || b.IsApproximate():
		approximate, exact := a, b
		if b.IsApproximate() {
			approximate, exact = b, a
		}
		if exact.Kind == sqltype.Decimal {
			return sqltype.DoubleType
		}
		return sqltype.Type{Kind: approximate.Kind}
	case a.IsInteger() && b.IsInteger():
		return sqltype.Type{Kind: max(a.Kind, b.Kind)}
	}
	return decimalCommon(a, b)
}

// decimalCommon is the DECIMAL that holds all values of two exact types, if there is one.
func decimalCommon(a, b sqltype.Type) sqltype.Type {
	p1, s1 := digitsOf(a)
	p2, s2 := digitsOf(b)
	whole := min(max(p1-s1, p2-s2), sqltype.MaxDecimalPrecision)
	scale := min(max(s1, s2), sqltype.MaxDecimalPrecision-whole)
	return sqltype.DecimalType(whole+scale, scale)
}

// branchType is the common type of the branches of CASE and IF: Calcite's leastRestrictive. NULLs without a type do not count. ok is
// false if there is no common type.
func branchType(types []sqltype.Type) (common sqltype.Type, ok bool) {
	for i, t := range types {
		// Of TIMESTAMP and TIMESTAMP_LTZ with equal precision Calcite takes the first.
		if i > 0 && t.IsTimestamp() && types[0].IsTimestamp() && t.Kind != types[0].Kind && t.Precision == types[0].Precision {
			return types[0], true
		}
	}
	return fold(types, numericCommon)
}

// mergedType is the common type of the arguments of COALESCE, IFNULL, GREATEST and LEAST, and of IN: Flink's
// LogicalTypeMerging.findCommonType, where DOUBLE wins over FLOAT, and FLOAT over DECIMAL.
func mergedType(types []sqltype.Type) (common sqltype.Type, ok bool) {
	return fold(types, func(a, b sqltype.Type) sqltype.Type {
		switch {
		case a.Kind == sqltype.Double || b.Kind == sqltype.Double:
			return sqltype.DoubleType
		case a.Kind == sqltype.Float || b.Kind == sqltype.Float:
			return sqltype.FloatType
		}
		return numericCommon(a, b)
	})
}

// fold merges types from the left; the result is NOT NULL if all are.
func fold(types []sqltype.Type, numbers func(a, b sqltype.Type) sqltype.Type) (sqltype.Type, bool) {
	common, notNull := sqltype.NullType, true
	for _, t := range types {
		notNull = notNull && t.NotNull
		switch t = t.Nullable(); {
		case t.Kind == sqltype.Null || t == common:
		case common.Kind == sqltype.Null:
			common = t
		case t.IsNumeric() && common.IsNumeric():
			common = numbers(common, t)
		default:
			merged, ok := sameFamily(common, t)
			if !ok {
				return sqltype.Type{}, false
			}
			common = merged
		}
	}
	return common.WithNotNull(notNull), true
}

// sameFamily merges two different types that are not numbers.
func sameFamily(a, b sqltype.Type) (sqltype.Type, bool) {
	switch {
	case a.IsText() && b.IsText():
		kind := sqltype.VarChar
		if a.Kind == sqltype.Char && b.Kind == sqltype.Char && a.Length == b.Length {
			kind = sqltype.Char
		}
		return sqltype.Type{Kind: kind, Length: max(a.Length, b.Length)}, true
	case a.Kind == sqltype.Bytes && b.Kind == sqltype.Bytes:
		return sqltype.Type{Kind: sqltype.Bytes, Length: max(a.Length, b.Length)}, true
	case a.Kind == b.Kind:
		return sqltype.Type{Kind: a.Kind, Precision: max(a.Precision, b.Precision)}, true
	case a.IsTimestamp() && b.IsTimestamp():
		return sqltype.TimestampLTZType(max(a.Precision, b.Precision)), true
	}
	return sqltype.Type{}, false
}
