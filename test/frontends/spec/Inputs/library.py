"""library.py METRICS: the values of library.dpl, by hand."""
import json
import sys
from math import exp, log



def cubic(t):
    """Keys' kernel with a = -0.75."""
    t = abs(t)
    return 1.25 * t ** 3 - 2.25 * t ** 2 + 1 if t <= 1 else -0.75 * t ** 3 + 3.75 * t ** 2 - 6 * t + 3 if t < 2 else 0


first, middle = 0.5 * 2 / 3.1 - 0.5, 1.5 * 2 / 3.1 - 0.5  # of points that stand at 0 and 1; what lies beyond repeats them
softplus_of_minus_one = log(1 + exp(-1))
expected = {
    "spread_of_all": 1,  # each axis has 1, -1, 0, 0: deviation sqrt(1/2), times sqrt(2)
    "spread_of_one": 0,
    "sums_along": 1 + 30 + 700 + 8 + 240 + 5600, "sums_down": 1 + 20 + 400 + 9 + 180 + 3600,
    "variance": 3.5,  # (4 + 1 + 0 + 9) / 4
    "margin_far": 0.5,  # -1 - 1 + 2.5
    "logistic_far": 2 * softplus_of_minus_one,  # the positive's cosine is 1, the negative's -1
    "margin_near": 0,
    "logistic_near": log(2),  # the positive's cosine is 0
    "softmax_of_large": 0.5,
    "logsumexp_of_large": 1000 + log(2),
    "softplus_of_large": 1000,
    "softplus_of_small": 0,
    # ITU-R BT.601
    "y_of_red": 16 + 65.481, "cb_of_red": 128 - 37.797, "cr_of_red": 240,
    "y_of_green": 16 + 128.553, "cb_of_green": 128 - 74.203, "cr_of_green": 128 - 93.786,
    "y_of_blue": 16 + 24.966, "cb_of_blue": 240, "cr_of_blue": 128 - 18.214,
    "edge_down": 2, "edge_at_bottom": 0, "edge_beside": 0, "edge_right": 2,
    "least_cut": 0, "greatest_cut": 3,
    "first_position": 1 - cubic(1 - first), "middle_position": cubic(1 - middle) + cubic(2 - middle),
    "least_kept": 0, "greatest_kept": 4,
}

with open(sys.argv[1]) as file:
    found = json.loads(file.readline())
for name, value in expected.items():
    if abs(found[name] - value) > 2e-6 * max(1, abs(value)):
        sys.exit(f"{name} is {found[name]}, not {value}")
print(f"{len(expected)} values are right")
