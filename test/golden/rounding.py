# Reads what `doppel-verify step` printed of several networks; fails where the geometric mean of their rounding beside PyTorch's is above
# LIMIT.
#
#   rounding.py LIMIT < OUTPUT
import math
import re
import sys

ratios = [float(text) for text in re.findall(r"^compiled: rounding .* ([\d.]+) times PyTorch's$", sys.stdin.read(), re.MULTILINE)]
mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
print(f"{len(ratios)} networks: rounding of the gradients {mean:.2f} times PyTorch's (at most {sys.argv[1]})")
sys.exit(mean > float(sys.argv[1]))
