package expr

// Booleans keep the rule that a NULL's bit is 0: the TRUE rows are bits, the FALSE rows valid and not bits.

// trues makes dst the rows where v, a BOOLEAN, is TRUE.
func trues(v *vector, dst bitmap) {
	switch {
	case !v.constant:
		copy(dst, v.bits)
	case !v.null && v.bits.get(0):
		dst.fill(0xff)
	default:
		dst.fill(0)
	}
}

// falses makes dst the rows where v, a BOOLEAN, is FALSE.
func falses(v *vector, dst bitmap) {
	switch {
	case v.constant && !v.null && !v.bits.get(0):
		dst.fill(0xff)
	case v.constant:
		dst.fill(0)
	case v.valid == nil:
		for i := range dst {
			dst[i] = ^v.bits[i]
		}
	default:
		for i := range dst {
			dst[i] = v.valid[i] &^ v.bits[i]
		}
	}
}

// nulls makes dst the rows where v is NULL.
func nulls(v *vector, dst bitmap) {
	switch {
	case v.constant && v.null:
		dst.fill(0xff)
	case v.constant || v.valid == nil:
		dst.fill(0)
	default:
		for i := range dst {
			dst[i] = ^v.valid[i]
		}
	}
}

// except makes the mask of slot active less the rows of done; nil active means all rows.
func (f *frame) except(slot int, active, done bitmap) bitmap {
	m := f.mask(slot)
	for i := range m {
		m[i] = ^done[i]
	}
	if active != nil {
		for i := range m {
			m[i] &= active[i]
		}
	}
	return m
}

// mask returns the mask that belongs to slot, of any value.
func (f *frame) mask(slot int) bitmap {
	f.masks[slot] = f.masks[slot].resize(f.n)
	return f.masks[slot]
}

// runAnd is AND: FALSE where either operand is FALSE, TRUE where both are TRUE, else NULL. The second operand is not evaluated where
// the first is FALSE, so that it cannot fail there.
func runAnd(f *frame, o *op, active bitmap) (*vector, error) {
	return f.connective(o, active, falses, trues, func(out *vector, decided, agreed bitmap) {
		for i := range decided {
			out.validity[i] = decided[i] | agreed[i]
			out.bits[i] = agreed[i] &^ decided[i]
		}
	})
}

// runOr is OR: TRUE where either operand is TRUE, FALSE where both are FALSE, else NULL. The second operand is not evaluated where
// the first is TRUE.
func runOr(f *frame, o *op, active bitmap) (*vector, error) {
	return f.connective(o, active, trues, falses, func(out *vector, decided, agreed bitmap) {
		for i := range decided {
			out.validity[i] = decided[i] | agreed[i]
			out.bits[i] = decided[i]
		}
	})
}

// connective evaluates the two operands of o. deciding finds the rows where one operand alone settles the result, agreeing those
// where both must agree; finish makes the result of the two.
func (f *frame) connective(o *op, active bitmap, deciding, agreeing func(*vector, bitmap), finish func(out *vector, decided, agreed bitmap)) (*vector, error) {
	left, err := f.eval(o.args[0], active)
	if err != nil {
		return nil, err
	}
	out := &f.vectors[o.slot]
	decided := out.roomBits(f.n)
	deciding(left, decided)
	right, err := f.eval(o.args[1], f.except(o.slot, active, decided))
	if err != nil {
		return nil, err
	}
	mask := f.mask(o.slot)
	deciding(right, mask)
	for i := range decided {
		decided[i] |= mask[i]
	}
	out.validity = out.validity.resize(f.n)
	agreeing(left, out.validity)
	agreeing(right, mask)
	for i := range mask {
		mask[i] &= out.validity[i]
	}
	finish(out, decided, mask)
	out.constant, out.null, out.valid = false, false, out.validity
	return out, nil
}

// notKernel is NOT.
func notKernel(c *call) error {
	bits := c.out.roomBits(c.n)
	falses(c.args[0], bits)
	return nil
}

// truthTest makes IS TRUE and its like: the rows that test finds, or all others.
func truthTest(test func(*vector, bitmap), negate bool) kernel {
	return func(c *call) error {
		bits := c.out.roomBits(c.n)
		test(c.args[0], bits)
		if negate {
			for i := range bits {
				bits[i] = ^bits[i]
			}
		}
		return nil
	}
}

// runCase is CASE: args are condition, value, condition, value, …, and last the value of ELSE, all values of the op's type. A branch
// is evaluated for the rows that take it.
func runCase(f *frame, o *op, active bitmap) (*vector, error) {
	var chosen []*vector
	choice := f.choice(o.slot)
	for i := range choice {
		choice[i] = int32(len(o.args) / 2)
	}
	open, rest := active, f.mask(o.slot)
	for i := 0; i+1 < len(o.args); i += 2 {
		condition, err := f.eval(o.args[i], open)
		if err != nil {
			return nil, err
		}
		taken := f.mask(o.spare)
		trues(condition, taken)
		for j := range taken {
			if open != nil {
				taken[j] &= open[j]
			}
			rest[j] = ^taken[j]
			if open != nil {
				rest[j] &= open[j]
			}
		}
		value, err := f.eval(o.args[i+1], taken)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, value)
		mark(choice, taken, int32(i/2))
		open = rest
	}
	value, err := f.eval(o.args[len(o.args)-1], open)
	if err != nil {
		return nil, err
	}
	return gather(f.n, o, &f.vectors[o.slot], append(chosen, value), choice), nil
}

// mark writes value at the rows of taken.
func mark(choice []int32, taken bitmap, value int32) {
	for i := range choice {
		if taken.get(i) {
			choice[i] = value
		}
	}
}

// runCoalesce is COALESCE: the first argument that is not NULL. Later arguments are evaluated where all before are NULL.
func runCoalesce(f *frame, o *op, active bitmap) (*vector, error) {
	var values []*vector
	choice := f.choice(o.slot)
	for i := range choice {
		choice[i] = int32(len(o.args) - 1)
	}
	open := active
	missing := f.mask(o.slot)
	for i, arg := range o.args {
		value, err := f.eval(arg, open)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
		if i == len(o.args)-1 {
			break
		}
		next := f.mask(o.spare)
		nulls(value, missing)
		for j := range choice {
			if !missing.get(j) && (open == nil || open.get(j)) {
				choice[j] = int32(i)
			}
		}
		for j := range next {
			next[j] = missing[j]
			if open != nil {
				next[j] &= open[j]
			}
		}
		open = next
	}
	return gather(f.n, o, &f.vectors[o.slot], values, choice), nil
}

// choice returns n numbers that belong to slot.
func (f *frame) choice(slot int) []int32 {
	p := &f.choices[slot]
	if cap(*p) < f.n {
		*p = make([]int32, f.n, f.n*5/4+1)
	}
	*p = (*p)[:f.n]
	return *p
}
