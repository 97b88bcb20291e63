# `./do bench methods`: trains every method of examples/ with a small encoder on the built-in shapes and on 10,000 images of CIFAR-10 and
# prints one table: kNN and linear accuracy beside those of raw pixels and of the untrained encoder, images a second, peak memory.
#
# The settings are for minutes on a CPU: ResNet-10 of width 16 on 32x32 pixels, no blur, crops of at least 0.4 of a picture, few epochs. They
# are not the papers': where the rate of an optimizer for large batches learns nothing in a thousand steps, AdamW or a plain rate stands.
import json
import os
import re

ENCODER = ["size=32", "stem=cifar", "backbone=resnet10", "width=16", "batch=64"]
VIEWS = ["min_area=0.4", "colors=cifar"]
CIFAR_EPOCHS = 5

METHODS = {
    "instdisc": ENCODER + VIEWS + ["epochs=20", "samples=10000", "dim=64", "noise=0", "temperature=0.1", "lr=0.03", "decay_at=[16]",
                                   "views=cifar"],
    "cpc": ["size=32", "patch=16", "cut=12", "flip=0.5", "blocks=[1,1,1]", "width=8", "layers=2", "dim=64", "batch=128", "epochs=12",
            "steps=1", "area=0.7", "lr=0.001"],  # three rows of patches, so one row ahead
    "cmc": ["size=32", "stem=cifar", "backbone=resnet10", "width=8", "batch=64", "epochs=20", "samples=10000", "dim=64", "noise=512",
            "objective=softmax", "temperature=0.1", "lr=0.06", "decay_at=[17]", "min_area=0.4"],
    "moco_v1": ENCODER + VIEWS + ["epochs=10", "dim=64", "length=2048", "momentum=0.99", "temperature=0.2", "groups=4", "lr=0.06",
                                  "decay_at=[8]"],
    "moco_v2": ENCODER + VIEWS + ["epochs=10", "dim=64", "length=2048", "momentum=0.99", "groups=4", "lr=0.06", "blur=0"],
    "simclr": ENCODER + ["batch=128", "epochs=9", "zero_init=false", "hidden=128", "dim=64", "head_norm=false", "temperature=0.2",
                         "optimizer=sgd", "lr=0.3", "weight_decay=5e-4", "warmup_epochs=0", "warmup_steps=50", "views=cifar"],
    "swav": ENCODER + VIEWS + ["batch=128", "epochs=10", "small_crops=0", "hidden=128", "dim=64", "prototypes=64", "epsilon=0.01",
                               "rounds=10", "freeze=20", "warmup_epochs=0", "optimizer=adamw", "lr=0.002", "blur=0"],
    "byol": ENCODER + VIEWS + ["epochs=12", "hidden=256", "dim=128", "momentum=0.95", "optimizer=adamw", "lr=0.002", "weight_decay=5e-4",
                               "warmup_epochs=1", "blur_1=0", "blur_2=0", "brightness=factor"],
    "simsiam": ENCODER + VIEWS + ["epochs=12", "dim=256", "hidden=64", "projector_layers=2", "optimizer=adamw", "lr=0.002",
                                  "weight_decay=5e-4", "blur=0"],
    "dino": ENCODER + VIEWS + ["epochs=10", "small_crops=0", "outputs=512", "hidden=128", "bottleneck=64", "head_norm=true",
                               "optimizer=sgd", "lr=0.06", "weight_decay=[5e-4,5e-4]", "momentum=0.98", "warmup_epochs=1",
                               "blur=[0,0,0]", "solarize=0"],
}


def cifar_part(data, folder, each):
    """A folder of links to the first `each` training images of every class, and to all of the test images. Returns its path."""
    part = os.path.join(folder, "cifar")
    for split, count in (("train", each), ("test", None)):
        for name in sorted(os.listdir(os.path.join(data, split))):
            source, target = os.path.join(data, split, name), os.path.join(part, split, name)
            os.makedirs(target)
            for file in sorted(os.listdir(source))[:count]:
                os.symlink(os.path.abspath(os.path.join(source, file)), os.path.join(target, file))
    return part


def train(bench, run, name, data, more, folder):
    """Trains with the settings of `name` and `more`, evaluates; returns the row's figures."""
    spec = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "examples", name + ".dpl")
    settings = dict(setting.split("=", 1) for setting in METHODS[name] + more)  # of two for a name the later
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    threads = ["--threads", str(bench.options.threads)]
    out, memory = run([bench.doppel, "train", spec, "--data", data, "--out", folder, *threads, *sets])
    rate = float(re.search(r"\(([\d,.]+) images/s\)", out).group(1).replace(",", ""))
    scores = [json.loads(run([bench.doppel, "eval", folder, "--data", data, "--linear", "--json", *threads, *extra])[0])
              for extra in ([], ["--untrained"])]
    with open(os.path.join(folder, "metrics.jsonl")) as file:
        spread = [json.loads(line)["spread"] for line in file][-1]
    return dict(knn=scores[0]["knn"], linear=scores[0]["linear"], untrained=scores[1]["knn"], rate=rate, memory=memory, spread=spread)


def methods(bench, run, note, fail):
    sets = [("shapes", "shapes", [])]
    if bench.options.data:
        sets.append(("CIFAR-10", cifar_part(bench.options.data, bench.folder, 1000), [f"epochs={CIFAR_EPOCHS}"]))
    else:
        note("without --data DIR (CIFAR-10 as train/CLASS/*.jpg and test/CLASS/*.jpg) on shapes alone")
    chosen = bench.options.method or list(METHODS)
    for name in chosen:
        if name not in METHODS:
            fail(f"no method '{name}' ({', '.join(METHODS)})")
    rows = [["", *(f"{title} {what}" for title, _, _ in sets for what in ("kNN", "linear", "untrained")), "spread", "images/s", "MiB"]]
    for name in chosen:
        cells, last = [], None
        for title, data, more in sets:
            last = train(bench, run, name, data, more, os.path.join(bench.folder, f"{name}-{len(cells)}"))
            note(f"{name} on {title}: kNN {last['knn'] * 100:.1f} %, linear {last['linear'] * 100:.1f} %, untrained "
                 f"{last['untrained'] * 100:.1f} %, spread {last['spread']:.2f}, {last['rate']:,.0f} images/s")
            cells += [f"{last[key] * 100:.1f} %" for key in ("knn", "linear", "untrained")]
        rows.append([name, *cells, f"{last['spread']:.2f}", f"{last['rate']:,.0f}", f"{last['memory']:,.0f}"])
    pixels = []
    for index, (title, data, _) in enumerate(sets):
        score = json.loads(run([bench.doppel, "eval", os.path.join(bench.folder, f"{chosen[0]}-{3 * index}"), "--data", data, "--raw",
                                "--linear", "--json"])[0])
        pixels += [f"{score['raw_pixels'] * 100:.1f} %", f"{score['raw_pixels_linear'] * 100:.1f} %", ""]
    rows.append(["raw pixels", *pixels, "", "", ""])
    return rows
