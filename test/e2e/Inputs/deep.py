"""Writes a spec that unrolls: "chain N" has N steps of y * 0.5 + y * y; "nets N" applies a net of N layers to ten views."""
import sys

kind, count = sys.argv[1], int(sys.argv[2])
output = {"chain": "chain(trunk(v[0]))", "nets": "mean([layers(trunk(x)) for x in v])"}[kind]
print(f"""use std.{{nets, augment}}

fn chain(x) {{
  let y = x
  for i in 0..{count} {{ y = y * 0.5 + y * y }}
  return y
}}

net many(count) {{
  layers = [nets.linear(4, 4) for i in 0..count]
  forward(x) {{
    let y = x
    for layer in layers {{ y = relu(layer(y)) }}
    return y
  }}
}}

method Deep {{
  param batch = 8
  param epochs = 1
  view v[10] = augment.center(image, 16)
  net trunk = nets.backbone("resnet10", width: 4, stem: "cifar") >> nets.linear(32, 4)
  net layers = many({count if kind == "nets" else 1})
  loss mean({output})
  optimize trunk, layers with sgd(lr: 0.1)
  represent trunk(augment.center(image, 16))
}}""")
