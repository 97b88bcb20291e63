# Holds values.txt to what PyTorch computed (values.safetensors): fails where a number differs in the last digit that stands there, or
# stands in one of the files alone.
import math
import os
import sys

import safetensors

HERE = os.path.dirname(os.path.abspath(__file__))


def written():
    """{name: (value, half a unit and more of its last digit)}."""
    found = {}
    with open(os.path.join(HERE, "values.txt")) as file:
        for line in file:
            fields = line.split("#")[0].split()
            if fields:
                mantissa, _, exponent = fields[1].partition("e")
                digits = len(mantissa.partition(".")[2]) - int(exponent or 0)
                found[fields[0]] = float(fields[1]), 1.5 * 10.0**-digits
    return found


def main():
    tensors, _ = safetensors.load(os.path.join(HERE, "values.safetensors"))
    expected, wrong, agree = written(), 0, 0
    for key in sorted(key for key in tensors if key.startswith("value/")):
        name, value = key.removeprefix("value/"), float(tensors[key])
        golden, tolerance = expected.pop(name, (math.nan, 0.0))
        good = abs(value - golden) <= max(tolerance, 1e-14 * abs(golden))
        agree, wrong = agree + good, wrong + (not good)
        if not good:
            print(f"{name}: {value:.12f} by PyTorch, {golden} in values.txt")
    for name in expected:
        print(f"{name} stands in values.txt only")
    print(f"{agree} values agree with PyTorch")
    sys.exit(1 if wrong or expected or not agree else 0)


main()
