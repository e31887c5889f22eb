package window

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"pencere/pkg/checkpoint"
	"pencere/pkg/sqltype"
)

// The aggregate functions.
const (
	Count = "COUNT"
	Sum   = "SUM"
	Min   = "MIN"
	Max   = "MAX"
	Avg   = "AVG"
)

// AggregateSpec is an aggregate call whose argument is a column of the rows that a Store takes.
type AggregateSpec struct {
	Name string // of the column it makes
	Func string // Count, Sum, Min, Max or Avg
	// Arg is the argument's type. The zero Type is that of COUNT(*), which has none.
	Arg sqltype.Type
}

// UnsupportedError says that an aggregate function does not exist or does not take an argument of a type.
type UnsupportedError struct {
	Func string
	Arg  sqltype.Type
}

func (e *UnsupportedError) Error() string {
	switch e.Func {
	case Sum, Avg:
		return fmt.Sprintf("%s takes a number, not %s", e.Func, argumentName(e.Arg))
	case Min, Max:
		return fmt.Sprintf("%s takes a number, text, BOOLEAN, date or time, not %s", e.Func, argumentName(e.Arg))
	default:
		return fmt.Sprintf("unknown aggregate function %q: it is %s, %s, %s, %s or %s", e.Func, Count, Sum, Min, Max, Avg)
	}
}

func argumentName(t sqltype.Type) string {
	if t.Kind == sqltype.Invalid {
		return "*"
	}
	return t.String()
}

// ResultType returns the type of an aggregate over values of type arg (the zero Type for COUNT(*)), or *UnsupportedError.
//
// COUNT is BIGINT NOT NULL. The others are NULL for a group without a value. SUM of an integer, FLOAT or DOUBLE keeps its type,
// and integers wrap around; SUM of DECIMAL(p, s) is DECIMAL(38, s), NULL when 38 digits do not hold it. AVG keeps the type too,
// for integers cut toward zero, and of DECIMAL(p, s) is DECIMAL(38, max(6, s)), rounded half up. MIN and MAX keep the type.
// (https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/dev/table/functions/systemfunctions/#aggregate-functions,
// and LogicalTypeMerging.findSumAggType and findAvgAggType in Flink.)
func ResultType(fn string, arg sqltype.Type) (sqltype.Type, error) {
	switch {
	case fn == Count:
		return sqltype.BigIntType.WithNotNull(true), nil
	case (fn == Sum || fn == Avg) && arg.Kind == sqltype.Decimal:
		scale := arg.Scale
		if fn == Avg {
			scale = max(6, scale)
		}
		return sqltype.DecimalType(sqltype.MaxDecimalPrecision, scale), nil
	case (fn == Sum || fn == Avg) && arg.IsNumeric(), (fn == Min || fn == Max) && isOrdered(arg):
		return arg.Nullable(), nil
	default:
		return sqltype.Type{}, &UnsupportedError{Func: fn, Arg: arg}
	}
}

func isOrdered(t sqltype.Type) bool {
	switch t.Kind {
	case sqltype.Boolean, sqltype.Date, sqltype.Time:
		return true
	default:
		return t.IsNumeric() || t.IsText() || t.IsTimestamp()
	}
}

// accumulator holds the values of one aggregate for all groups of a window.
type accumulator interface {
	// add takes rows of the argument column, nil for COUNT(*), beginning at row from: groups has the group of each. There are
	// total groups now.
	add(arg arrow.Array, from int, groups []uint32, total int)
	// result returns the values of count groups, beginning with first. The caller releases the array.
	result(first, count int, alloc memory.Allocator) arrow.Array
	// textSize returns the bytes of a group's result if it is text, else 0.
	textSize(group uint32) int
	// memory returns the bytes that the groups take.
	memory() int64
	// reset forgets all groups and keeps the memory.
	reset()
	// copy returns an accumulator with the same values, which rows added later do not change.
	copy() accumulator
	// appendState appends the bytes of a group's values to dst.
	appendState(dst []byte, group uint32) []byte
	// readState takes a further group, whose values appendState wrote.
	readState(d *checkpoint.Decoder)
}

// newAccumulator makes the accumulator of an aggregate whose ResultType is result; reduced is Config.Reduced.
func newAccumulator(spec AggregateSpec, result sqltype.Type, reduced bool) accumulator {
	switch spec.Func {
	case Count:
		return &count{}
	case Min, Max:
		return newExtreme(spec, result)
	default:
		return newSum(spec, result, reduced)
	}
}

func newSum(spec AggregateSpec, result sqltype.Type, reduced bool) accumulator {
	average := spec.Func == Avg
	wide := average && !reduced
	fromFirst := !average && !reduced
	switch spec.Arg.Kind {
	case sqltype.TinyInt:
		return &integerSum[int8]{average: average, wide: wide}
	case sqltype.SmallInt:
		return &integerSum[int16]{average: average, wide: wide}
	case sqltype.Int:
		return &integerSum[int32]{average: average, wide: wide}
	case sqltype.BigInt:
		return &integerSum[int64]{average: average, wide: wide}
	case sqltype.Double:
		return &floatSum[float64, float64]{average: average, fromFirst: fromFirst}
	case sqltype.Decimal:
		return &decimalSum{average: average, fromFirst: fromFirst, typ: result, scale: spec.Arg.Scale}
	default:
		if wide {
			return &floatSum[float32, float64]{average: true}
		}
		return &floatSum[float32, float32]{average: average, fromFirst: fromFirst}
	}
}

func newExtreme(spec AggregateSpec, result sqltype.Type) accumulator {
	highest := spec.Func == Max
	switch spec.Arg.Kind {
	case sqltype.Boolean:
		return &extremeBoolean{highest: highest}
	case sqltype.TinyInt:
		return newOrdered[int8](result, highest)
	case sqltype.SmallInt:
		return newOrdered[int16](result, highest)
	case sqltype.Int:
		return newOrdered[int32](result, highest)
	case sqltype.BigInt:
		return newOrdered[int64](result, highest)
	case sqltype.Float:
		return newOrdered[float32](result, highest)
	case sqltype.Double:
		return newOrdered[float64](result, highest)
	case sqltype.Date:
		return newOrdered[arrow.Date32](result, highest)
	case sqltype.Time:
		return newOrdered[arrow.Time32](result, highest)
	case sqltype.Char, sqltype.VarChar:
		return &extremeText{typ: result, highest: highest}
	default:
		beats := decimal128.Num.Less
		if highest {
			beats = decimal128.Num.Greater
		}
		cut := spec.Arg.IsTimestamp() && spec.Arg.Precision <= 3
		return &extreme[decimal128.Num]{typ: result, beats: beats, cut: cut}
	}
}
